from __future__ import annotations

import asyncio
import hashlib

import pytest
from support import create_files

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks import files, sdk
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.transfer.sources import find_source

NAME = "files/af0123"


def paths(emulator, method: str) -> list[str]:
    return [entry["path"] for entry in emulator.journal if entry["method"] == method]


def test_upload_verifies_and_returns_the_file(hook, emulator, text_file):
    file = hook.upload_file(text_file, owner=Owner("d", "r", "t"))

    assert file == hook.get_file(file)
    assert file.state == "ACTIVE"
    assert file.size_bytes == 20
    assert file.sha256 == hashlib.sha256(text_file.read_bytes()).hexdigest()
    assert file.display_name == "note.txt [airflow dag=d run=r task=t]"
    assert file.owner == Owner("d", "r", "t")


def test_upload_takes_names_that_the_sdk_does_not(hook, tmp_path):
    path = tmp_path / "Tür - 日本.v2.txt"
    path.write_text("ü")

    assert hook.upload_file(path).display_name == "Tür - 日本.v2.txt"


def test_upload_streams_what_is_larger_than_a_read(hook, tmp_path):
    path = tmp_path / "large.txt"
    path.write_bytes(b"0123456789" * 300_000)

    assert hook.upload_file(path).size_bytes == 3_000_000


def test_upload_of_a_name_that_is_there_sends_nothing(hook, emulator, text_file):
    first = hook.upload_file(text_file, name=NAME)
    emulator.emulator.journal.clear()

    again = hook.upload_file(text_file, name=NAME)

    assert again == first
    assert paths(emulator, "POST") == []


def test_upload_replaces_a_file_of_that_name_and_another_size(hook, emulator, text_file):
    hook.upload_file(text_file, name=NAME)
    text_file.write_text("longer than it was before")

    assert hook.upload_file(text_file, name=NAME).size_bytes == 25
    assert emulator.usage() == {"files": 1, "bytes": 25}


def test_two_tasks_racing_for_a_name_end_with_one_file(hook, emulator, text_file, mocker):
    winner = GeminiFilesHook().upload_file(text_file, name=NAME)
    # What the loser saw before the winner had finished.
    seen = mocker.patch.object(hook, "_usable", autospec=True, side_effect=[None, winner])

    assert hook.upload_file(text_file, name=NAME) == winner
    assert seen.call_count == 2
    assert emulator.usage()["files"] == 1


def test_a_name_that_a_ghost_has_falls_back_to_a_name_of_the_service(hook, emulator, text_file, mocker):
    hook.upload_file(text_file, name=NAME)
    mocker.patch.object(hook, "_usable", autospec=True, return_value=None)

    file = hook.upload_file(text_file, name=NAME)

    assert file.name != NAME
    assert emulator.usage()["files"] == 2


def test_an_upload_that_arrives_damaged_is_deleted_and_told(hook, emulator, text_file, mocker):
    mocker.patch(
        "airflow_provider_gemini_files.transfer.uploader._HashedStream.sha256", autospec=True, return_value="0" * 64
    )

    with pytest.raises(e.GeminiIntegrityError, match=f"sha256 {'0' * 64}, the service has 20 bytes with sha256"):
        hook.upload_file(text_file)

    assert emulator.usage()["files"] == 0


def test_a_source_that_shrinks_while_it_is_read_is_told(hook, text_file):
    source = find_source(text_file)
    text_file.write_text("short")

    with pytest.raises(e.GeminiInputError, match="ends at 5 of 20 bytes"):
        hook.upload_file(source)


def test_full_storage_is_its_own_error_and_not_tried_again(connect, gemini_emulator, text_file):
    gemini_emulator.settings.quota_bytes = 10
    connect(host=gemini_emulator.base_url)

    with pytest.raises(e.GeminiStorageFullError, match=r"delete files.*then retry"):
        GeminiFilesHook().upload_file(text_file)

    assert len(paths(gemini_emulator, "POST")) == 1


def test_an_unsupported_type_is_refused_with_the_services_words(hook, text_file):
    with pytest.raises(e.GeminiInputError, match="Unsupported MIME type: bad/type"):
        hook.upload_file(text_file, mime_type="bad/type")


def test_list_gives_every_page(hook, emulator):
    create_files(emulator.base_url, 103)
    emulator.emulator.journal.clear()

    assert len({file.name for file in hook.list_files()}) == 103
    assert len(paths(emulator, "GET")) == 2


def test_a_file_that_is_gone_is_told_from_a_bad_key(hook):
    with pytest.raises(e.GeminiFileGoneError, match=r"Cannot get files/abc: .*Upload it again"):
        hook.get_file("abc")


def test_delete_is_idempotent(hook, text_file):
    name = hook.upload_file(text_file).name

    assert hook.delete_file(name) is True
    assert hook.delete_file(name) is False
    with pytest.raises(e.GeminiFileGoneError):
        hook.delete_file(name, ignore_missing=False)


def test_waiting_ends_when_the_video_is_active(hook, emulator, video_file):
    emulator.settings.video_seconds = 0.5
    file = hook.upload_file(video_file)
    assert file.state == "PROCESSING"

    assert hook.wait_for_file(file, poll_interval=0.1).state == "ACTIVE"


def test_waiting_ends_at_its_timeout(hook, video_file):
    file = hook.upload_file(video_file)

    with pytest.raises(e.GeminiWaitTimeoutError, match=file.name):
        hook.wait_for_file(file, timeout=0.3, poll_interval=0.1)


def test_a_look_from_an_event_loop_sees_the_same(hook, text_file):
    file = hook.upload_file(text_file)

    async def look() -> GeminiFile:
        other = GeminiFilesHook()
        await other.aconnect()
        try:
            return await other.aget_file(file.name)
        finally:
            await other.aclose()

    assert asyncio.run(look()) == file


def test_a_file_that_is_processing_is_told_before_the_model_is_asked(hook, emulator, video_file):
    name = hook.upload_file(video_file).name

    with pytest.raises(e.GeminiFileNotActiveError, match="is PROCESSING, not ACTIVE: put a GeminiFileStateSensor"):
        hook.active_files([name])


def test_a_delete_whose_answer_was_lost_counts_as_done(hook, mocker):
    mocker.patch("tenacity.nap.time.sleep", autospec=True)
    gone = e.GeminiFileGoneError("gone")
    mocker.patch.object(sdk, "delete_file", autospec=True, side_effect=[ConnectionResetError("by peer"), gone])

    assert hook.delete_file("abc", ignore_missing=False) is True


def test_the_upload_session_is_masked_in_logs(hook, text_file, mocker):
    mask = mocker.patch.object(files, "mask_secret", autospec=True)

    hook.upload_file(text_file)

    assert any("upload_id=" in call.args[0] for call in mask.call_args_list)
