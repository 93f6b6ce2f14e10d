from __future__ import annotations

import asyncio

import pytest
from support import create_files

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.hooks import sdk
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook


def paths(emulator, method: str) -> list[str]:
    return [entry["path"] for entry in emulator.journal if entry["method"] == method]


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


def in_loop(work) -> object:
    """Call a hook that is connected in an event loop."""

    async def connected() -> object:
        hook = GeminiFilesHook()
        await hook.aconnect()
        try:
            return await work(hook)
        finally:
            await hook.aclose()

    return asyncio.run(connected())


def test_a_look_from_an_event_loop_sees_the_same(hook, text_file):
    file = hook.upload_file(text_file)

    assert in_loop(lambda hook: hook.aget_file(file.name)) == file


def test_a_delete_from_an_event_loop_is_idempotent(hook, emulator, text_file):
    file = hook.upload_file(text_file)

    for _ in range(2):
        in_loop(lambda hook: hook.adelete_file(file))

    assert emulator.usage()["files"] == 0


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ({"action": "overloaded"}, e.GeminiServiceError, "The model is overloaded"),
        ({"action": "rate_limit"}, e.GeminiRateLimitError, "Cannot get files/abc: "),
        ({"action": "reset"}, e.GeminiServiceError, "the service cannot be reached"),
        ({"action": "gone"}, e.GeminiFileGoneError, "Upload it again"),
        ({"action": "status", "status": 200, "body": "<html>Sign in"}, e.GeminiServiceError, "is an HTML page"),
    ],
)
def test_an_answer_in_an_event_loop_means_what_it_means_elsewhere(emulator, fault, error, says):
    emulator.faults.add("get", **fault)

    with pytest.raises(error, match=says):
        in_loop(lambda hook: hook.aget_file("abc"))


def test_a_file_that_is_processing_is_told_before_the_model_is_asked(hook, emulator, video_file):
    name = hook.upload_file(video_file).name

    with pytest.raises(e.GeminiFileNotActiveError, match="is PROCESSING, not ACTIVE: put a GeminiFileStateSensor"):
        hook.active_files([name])


def test_a_delete_whose_answer_was_lost_counts_as_done(hook, mocker):
    mocker.patch("tenacity.nap.time.sleep", autospec=True)
    gone = e.GeminiFileGoneError("gone")
    mocker.patch.object(sdk, "delete_file", autospec=True, side_effect=[ConnectionResetError("by peer"), gone])

    assert hook.delete_file("abc", ignore_missing=False) is True
