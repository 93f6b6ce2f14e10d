"""Files that are gone, uploaded again from where they came."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from transfer_store import ObjectStorage

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.naming import Owner, is_shared
from airflow_provider_gemini_files.files.reference import GeminiFile, UploadedFrom
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.transfer.sources import find_source

OWNER = Owner("a_dag", "a_run", "upload", 3, deployment="prod")
THREE_DAYS = 72 * 3600


@pytest.fixture
def gone(hook, clock, text_file) -> GeminiFile:
    """Return the metadata of a file that has expired, as it comes out of XCom."""
    file = hook.upload_file(text_file, name="files/af0123", owner=OWNER)
    clock.advance(THREE_DAYS)
    return GeminiFile.from_dict(file.to_dict())


@pytest.fixture
def logged(mocker) -> list[str]:
    """Return the warnings of hooks that are created from now on."""
    lines: list[str] = []
    log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)
    log.warning.side_effect = lambda text, *values: lines.append(text % values)
    return lines


def test_reupload_keeps_name_owner_and_type(hook, emulator, gone):
    created = hook.reupload_file(gone)

    assert created.name == gone.name
    assert created.owner == OWNER
    assert created.display_name == gone.display_name
    assert (created.mime_type, created.sha256, created.state) == (gone.mime_type, gone.sha256, "ACTIVE")
    assert emulator.usage()["files"] == 1


def test_reupload_waits_until_file_is_active(hook, emulator, clock, video_file):
    emulator.settings.video_seconds = 12
    gone = hook.upload_file(video_file)
    clock.advance(THREE_DAYS)
    before = clock.passed

    assert hook.reupload_file(gone).state == "ACTIVE"
    assert 12 <= clock.passed - before < 30


def test_reupload_of_shared_file_stays_shared(hook, clock, text_file):
    gone = hook.upload_file(text_file, share=True)
    clock.advance(THREE_DAYS)

    created = hook.reupload_file(gone)

    assert created.name == gone.name
    assert is_shared(created.display_name)


def test_reupload_of_shared_file_stays_in_its_deployment(hook, clock, text_file):
    gone = hook.upload_file(text_file, share=True, owner=OWNER)
    clock.advance(THREE_DAYS)

    created = hook.reupload_file(gone)

    assert (created.name, created.display_name) == (gone.name, gone.display_name)


def test_two_concurrent_reuploads_end_with_one_file(hook, emulator, gone):
    first, second = hook.reupload_file(gone), hook.reupload_file(gone)

    assert first == second
    assert emulator.usage()["files"] == 1


def test_reupload_reads_object_with_its_connection(hook, emulator, clock):
    storage = ObjectStorage()
    storage.put(**{"in/a.txt": b"text"})
    gone = hook.upload_file(storage.uri("in/a.txt"))
    clock.advance(THREE_DAYS)

    created = hook.reupload_file(GeminiFile.from_dict(gone.to_dict()))

    assert created.sha256 == gone.sha256
    assert created.uploaded_from == UploadedFrom("memory:///bucket/in/a.txt", storage.conn_id)


def test_reupload_of_changed_source_logs_warning(logged, emulator, clock, gone, text_file):
    text_file.write_text("another note of more words")

    created = GeminiFilesHook(clock=clock).reupload_file(gone)

    assert created.size_bytes == 26
    assert any(f"{text_file} has changed since {gone.name} was uploaded from it" in line for line in logged)


def test_reupload_logs_new_name_if_old_one_is_taken(logged, emulator, clock, gone):
    emulator.faults.add("start", "already_exists")

    created = GeminiFilesHook(clock=clock).reupload_file(gone)

    assert created.name != gone.name
    assert created.owner == OWNER
    assert any(f"{created.name} replaces {gone.name}" in line for line in logged)


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        (None, "its source is not known"),
        (UploadedFrom("/no/such/file.txt"), "its source cannot be read again: Source '/no/such/file.txt'"),
        (UploadedFrom("hdfs://bucket/a.txt", "a_connection"), "no file system for hdfs://"),
        (UploadedFrom("https://host/a.txt", complete=False), "it was uploaded from 'https://host/a.txt', whose user"),
        (UploadedFrom("http://127.0.0.1:9/a.txt"), "not a public address"),
        (UploadedFrom("/etc/"), "is a directory"),
    ],
)
def test_impossible_reupload_names_source_and_task(hook, emulator, gone, origin, why):
    emulator.clear_journal()

    with pytest.raises(e.GeminiFileGoneError) as failed:
        hook.reupload_file(replace(gone, uploaded_from=origin))

    assert why in str(failed.value)
    assert "files/af0123 (note.txt) is gone" in str(failed.value)
    assert failed.value.message.endswith(
        "Clear task 'upload' (map index 3) of run 'a_run', which uploads it again, and then this one."
    )
    assert emulator.journal == []


def test_names_cannot_write_lines_or_folds_into_the_error(hook, gone):
    name = "a\n::endgroup::\x1b[1m"
    owner = Owner("d", f"run {name}", f"task {name}", deployment="prod")

    for origin in (None, UploadedFrom(f"/none/{name}"), UploadedFrom(f"https://h/{name}", complete=False)):
        with pytest.raises(e.GeminiFileGoneError) as failed:
            hook.reupload_file(replace(gone, display_name=name, owner=owner, uploaded_from=origin))

        assert [mark for mark in ("\n", "\x1b", "::endgroup") if mark in str(failed.value)] == []


def test_reupload_reads_no_source_outside_of_allowed_directories(hook, gone, monkeypatch):
    monkeypatch.setenv("AIRFLOW__GEMINI_FILES__ALLOWED_LOCAL_PATHS", "/no/such")

    with pytest.raises(e.GeminiFileGoneError, match="outside of the directories"):
        hook.reupload_file(gone)


def test_reupload_refuses_source_that_has_become_empty(hook, gone, text_file):
    text_file.write_text("")

    with pytest.raises(e.GeminiFileGoneError, match="is empty"):
        hook.reupload_file(gone)


def test_origin_is_kept_without_secret_parts(text_file, mocker):
    page = replace(find_source(text_file), uri="https://host/a.txt")
    mocker.patch("airflow_provider_gemini_files.transfer.web.find", autospec=True, return_value=page)

    assert find_source(os.path.relpath(text_file)).origin == UploadedFrom(str(text_file))
    assert find_source(f"file://{text_file}", "a_connection").origin == UploadedFrom(str(text_file))
    assert find_source("https://host/a.txt#page=2").origin == UploadedFrom("https://host/a.txt")
    for secret in ("https://user:word@host/a.txt", "https://host/a.txt?token=x"):
        assert find_source(secret).origin == UploadedFrom("https://host/a.txt", complete=False)
