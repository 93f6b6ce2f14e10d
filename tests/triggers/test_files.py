from __future__ import annotations

import asyncio
import time

from airflow_provider_gemini_files.files.state import files_of_event
from airflow_provider_gemini_files.triggers.files import GeminiFileStateTrigger


def run(*names: str, seconds: float = 10) -> list[dict]:
    trigger = GeminiFileStateTrigger(
        gemini_conn_id="gemini_default", file_names=list(names), poll_interval=0.1, deadline=time.time() + seconds
    )

    async def events() -> list[dict]:
        return [event.payload async for event in trigger.run()]

    return asyncio.run(events())


def test_one_event_when_all_are_active_in_the_order_asked_for(emulator, hook, video_file, text_file):
    emulator.settings.video_seconds = 0.5
    names = [hook.upload_file(path).name for path in (video_file, text_file)]

    [event] = run(*names)

    assert [(file.name, file.state) for file in files_of_event(event)] == [(name, "ACTIVE") for name in names]


def test_what_is_active_is_not_asked_for_again(emulator, hook, video_file, text_file):
    emulator.settings.video_seconds = 1.5
    video, text = (hook.upload_file(path).name for path in (video_file, text_file))
    emulator.emulator.journal.clear()

    run(video, text)

    asked = [entry["path"].rpartition("/v1beta/")[2] for entry in emulator.journal]
    assert asked.count(text) == 1
    assert asked.count(video) > 1


def test_a_file_that_is_gone_is_an_event(emulator):
    [event] = run("files/gone")

    assert event["error"] == "GeminiFileGoneError"


def test_the_deadline_is_an_event(emulator, hook, video_file):
    [event] = run(hook.upload_file(video_file).name, seconds=0.3)

    assert event["error"] == "GeminiWaitTimeoutError"
    assert "last seen: PROCESSING" in event["message"]


def test_a_connection_of_no_use_is_an_event(connect):
    connect(extra={"modell": "x"})

    [event] = run("files/a")

    assert event["error"] == "GeminiInputError"


def test_it_can_be_run_again(emulator, hook, text_file):
    name = hook.upload_file(text_file).name

    assert run(name) == run(name)


def test_it_serializes_to_what_it_was_made_of():
    trigger = GeminiFileStateTrigger(gemini_conn_id="c", file_names=["files/a"], poll_interval=2.0, deadline=5.0)
    path, arguments = trigger.serialize()

    assert path.endswith(".GeminiFileStateTrigger")
    assert GeminiFileStateTrigger(**arguments).serialize() == (path, arguments)
