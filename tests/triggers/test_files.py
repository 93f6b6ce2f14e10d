from __future__ import annotations

import asyncio
import time

from airflow_provider_gemini_files.files.state import files_of_event
from airflow_provider_gemini_files.triggers.files import GeminiFileStateTrigger


def new_trigger(*names: str, **arguments: object) -> GeminiFileStateTrigger:
    now = time.time()
    defaults = {"began": now, "deadline": now + 10, "poll_interval": 0.1, "max_poll_interval": 0.1}
    return GeminiFileStateTrigger(gemini_conn_id="gemini_default", file_names=list(names), **{**defaults, **arguments})


def run(*names: str, seconds: float = 10) -> list[dict]:
    trigger = new_trigger(*names, deadline=time.time() + seconds)

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
    video, text = [hook.upload_file(path).name for path in (video_file, text_file)]
    emulator.clear_journal()

    run(video, text)

    asked = [entry["path"].rpartition("/v1beta/")[2] for entry in emulator.journal]
    # Two at once are looked up in the list; then there is one left.
    assert asked[0] == "files"
    assert set(asked[1:]) == {video}


def test_a_file_that_is_gone_is_an_event(emulator):
    [event] = run("files/gone")

    assert event["error"] == "GeminiFileGoneError"


def test_the_deadline_is_an_event(emulator, hook, video_file):
    [event] = run(hook.upload_file(video_file).name, seconds=0.3)

    assert event["error"] == "GeminiWaitTimeoutError"
    assert "(PROCESSING)" in event["message"]


def test_a_connection_of_no_use_is_an_event(connect):
    connect(extra={"modell": "x"})

    [event] = run("files/a")

    assert event["error"] == "GeminiInputError"


def test_it_can_be_run_again(emulator, hook, text_file):
    name = hook.upload_file(text_file).name

    assert run(name) == run(name)


def test_it_serializes_to_what_it_was_made_of():
    trigger = new_trigger("files/a", began=1.0, delete_on_kill=True)
    path, arguments = trigger.serialize()

    assert path.endswith(".GeminiFileStateTrigger")
    assert GeminiFileStateTrigger(**arguments).serialize() == (path, arguments)


def test_a_killed_task_takes_its_files_with_it(emulator, hook, video_file):
    name = hook.upload_file(video_file).name

    asyncio.run(new_trigger(name, delete_on_kill=True).on_kill())

    assert emulator.usage()["files"] == 0


def test_files_that_are_not_the_tasks_own_stay_when_it_is_killed(emulator, hook, video_file):
    asyncio.run(new_trigger(hook.upload_file(video_file).name).on_kill())

    assert emulator.usage()["files"] == 1
