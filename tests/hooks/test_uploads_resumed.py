"""An upload that one try of a task begins and another finishes, through the task state store."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.fernet import Fernet
from transfer_store import Store

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.transfer import session
from airflow_provider_gemini_files.transfer.sources import find_source
from airflow_provider_gemini_files.transfer.upload import Upload

crypto = pytest.importorskip("airflow.sdk.crypto", reason="Airflow keeps no task state before 3.3")
MIB = 1024**2


@pytest.fixture(autouse=True)
def fernet(mocker):
    """Give Airflow a Fernet key."""
    made = crypto._RealFernet(Fernet(Fernet.generate_key()))
    mocker.patch.object(crypto, "get_fernet", autospec=True, return_value=made)


@pytest.fixture
def large(tmp_path):
    """Return a file of 10 MiB, no two of its blocks alike."""
    path = tmp_path / "large.txt"
    path.write_bytes(b"".join(b"%015d\n" % number for number in range(10 * MIB // 16)))
    return path


@pytest.fixture
def store(emulator, large, connect):
    """Return what a first try left that broke off after 6 MiB, and could not even ask."""
    connect(host=emulator.base_url, extra={"max_retries": 0})
    emulator.settings.granularity = MIB
    emulator.faults.add("upload", "reset", after_bytes=6 * MIB + 5)
    store = Store()
    with pytest.raises(e.GeminiServiceError, match="broke off"):
        GeminiFilesHook().upload_files([Upload(find_source(large), name="files/af1")], store=store)
    assert len(store.kept) == 1
    emulator.clear_journal()
    return store


def again(store, large, **options):
    [file] = GeminiFilesHook().upload_files([Upload(find_source(large), name="files/af1", **options)], store=store)
    return file


def sends(emulator) -> list[tuple[str, str | None]]:
    return [(entry["call"], entry.get("offset")) for entry in emulator.journal if entry["method"] == "POST"]


def test_the_next_try_sends_the_rest_only(emulator, store, large):
    file = again(store, large)

    assert sends(emulator) == [("query", None), ("finalize", str(6 * MIB))]
    assert file.sha256 == hashlib.sha256(large.read_bytes()).hexdigest()
    assert emulator.usage() == {"files": 1, "bytes": 10 * MIB}
    assert store.kept == {}


def test_a_source_that_changed_is_sent_anew(emulator, store, large):
    large.write_bytes(b"x" * 10 * MIB)

    file = again(store, large)

    assert sends(emulator) == [("start", None), ("finalize", "0")]
    assert file.sha256 == hashlib.sha256(b"x" * 10 * MIB).hexdigest()


def test_another_type_is_another_upload(emulator, store, large):
    assert again(store, large, mime_type="text/csv").mime_type == "text/csv"
    assert sends(emulator)[0] == ("start", None)


def test_a_session_that_died_meanwhile_is_replaced(emulator, store, large):
    emulator.clock.advance(8 * 86400)

    again(store, large)

    assert sends(emulator) == [("query", None), ("start", None), ("finalize", "0")]


def test_a_try_that_died_right_after_its_end_sends_nothing(emulator, store, large):
    kept = dict(store.kept)
    first = again(store, large)
    store.kept = kept
    emulator.clear_journal()
    # The file is not found by its name, but the session tells of it.
    [file] = GeminiFilesHook().upload_files(
        [Upload(find_source(large), name="files/af1", min_remaining_ttl=10**9)], store=store
    )

    assert file == first
    assert sends(emulator) == [("query", None)]


def test_a_file_that_was_deleted_after_its_end_is_sent_again(emulator, store, large):
    kept = dict(store.kept)
    GeminiFilesHook().delete_file(again(store, large))
    store.kept = kept
    emulator.clear_journal()

    file = again(store, large)

    assert file == GeminiFilesHook().get_file("af1")
    assert sends(emulator) == [("query", None), ("start", None), ("finalize", "0")]


def test_a_small_file_is_not_worth_remembering(hook, text_file):
    store = Store(broken=True)

    hook.upload_files([Upload(find_source(text_file))], store=store)

    assert text_file.stat().st_size < session.DEFAULT_GRANULARITY
