from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.state import failed_event, ready_event
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor
from airflow_provider_gemini_files.triggers.files import SETTLE_SECONDS, GeminiFileStateTrigger


def sensor(file_name: object, **arguments: object) -> GeminiFileStateSensor:
    return GeminiFileStateSensor(task_id="wait", file_name=file_name, **{"poke_interval": 0.1, **arguments})


@pytest.mark.parametrize("deferrable", [True, False])
def test_what_is_active_already_is_returned_at_once(emulator, hook, context, text_file, deferrable):
    name = hook.upload_file(text_file).name

    assert sensor(name, deferrable=deferrable).execute(context) == name
    assert sensor([name], deferrable=deferrable).execute(context) == [name]


def test_a_video_is_waited_for_in_the_worker(emulator, hook, context, video_file, text_file):
    emulator.settings.video_seconds = 0.5
    names = [hook.upload_file(path).name for path in (video_file, text_file)]

    assert sensor(names).execute(context) == names


def test_a_video_is_waited_for_in_the_triggerer(emulator, hook, context, video_file):
    name = hook.upload_file(video_file).name

    with pytest.raises(TaskDeferred) as deferred:
        sensor(name, deferrable=True, timeout=100).execute(context)

    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_provider_gemini_files.triggers.files.GeminiFileStateTrigger"
    assert arguments["file_names"] == [name]
    assert arguments["deadline"] - arguments["began"] == 100
    # Airflow is given the time to see that the deferred task's process has ended.
    assert arguments["not_before"] - arguments["began"] == SETTLE_SECONDS
    assert "test-key" not in json.dumps(arguments)
    # Airflow's own timeout is a net behind the trigger's deadline.
    assert deferred.value.timeout.total_seconds() == 160


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_file_that_is_gone_fails_at_once(emulator, context, deferrable):
    with pytest.raises(e.GeminiFileGoneError, match="files/gone"):
        sensor("files/gone", deferrable=deferrable).execute(context)


def test_a_wait_that_takes_too_long_is_a_sensor_timeout_in_both_modes(emulator, hook, context, video_file):
    name = hook.upload_file(video_file).name

    with pytest.raises(AirflowSensorTimeout):
        sensor(name, timeout=0.2).execute(context)
    with pytest.raises(AirflowSensorTimeout, match="last seen: PROCESSING"):
        sensor(name).execute_complete(context, failed_event(e.GeminiWaitTimeoutError("last seen: PROCESSING")))


def test_the_triggers_event_gives_the_names_back(context):
    event = ready_event([GeminiFile("files/b"), GeminiFile("files/a")])

    assert sensor(["files/b", "files/a"]).execute_complete(context, event) == ["files/b", "files/a"]
    assert sensor("files/b").execute_complete(context, ready_event([GeminiFile("files/b")])) == "files/b"


def test_the_triggers_error_is_raised_as_what_it_was(context):
    with pytest.raises(e.GeminiFileFailedError, match="codec"):
        sensor("files/a").execute_complete(context, failed_event(e.GeminiFileFailedError("bad codec")))


@pytest.mark.parametrize("delete_failed", [True, False])
def test_a_failed_file_is_deleted_where_that_is_wanted(emulator, hook, context, video_file, delete_failed):
    name = hook.upload_file(video_file).name
    emulator.faults.add("get", "fail_processing", error={"code": 3, "message": "unknown codec"})

    with pytest.raises(e.GeminiFileFailedError, match="unknown codec"):
        sensor(name, delete_failed=delete_failed).execute(context)

    assert emulator.usage()["files"] == (0 if delete_failed else 1)


def test_a_failed_file_that_the_trigger_saw_is_deleted_too(emulator, hook, context, video_file):
    name = hook.upload_file(video_file).name

    with pytest.raises(e.GeminiFileFailedError):
        sensor(name, delete_failed=True).execute_complete(
            context, failed_event(e.GeminiFileFailedError("failed", [name]))
        )

    assert emulator.usage()["files"] == 0


def test_the_bounds_of_the_looks_are_the_authors():
    trigger = GeminiFileStateTrigger.deferral(
        gemini_conn_id="c", file_names=["files/a"], poll_interval=3, max_poll_interval=7, seconds=1
    )["trigger"]

    assert (trigger.poll_interval, trigger.max_poll_interval) == (3, 7)
