"""Files that are gone, uploaded again from where they came."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.naming import Owner, is_shared
from airflow_provider_gemini_files.files.reference import GeminiFile, UploadedFrom
from airflow_provider_gemini_files.transfer.sources import find_source

OWNER = Owner("a_dag", "a_run", "upload", 3)
THREE_DAYS = 72 * 3600


@pytest.fixture
def gone(hook, emulator, text_file) -> GeminiFile:
    """Return the metadata of a file that has expired."""
    file = hook.upload_file(text_file, name="files/af0123", owner=OWNER)
    emulator.clock.advance(THREE_DAYS)
    return GeminiFile.from_dict(file.to_dict())


def test_it_has_the_name_the_owner_and_the_type_it_had(hook, emulator, gone):
    made = hook.reupload_file(gone)

    assert made.name == gone.name
    assert made.owner == OWNER
    assert made.display_name == gone.display_name
    assert (made.mime_type, made.sha256, made.state) == (gone.mime_type, gone.sha256, "ACTIVE")
    assert emulator.usage()["files"] == 1


def test_a_video_is_waited_for(hook, emulator, video_file, mocker):
    emulator.settings.video_seconds = 12
    gone = hook.upload_file(video_file)
    emulator.clock.advance(THREE_DAYS)
    sleep = mocker.patch("airflow_provider_gemini_files.hooks.files.time.sleep", autospec=True)
    sleep.side_effect = emulator.clock.advance

    assert hook.reupload_file(gone).state == "ACTIVE"
    assert 12 <= sum(call.args[0] for call in sleep.call_args_list) < 30


def test_what_all_runs_share_stays_shared(hook, emulator, text_file):
    gone = hook.upload_file(text_file, share=True)
    emulator.clock.advance(THREE_DAYS)

    made = hook.reupload_file(gone)

    assert made.name == gone.name
    assert is_shared(made.display_name)


def test_two_tasks_that_upload_it_again_end_with_one_file(hook, emulator, gone):
    first, second = hook.reupload_file(gone), hook.reupload_file(gone)

    assert first == second
    assert emulator.usage()["files"] == 1


def test_a_source_that_has_changed_is_uploaded_with_a_warning(hook, emulator, gone, text_file, capsys):
    text_file.write_text("another note of more words")

    made = hook.reupload_file(gone)

    assert made.size_bytes == 26
    assert f"{text_file} has changed since {gone.name} was uploaded from it" in capsys.readouterr().out


def test_another_name_is_told_where_the_old_one_cannot_be_had(hook, emulator, gone, capsys):
    emulator.faults.add("start", "already_exists")

    made = hook.reupload_file(gone)

    assert made.name != gone.name
    assert made.owner == OWNER
    assert f"{made.name} stands for {gone.name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        (None, "what it was uploaded from is not known"),
        (UploadedFrom("/no/such/file.txt"), "its source cannot be read again: Source '/no/such/file.txt'"),
        (UploadedFrom("gs://bucket/a.txt", "a_connection"), "no file system for gs://"),
        (UploadedFrom("https://host/a.txt", complete=False), "came from 'https://host/a.txt', whose user or query"),
        (UploadedFrom("http://127.0.0.1:9/a.txt"), "not a public address"),
    ],
)
def test_what_cannot_be_uploaded_again_names_source_and_task(hook, emulator, gone, origin, why):
    started = len(emulator.journal)

    with pytest.raises(e.GeminiFileGoneError) as told:
        hook.reupload_file(replace(gone, uploaded_from=origin))

    assert why in str(told.value)
    assert "files/af0123 (note.txt) is gone" in str(told.value)
    assert str(told.value).endswith(
        "Clear task 'upload' (map index 3) of run 'a_run', which uploads it anew, and then this one."
    )
    assert len(emulator.journal) == started


def test_a_source_that_has_become_empty_is_refused_as_an_upload_would_be(hook, gone, text_file):
    text_file.write_text("")

    with pytest.raises(e.GeminiFileGoneError, match="is empty"):
        hook.reupload_file(gone)


def test_where_a_file_came_from_is_kept_without_what_may_be_secret(text_file, mocker):
    page = replace(find_source(text_file), uri="https://host/a.txt")
    mocker.patch("airflow_provider_gemini_files.transfer.web.find", autospec=True, return_value=page)

    assert find_source(os.path.relpath(text_file)).origin == UploadedFrom(str(text_file))
    assert find_source(f"file://{text_file}", "a_connection").origin == UploadedFrom(
        f"file://{text_file}", "a_connection"
    )
    assert find_source("https://host/a.txt#page=2").origin == UploadedFrom("https://host/a.txt")
    for secret in ("https://user:word@host/a.txt", "https://host/a.txt?token=x"):
        assert find_source(secret).origin == UploadedFrom("https://host/a.txt", complete=False)


def test_bytes_of_memory_have_no_source_to_go_back_to(hook):
    assert hook.upload_bytes(b"some", "a.txt").uploaded_from is None
