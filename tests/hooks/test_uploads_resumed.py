"""An upload that one attempt of a task begins and another finishes, through the task state store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from support import FakeClock, numbered_lines
from transfer_store import AirflowFernet, Store

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.transfer.memory import MIN_REMEMBERED_BYTES
from airflow_provider_gemini_files.transfer.sources import find_source
from airflow_provider_gemini_files.transfer.upload import Upload

crypto = pytest.importorskip("airflow.sdk.crypto", reason="Airflow keeps no task state before 3.3")
MIB = 1024**2
NAME = "files/af1"


@pytest.fixture(autouse=True)
def fernet(mocker) -> AirflowFernet:
    """Give Airflow a Fernet key."""
    return mocker.patch.object(crypto, "get_fernet", autospec=True, return_value=AirflowFernet()).return_value


@pytest.fixture
def large(tmp_path) -> Path:
    """Return a file of 10 MiB in which no two blocks are equal."""
    path = tmp_path / "large.txt"
    path.write_bytes(numbered_lines(10 * MIB))
    return path


@pytest.fixture
def store(emulator, large, connect) -> Store:
    """Return what a first attempt has left that broke off after 6 MiB, without retries."""
    connect(host=emulator.base_url, extra={"max_retries": 0})
    emulator.settings.granularity = MIB
    emulator.faults.add("upload", "reset", after_bytes=6 * MIB + 5)
    store = Store()
    with pytest.raises(e.GeminiServiceError, match="failed"):
        attempt(store, large)
    assert len(store.kept) == 1
    emulator.clear_journal()
    return store


def attempt(store: Store | None, path: Path, clock: FakeClock | None = None, **options: object) -> GeminiFile:
    """Upload a file as one attempt of a task does."""
    hook = GeminiFilesHook(clock=clock or FakeClock())
    [file] = hook.upload_files([Upload(find_source(path), **{"name": NAME, **options})], store=store)
    return file


def sends(emulator) -> list[tuple[str, str | None]]:
    return [(entry["call"], entry.get("offset")) for entry in emulator.journal if entry["method"] == "POST"]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_next_attempt_sends_only_the_rest(emulator, store, large):
    file = attempt(store, large)

    assert sends(emulator) == [("query", None), ("finalize", str(6 * MIB))]
    assert file.sha256 == digest(large)
    assert emulator.usage() == {"files": 1, "bytes": 10 * MIB}
    assert store.kept == {}


def test_changed_source_is_sent_as_a_whole(emulator, store, large):
    large.write_bytes(b"x" * 10 * MIB)

    file = attempt(store, large)

    assert sends(emulator) == [("start", None), ("finalize", "0")]
    assert file.sha256 == digest(large)


def test_upload_of_another_type_is_not_resumed(emulator, store, large):
    assert attempt(store, large, mime_type="text/csv").mime_type == "text/csv"
    assert sends(emulator)[0] == ("start", None)


def test_upload_is_not_resumed_without_store(emulator, store, large):
    attempt(None, large)

    assert sends(emulator) == [("start", None), ("finalize", "0")]


def test_small_file_is_not_remembered(hook, text_file):
    assert text_file.stat().st_size < MIN_REMEMBERED_BYTES

    attempt(Store(broken=True), text_file)


def test_attempt_killed_after_last_response_sends_nothing_again(emulator, store, large):
    kept = dict(store.kept)
    first = attempt(store, large)
    store.kept = kept
    emulator.clear_journal()

    # The file is not looked up by its name, but the session names it.
    file = attempt(store, large, min_remaining_ttl=10**9)

    assert file == first
    assert sends(emulator) == [("query", None)]


def test_file_deleted_after_upload_is_sent_again(emulator, store, large):
    kept = dict(store.kept)
    GeminiFilesHook().delete_file(attempt(store, large))
    store.kept = kept
    emulator.clear_journal()

    file = attempt(store, large)

    assert file == GeminiFilesHook().get_file(NAME)
    assert sends(emulator) == [("query", None), ("start", None), ("finalize", "0")]


# --- a remembered upload can always end: at the latest with the second attempt, with one file ------------------------


def assert_ends_with_one_file(emulator, store: Store, path: Path, **options: object) -> None:
    try:
        file = attempt(store, path, **options)
    except e.GeminiFilesError:
        file = attempt(store, path, **options)
    assert file.sha256 == digest(path)
    assert emulator.usage() == {"files": 1, "bytes": path.stat().st_size}


def test_expired_session_is_replaced(emulator, store, large):
    emulator.clock.advance(8 * 86400)

    attempt(store, large)

    assert sends(emulator) == [("query", None), ("start", None), ("finalize", "0")]


def test_final_session_without_file_finds_file_by_name(emulator, store, large):
    kept = dict(store.kept)
    first = attempt(store, large)
    store.kept = kept
    answer = {"status": 200, "body": {}, "headers": {"x-goog-upload-status": "final"}}
    emulator.faults.add("query", "status", **answer, times=None)
    emulator.faults.add("get", "gone", file_id=NAME.removeprefix("files/"))

    assert attempt(store, large) == first
    assert_ends_with_one_file(emulator, store, large)


def test_final_session_without_file_is_replaced(emulator, store, large):
    answer = {"status": 200, "body": {}, "headers": {"x-goog-upload-status": "final"}}
    emulator.faults.add("query", "status", **answer, times=None)

    assert_ends_with_one_file(emulator, store, large)


def test_session_with_too_many_bytes_is_replaced(emulator, store, large):
    headers = {"x-goog-upload-status": "active", "x-goog-upload-size-received": str(11 * MIB)}
    emulator.faults.add("query", "status", status=200, body="", headers=headers, times=None)

    assert_ends_with_one_file(emulator, store, large)


@pytest.mark.parametrize("max_retries", [0, 2])
@pytest.mark.parametrize("fault", [("outage", {}), ("reset", {}), ("storage_full", {}), ("status", {"status": 403})])
def test_session_that_only_fails_is_replaced(emulator, connect, store, large, fault, max_retries):
    connect(host=emulator.base_url, extra={"max_retries": max_retries})
    emulator.faults.add("query", fault[0], **fault[1], times=None)

    assert_ends_with_one_file(emulator, store, large)


@pytest.mark.parametrize(("max_retries", "queries"), [(0, 1), (2, 3), (50, 5)])
def test_failing_session_is_replaced_within_the_attempt(emulator, connect, store, large, max_retries, queries):
    connect(host=emulator.base_url, extra={"max_retries": max_retries})
    emulator.faults.add("query", "outage", times=None)

    file = attempt(store, large)

    assert [call for call, _ in sends(emulator)] == ["query"] * queries + ["start", "finalize"]
    assert file.sha256 == digest(large)
    assert emulator.usage()["files"] == 1


@pytest.mark.parametrize("status", [429, 503])
def test_session_whose_host_wants_more_than_a_minute_is_replaced(emulator, connect, store, large, status):
    connect(host=emulator.base_url, extra={"max_retries": 4})
    emulator.faults.add("query", "status", status=status, headers={"Retry-After": "3600"}, times=None)

    assert_ends_with_one_file(emulator, store, large)

    assert [call for call, _ in sends(emulator)] == ["query", "start", "finalize"]


def test_session_is_resumed_after_the_whole_service_has_asked_to_wait(emulator, store, large):
    for call in ("query", "start"):
        emulator.faults.add(call, "status", status=503, headers={"Retry-After": "3600"})

    with pytest.raises(e.GeminiServiceError) as failed:
        attempt(store, large)
    assert failed.value.retry_after == 3600
    emulator.clear_journal()

    attempt(store, large)
    assert sends(emulator) == [("query", None), ("finalize", str(6 * MIB))]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/upload?upload_id=1",
        "http://gone.invalid/upload?upload_id=1",
        "http://" + "a" * 70 + "/upload",
        "http://127.0.0.1:99999/upload",
        "http://[broken/upload",
        "ftp://host/upload",
        "garbage",
        "",
    ],
)
def test_session_on_unusable_host_is_replaced(emulator, store, large, fernet, url):
    [(key, value)] = store.kept.items()
    store.kept[key] = json.dumps(json.loads(value) | {"url": fernet.encrypt(url.encode()).decode()})

    assert_ends_with_one_file(emulator, store, large)


@pytest.mark.parametrize("garbage", [None, 5, "text", [], {}, {"url": "x"}, "wrong key", "no time"])
def test_garbage_in_the_store_costs_only_the_resume(emulator, store, large, garbage):
    [(key, value)] = store.kept.items()
    if garbage == "wrong key":
        garbage = json.loads(value) | {"url": AirflowFernet().encrypt(b"x").decode()}
    if garbage == "no time":
        garbage = json.loads(value) | {"created": "yesterday"}
    store.kept[key] = json.dumps(garbage)

    attempt(store, large)

    assert sends(emulator) == [("start", None), ("finalize", "0")]
    assert emulator.usage()["files"] == 1


@pytest.mark.parametrize("method", ["start", "finalize", "query"])
@pytest.mark.parametrize("action", ["lose_answer", "no_upload_status", "internal"])
def test_one_more_fault_in_the_second_attempt_still_ends_with_one_file(emulator, store, large, method, action):
    if method == "start":
        emulator.clock.advance(8 * 86400)
    emulator.faults.add(method, action)

    assert_ends_with_one_file(emulator, store, large)


def test_upload_with_random_names_ends_with_one_file(emulator, connect, large):
    connect(host=emulator.base_url, extra={"max_retries": 0})
    emulator.settings.granularity = MIB
    emulator.faults.add("upload", "reset", after_bytes=6 * MIB)
    store, upload = Store(), Upload(find_source(large))
    with pytest.raises(e.GeminiServiceError):
        GeminiFilesHook(clock=FakeClock()).upload_files([replace(upload)], store=store)

    GeminiFilesHook(clock=FakeClock()).upload_files([replace(upload)], store=store)

    assert emulator.usage()["files"] == 1
