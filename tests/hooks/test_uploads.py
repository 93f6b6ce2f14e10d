"""Uploads through the hook, over HTTP against the emulator."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import re
import time
from dataclasses import replace

import pytest
from support import API_KEY, FakeClock, logged_by

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.common.concurrency import CONCURRENCY
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.naming import Owner, is_shared
from airflow_provider_gemini_files.hooks import uploads
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.transfer.memory import MIN_REMEMBERED_BYTES
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.sources import find_source, find_sources
from airflow_provider_gemini_files.transfer.upload import Upload

NAME = "files/af0123"
OWNER = Owner("d", "r", "t", deployment="prod")
GONE = {
    "error": {
        "code": 403,
        "status": "PERMISSION_DENIED",
        "message": "You do not have permission to access the File x or it may not exist.",
    }
}
HOUR = 3600
#: Seconds in which a new file expires soon. The service's clock runs on while the hook's stands still, by some seconds
#: on a busy machine.
UNTIL_EXPIRES_SOON = 47 * HOUR + 600


def calls(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def test_upload_verifies_and_returns_the_file(hook, emulator, text_file):
    file = hook.upload_file(text_file, owner=OWNER)

    assert file == hook.get_file(file)
    assert (file.state, file.size_bytes, file.conn_id) == ("ACTIVE", 20, "gemini_default")
    assert file.sha256 == hashlib.sha256(text_file.read_bytes()).hexdigest()
    assert file.display_name == "note.txt [airflow in=prod dag=d run=r task=t]"
    assert file.owner == OWNER


def test_upload_sends_names_that_the_sdk_does_not(hook, emulator, tmp_path):
    path = tmp_path / "Tür - 日本.v2.txt"
    path.write_text("ü")

    assert hook.upload_file(path).display_name == "Tür - 日本.v2.txt"
    assert emulator.journal[0]["body"]["file"]["displayName"] == "Tür - 日本.v2.txt"


def test_upload_streams_a_source_that_is_larger_than_one_read(hook, tmp_path):
    path = tmp_path / "large.txt"
    path.write_bytes(b"0123456789" * 300_000)

    assert hook.upload_file(path).size_bytes == 3_000_000


def test_upload_sends_nothing_if_the_named_file_exists(hook, emulator, text_file):
    first = hook.upload_file(text_file, name=NAME)
    emulator.clear_journal()

    assert hook.upload_file(text_file, name=NAME) == first
    assert calls(emulator) == ["get"]


def test_upload_replaces_the_owners_file_of_that_name_and_another_size(hook, emulator, text_file):
    hook.upload_file(text_file, name=NAME, owner=OWNER)
    text_file.write_text("longer than it was before")

    assert hook.upload_file(text_file, name=NAME, owner=OWNER).size_bytes == 25
    assert emulator.usage() == {"files": 1, "bytes": 25}


def test_two_tasks_racing_for_a_name_end_with_one_file(hook, emulator, text_file):
    winner = GeminiFilesHook().upload_file(text_file, name=NAME, owner=OWNER)
    # What the loser saw before the winner had finished.
    emulator.faults.add("get", "status", status=403, body=GONE)

    assert hook.upload_file(text_file, name=NAME, owner=OWNER) == winner
    assert emulator.usage()["files"] == 1


def test_upload_takes_a_name_of_the_service_if_its_own_is_taken_by_an_invisible_file(hook, emulator, text_file):
    hook.upload_file(text_file, name=NAME)
    emulator.faults.add("get", "status", times=2, status=403, body=GONE)

    file = hook.upload_file(text_file, name=NAME)

    assert file.name != NAME
    assert emulator.usage()["files"] == 2


@pytest.mark.parametrize(("fault", "says"), [("wrong_hash", "20 bytes with sha256"), ("wrong_size", "21 bytes")])
def test_upload_deletes_file_that_differs_from_source(hook, emulator, text_file, fault, says):
    emulator.faults.add("finalize", fault)
    sha256 = hashlib.sha256(text_file.read_bytes()).hexdigest()

    with pytest.raises(e.GeminiIntegrityError, match=f"sha256 {sha256} were sent, the service has {says}"):
        hook.upload_file(text_file)

    assert emulator.usage()["files"] == 0


def test_upload_refuses_a_type_with_the_words_of_the_service(hook, text_file):
    with pytest.raises(e.GeminiInputError, match="Unsupported MIME type: bad/type"):
        hook.upload_file(text_file, mime_type="bad/type")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"display_name": "x" * 513}, "at most 512 characters, got 513"),
        ({"name": "files/" + "a" * 43}, "is not a Gemini file"),
        ({"mime_type": "pdf"}, "a type like"),
    ],
)
def test_uploads_that_cannot_succeed_are_refused_before_anything_is_sent(hook, emulator, text_file, options, says):
    with pytest.raises(e.GeminiInputError, match=says):
        hook.upload_files([Upload(find_source(text_file)), Upload(find_source(text_file), **options)])

    assert emulator.journal == []


def test_uploads_are_confined_to_the_allowed_directories(hook, emulator, text_file, monkeypatch):
    monkeypatch.setenv("AIRFLOW__GEMINI_FILES__ALLOWED_LOCAL_PATHS", f"/no/such, {text_file.parent}/below")

    with pytest.raises(e.GeminiInputError, match="outside of the directories"):
        hook.upload_file(text_file)

    monkeypatch.setenv("AIRFLOW__GEMINI_FILES__ALLOWED_LOCAL_PATHS", str(text_file.parent))
    assert hook.upload_file(text_file).size_bytes == 20


def test_name_that_is_not_utf8_is_uploaded_escaped(hook, tmp_path):
    for name in (b"caf\xe9.txt", b"good.txt"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"text")

    files = hook.upload_files([Upload(source) for source in find_sources(tmp_path).sources])

    assert [file.display_name for file in files] == [r"caf\xe9.txt", "good.txt"]


def test_bytes_are_uploaded(hook):
    file = hook.upload_bytes("grüße".encode(), "grüße.txt", owner=OWNER)

    assert (file.size_bytes, file.mime_type, file.owner) == (7, "text/plain", OWNER)
    assert file.uploaded_from is None


def test_content_tells_type_if_name_does_not(hook, tmp_path, video_file):
    (tmp_path / "clip").write_bytes(video_file.read_bytes())

    assert hook.upload_file(tmp_path / "clip").mime_type == "video/mp4"


def test_interrupted_source_is_read_from_where_it_stopped(hook, emulator):
    """A source that cannot seek and fails once: what the service has is not read into the request again."""
    content = bytes(range(256)) * 4 * 4096
    opened: list[int] = []

    def wait_for_arrival() -> None:
        """Wait until the service has taken bytes: after a break it may say how far it got before it has read all."""
        (session,) = emulator.emulator.uploads.values()
        deadline = time.monotonic() + 10
        while session.received < 1024**2 and time.monotonic() < deadline:
            time.sleep(0.001)

    class Stream(io.RawIOBase):
        def __init__(self, offset: int) -> None:
            self._at = offset

        def readinto(self, buffer):
            if len(opened) == 1 and self._at > 1_500_000:
                wait_for_arrival()
                raise TimeoutError("the storage hangs")
            data = content[self._at : self._at + len(buffer)]
            buffer[: len(data)] = data
            self._at += len(data)
            return len(data)

    def open_at(offset: int) -> Stream:
        opened.append(offset)
        return Stream(offset)

    emulator.settings.granularity = 256 * 1024
    source = Source("x://a.txt", "a.txt", len(content), ("1",), open_at)

    assert hook.upload_file(source, mime_type="text/plain").sha256 == hashlib.sha256(content).hexdigest()
    assert opened[0] == 0
    assert len(opened) > 1
    assert all(0 < offset <= 2 * 1024**2 for offset in opened[1:])


# --- what the service asks for -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["start", "finalize"])
@pytest.mark.parametrize("status", [429, 503])
def test_upload_waits_as_long_as_the_service_asks(hook, emulator, clock, text_file, method, status):
    emulator.faults.add(method, "status", status=status, body="<html>busy", headers={"Retry-After": "9"})

    hook.upload_file(text_file)

    assert clock.slept == [9]
    assert emulator.usage()["files"] == 1


@pytest.mark.parametrize("action", ["rate_limit", "daily_quota"])
def test_upload_does_not_wait_for_more_than_a_minute(hook, emulator, clock, text_file, action):
    emulator.faults.add("start", action, seconds=3600)

    with pytest.raises(e.GeminiRateLimitError) as failed:
        hook.upload_file(text_file)

    assert failed.value.retry_after > 60
    assert clock.slept == []
    assert calls(emulator) == ["start"]


def test_error_of_several_uploads_keeps_requested_delay(hook, emulator, many):
    emulator.faults.add("start", "rate_limit", seconds=3600)

    with pytest.raises(e.GeminiRateLimitError) as failed:
        hook.upload_files(many)

    assert failed.value.retry_after == 3600
    assert [type(error) for error in failed.value.errors] == [e.GeminiRateLimitError]
    assert emulator.usage()["files"] == len(many) - 1


def test_gateway_page_is_not_a_refusal(hook, emulator, text_file):
    emulator.faults.add("start", "status", status=404, body="<html>Not found", content_type="text/html")

    assert hook.upload_file(text_file).size_bytes == 20


# --- gateways ------------------------------------------------------------------------------------------------------


@pytest.fixture
def unreachable_upload_host(emulator) -> str:
    """Let the next session be on a host that the worker cannot reach."""
    headers = {"x-goog-upload-url": "http://127.0.0.1:9/upload/v1beta/files?upload_id=capability"}
    emulator.faults.add("start", "status", status=200, body={}, headers=headers | {"x-goog-upload-status": "active"})
    return "http://127.0.0.1:9"


def test_unreachable_upload_host_is_named_with_upload_via_host(
    connect, emulator, clock, text_file, unreachable_upload_host
):
    connect(host=emulator.base_url, extra={"max_retries": 0})

    with pytest.raises(e.GeminiServiceError, match=f"{unreachable_upload_host} failed .*upload_via_host") as failed:
        GeminiFilesHook(clock=clock).upload_file(text_file)

    assert "capability" not in str(failed.value)


def test_upload_via_host_sends_to_the_connections_host(connect, emulator, clock, text_file, unreachable_upload_host):
    connect(host=emulator.base_url, extra={"max_retries": 1, "upload_via_host": True})

    GeminiFilesHook(clock=clock).upload_file(text_file)

    # The emulator does not know the first session.
    assert calls(emulator) == ["start", "finalize", "start", "finalize"]
    assert emulator.usage()["files"] == 1


# --- interruptions -------------------------------------------------------------------------------------------------


def test_interruption_is_logged_with_its_reason(hook, emulator, text_file, mocker):
    emulator.faults.add("start", "overloaded")
    info = mocker.spy(hook.log, "info")

    hook.upload_file(text_file)

    [line] = [line for line in logged_by(info) if "resumes" in line]
    assert re.fullmatch(rf"Cannot upload '{text_file.name}': .*overloaded.* The upload resumes in .* s\.", line)


# --- full storage --------------------------------------------------------------------------------------------------


def test_full_storage_is_not_tried_again(connect, gemini_emulator, text_file):
    gemini_emulator.settings.quota_bytes = 10
    connect(host=gemini_emulator.base_url)

    with pytest.raises(e.GeminiStorageFullError, match=r"20 B did not fit; 0 files use 0 B of 20\.0 GiB") as full:
        GeminiFilesHook().upload_file(text_file, owner=OWNER)

    assert full.value.missing_bytes == 20
    # Neither the mark of the owner nor an expiry that is not known.
    assert full.value.message.startswith(f"Cannot upload '{text_file.name}': ")
    assert "None" not in full.value.message
    assert calls(gemini_emulator) == ["start", "list"]


def test_full_storage_names_what_fills_it(hook, emulator, text_file):
    hook.upload_bytes(b"x" * 1000, "a.txt", owner=OWNER)
    other = hook.upload_bytes(b"x" * 24, "b.txt")
    emulator.faults.add("upload", "storage_full")

    with pytest.raises(e.GeminiStorageFullError) as full:
        hook.upload_file(text_file)

    assert "2 files use 1.0 KiB of 20.0 GiB, 1 of them uploaded by Airflow" in str(full.value)
    assert f"the next expires at {other.expiration_time[:10]}" in str(full.value)
    assert emulator.usage()["files"] == 2


def test_full_storage_is_reported_even_if_the_files_cannot_be_listed(hook, emulator, text_file):
    emulator.faults.add("start", "storage_full")
    emulator.faults.add("list", "outage", times=2)

    with pytest.raises(e.GeminiStorageFullError, match=r"20 B did not fit; the usage cannot be read") as full:
        hook.upload_file(text_file)

    assert full.value.missing_bytes == 20


# --- logs and metrics ----------------------------------------------------------------------------------------------


def test_session_url_of_large_file_is_masked_in_logs(hook, tmp_path, mocker):
    mask = mocker.patch.object(uploads, "mask_secret", autospec=True)
    (tmp_path / "large.txt").write_bytes(b"x" * (MIN_REMEMBERED_BYTES + 1))

    hook.upload_file(tmp_path / "large.txt")

    assert any("upload_id=" in call.args[0] for call in mask.call_args_list)


def test_no_session_url_is_logged_wherever_it_leads(hook, emulator, text_file, caplog):
    # A gateway may answer with a session on another host than the connection's.
    elsewhere = emulator.base_url.replace("127.0.0.1", "localhost")
    url = f"{elsewhere}/upload/v1beta/files?upload_id=capability&upload_protocol=resumable"
    headers = {"x-goog-upload-url": url, "x-goog-upload-status": "active"}
    emulator.faults.add("start", "status", status=200, body={}, headers=headers)

    with caplog.at_level(logging.DEBUG):
        hook.upload_file(text_file)

    # The session does not exist there, and is replaced.
    assert calls(emulator) == ["start", "finalize", "start", "finalize"]
    assert "capability" not in caplog.text


def test_name_cannot_write_lines_or_folds_into_the_log(emulator, tmp_path, mocker):
    log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)
    (tmp_path / "::group::a\n::endgroup::.txt").write_text("x")

    GeminiFilesHook().upload_file(tmp_path / "::group::a\n::endgroup::.txt")

    lines = [call.args[0] % call.args[1:] for call in log.info.call_args_list]
    assert all("\n" not in line for line in lines)
    assert [line[:12] for line in lines if line.startswith("::")] == ["::group::Upl", "::endgroup::"]


@pytest.mark.parametrize(("number", "lines"), [(1, 0), (2, 2), (20, 20), (21, 0)])
def test_each_of_a_few_files_has_a_line_outside_the_folded_group(emulator, tmp_path, mocker, number: int, lines: int):
    log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)
    sources = [tmp_path / f"{index}.txt" for index in range(number)]
    for source in sources:
        source.write_text(source.name)
    files = GeminiFilesHook().upload_files([Upload(find_source(source)) for source in sources])
    messages = [call.args[0] % call.args[1:] for call in log.info.call_args_list]
    [*open_lines, last] = messages[messages.index("::endgroup::") + 1 :]

    assert "Uploaded" in last
    of_files = [f"{file.name} (ACTIVE): {source.name}" for file, source in zip(files, sources, strict=True)]
    assert open_lines == of_files[:lines]


def test_sent_bytes_and_files_are_counted(hook, emulator, text_file, monkeypatch):
    counted: list[tuple[str, int]] = []
    timed: list[str] = []

    class Recorder:
        def incr(self, name: str, count: int = 1) -> None:
            counted.append((name, count))

        def timing(self, name: str, milliseconds: float) -> None:
            timed.append(name)

    monkeypatch.setattr(uploads, "Stats", Recorder())
    emulator.faults.add("finalize", "reset")

    hook.upload_file(text_file, name=NAME)
    hook.upload_file(text_file, name=NAME)

    # The broken request counts, too; the second upload sends nothing.
    assert sorted(counted) == [
        ("gemini_files.upload.bytes", 40),
        ("gemini_files.upload.files", 1),
        ("gemini_files.upload.resumes", 1),
    ]
    assert timed == ["gemini_files.upload.seconds"] * 2


# --- sharing and expiry --------------------------------------------------------------------------------------------


def test_same_bytes_are_shared_under_any_source_name(hook, emulator, text_file, tmp_path):
    (tmp_path / "copy.txt").write_bytes(text_file.read_bytes())

    first = hook.upload_file(text_file, share=True, owner=OWNER)
    again = GeminiFilesHook().upload_file(tmp_path / "copy.txt", share=True, owner=replace(OWNER, run_id="r2"))

    assert again == first
    assert is_shared(first.display_name)
    assert first.owner is None
    assert emulator.usage()["files"] == 1
    assert calls(emulator).count("finalize") == 1


def test_same_bytes_of_another_type_are_another_file(hook, emulator, text_file):
    hook.upload_file(text_file, share=True)
    hook.upload_file(text_file, share=True, mime_type="text/csv")

    assert emulator.usage()["files"] == 2


def test_each_deployment_has_its_own_shared_file(hook, emulator, text_file):
    for deployment in ("staging", "prod"):
        hook.upload_file(text_file, share=True, owner=replace(OWNER, deployment=deployment))

    assert emulator.usage()["files"] == 2


@pytest.mark.parametrize("how", [{"name": NAME, "owner": OWNER}, {"share": True}], ids=["named", "shared"])
def test_file_that_expires_soon_is_kept_and_its_successor_is_reused(hook, emulator, clock, text_file, how):
    old = hook.upload_file(text_file, **how)
    clock.advance(UNTIL_EXPIRES_SOON)

    successor = hook.upload_file(text_file, **how)

    assert successor.name != old.name
    assert hook.upload_file(text_file, **how) == successor
    assert emulator.usage()["files"] == 2


def test_shared_successor_is_reused_after_first_is_gone(hook, clock, text_file):
    old = hook.upload_file(text_file, share=True)
    clock.advance(UNTIL_EXPIRES_SOON)
    successor = hook.upload_file(text_file, share=True)
    hook.delete_file(old)

    assert hook.upload_file(text_file, share=True) == successor


@pytest.mark.parametrize("how", [{"name": NAME, "owner": OWNER}, {"share": True}], ids=["named", "shared"])
def test_failed_file_is_replaced(hook, emulator, text_file, how):
    emulator.faults.add("finalize", "fail_processing")
    failed = hook.upload_file(text_file, **how)

    file = hook.upload_file(text_file, **how)

    assert (failed.state, file.state) == ("FAILED", "ACTIVE")
    assert emulator.usage()["files"] == 1


# --- many ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path) -> list[Upload]:
    """Return uploads of 30 small files, each of its own size and name."""
    uploads = []
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text("x" * (number + 1))
        uploads.append(Upload(find_source(tmp_path / f"{number}.txt"), name=f"files/af{number}"))
    return uploads


def test_many_are_uploaded_in_order(hook, emulator, many):
    files = hook.upload_files(many)

    assert [file.size_bytes for file in files] == [number + 1 for number in range(30)]
    assert emulator.usage()["files"] == 30


def test_failed_upload_does_not_stop_others_and_retry_sends_only_the_rest(hook, emulator, many):
    for number in (3, 5):
        many[number] = replace(many[number], mime_type="bad/type")

    with pytest.raises(e.GeminiInputError) as failed:
        hook.upload_files(many)

    message = failed.value.message
    assert len(failed.value.errors) == 2
    assert all(f"{many[number].source.uri}: Cannot upload '{number}.txt" in message for number in (3, 5))
    assert "28 files are uploaded and stay: files/af0, files/af1, files/af2, files/af4" in message
    assert message.endswith("A retry finds them again.")
    emulator.clear_journal()

    assert len(hook.upload_files([replace(upload, mime_type=None) for upload in many])) == 30
    assert calls(emulator).count("start") == 2


def test_combined_error_is_transient_if_one_error_is(hook, emulator, many):
    # Two, as the fault may happen to one of them.
    for index in (3, 4):
        many[index] = replace(many[index], mime_type="bad/type")
    emulator.faults.add("start", "rate_limit", seconds=3600)

    with pytest.raises(e.GeminiFilesError) as failed:
        hook.upload_files(many)

    assert type(failed.value) is e.GeminiRateLimitError
    assert {type(error) for error in failed.value.errors} == {e.GeminiRateLimitError, e.GeminiInputError}


def test_no_upload_starts_once_storage_is_full(hook, emulator, many):
    emulator.faults.add("start", "storage_full", times=None)

    with pytest.raises(e.GeminiStorageFullError, match="none succeeded") as full:
        hook.upload_files(many)

    assert full.value.missing_bytes == sum(upload.source.size for upload in many)
    assert calls(emulator).count("start") <= 2 * CONCURRENCY
    emulator.faults.clear()


# --- every fault at every step -------------------------------------------------------------------------------------

FAULTS = {
    "start": ["no_upload_url"],
    "upload": ["no_upload_status", "terminated"],
    "finalize": ["no_upload_status", "terminated", "no_file", "wrong_hash", "wrong_size"],
    "query": ["no_upload_status", "terminated"],
}
ANYWHERE = [
    "reset", "lose_answer", "stall", "storage_full", "rate_limit", "exhausted", "overloaded", "outage", "internal",
    "bad_key", "forbidden", "key_blocked", "referrer_blocked", "short_deadline",
]  # fmt: skip
EVERY = [(method, action) for method, own in FAULTS.items() for action in [*own, *ANYWHERE]]
CONTENT = b"0123456789" * 100_000


@pytest.fixture(scope="module")
def service():
    with GeminiEmulator(granularity=256 * 1024) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def patient_hook(service):
    with pytest.MonkeyPatch.context() as patch:
        fields = {"conn_type": "gemini", "password": API_KEY, "host": service.base_url, "extra": {"max_retries": 3}}
        patch.setenv("AIRFLOW_CONN_GEMINI_DEFAULT", json.dumps(fields))
        hook = GeminiFilesHook(clock=FakeClock(service))
        assert hook.connection.max_retries == 3
    return hook


@pytest.mark.parametrize(("named", "keep_partial"), [(True, False), (False, True)])
@pytest.mark.parametrize(("method", "action"), EVERY)
def test_every_fault_ends_in_one_correct_file_or_one_clear_error(
    service, patient_hook, tmp_path, method, action, keep_partial, named
):
    service.reset()
    service.settings.keep_partial = keep_partial
    source = tmp_path / "größe.txt"
    source.write_bytes(CONTENT)
    if method == "query":
        # Nothing is asked before something went wrong.
        service.faults.add("upload", "reset", after_bytes=600_000)
    if method == "upload":
        # An upload is one request with its end; it comes alone only in pieces.
        service.faults.add("finalize", "overloaded")
    service.faults.add(method, action, **({"seconds": 0.1} if action in ("stall", "rate_limit") else {}))

    file = None
    try:
        file = patient_hook.upload_file(source, name=NAME if named else None)
    except e.GeminiFilesError as error:
        assert "größe.txt" in str(error)  # noqa: PT017 - either end is right
        if isinstance(error, e.GeminiIntegrityError):
            assert service.usage()["files"] == 0
    assert service.faults.unused() == []
    if named and file is None:
        # What a retry of the task then finds or creates.
        file = patient_hook.upload_file(source, name=NAME)
    assert service.usage()["files"] <= 1
    if file is not None:
        assert service.usage() == {"files": 1, "bytes": len(CONTENT)}
        assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_finalize_lost_with_its_session_creates_no_second_file(service, patient_hook, text_file):
    service.reset()
    service.faults.add("finalize", "lose_answer")
    service.faults.add("query", "status", status=404, body="Upload not found.")

    file = patient_hook.upload_file(text_file)

    assert service.usage() == {"files": 1, "bytes": 20}
    assert file == patient_hook.get_file(file)
