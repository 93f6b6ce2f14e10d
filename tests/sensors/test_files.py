from __future__ import annotations

import json
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from support import logged_by, upload_videos

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.events import error_event, files_event
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor
from airflow_provider_gemini_files.triggers.base import SETTLE_SECONDS


def sensor(file_name: object, **arguments: object) -> GeminiFileStateSensor:
    return GeminiFileStateSensor(task_id="wait", file_name=file_name, **{"poke_interval": 0.1, **arguments})


@pytest.mark.parametrize("deferrable", [True, False])
def test_active_file_is_returned_at_once(emulator, hook, context, text_file, deferrable):
    name = hook.upload_file(text_file).name

    assert sensor(name, deferrable=deferrable).execute(context) == name
    assert sensor([name], deferrable=deferrable).execute(context) == [name]


def test_video_is_waited_for_in_the_worker(emulator, hook, context, video_file, text_file):
    emulator.settings.video_seconds = 0.5
    names = [hook.upload_file(path).name for path in (video_file, text_file)]

    assert sensor(names).execute(context) == names


def test_video_is_waited_for_in_the_triggerer(emulator, hook, context, video_file):
    name = hook.upload_file(video_file).name

    with pytest.raises(TaskDeferred) as deferred:
        sensor(name, deferrable=True, timeout=100).execute(context)

    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_provider_gemini_files.triggers.files.GeminiFileStateTrigger"
    assert arguments["file_names"] == [name]
    assert arguments["deadline"] - arguments["began"] == 100
    # Airflow is given the time to see that the deferred task's process has ended.
    assert arguments["not_before"] - arguments["began"] == pytest.approx(SETTLE_SECONDS, abs=1)
    assert "test-key" not in json.dumps(arguments)
    # Airflow's own timeout is a fallback behind the trigger's deadline.
    assert deferred.value.timeout.total_seconds() == pytest.approx(160, abs=1)


@pytest.mark.parametrize("deferrable", [True, False])
def test_gone_file_fails_at_once(emulator, context, deferrable):
    with pytest.raises(e.GeminiFileGoneError, match="files/gone"):
        sensor("files/gone", deferrable=deferrable).execute(context)


def test_timeout_is_a_sensor_timeout_in_both_modes(emulator, hook, context, video_file):
    name = hook.upload_file(video_file).name

    with pytest.raises(AirflowSensorTimeout):
        sensor(name, timeout=0.2).execute(context)
    with pytest.raises(AirflowSensorTimeout, match="last seen: PROCESSING"):
        sensor(name).execute_complete(context, error_event(e.GeminiWaitTimeoutError("last seen: PROCESSING")))


def test_event_of_the_trigger_gives_the_names_back(context):
    event = files_event([GeminiFile("files/b"), GeminiFile("files/a")])

    assert sensor(["files/b", "files/a"]).execute_complete(context, event) == ["files/b", "files/a"]
    assert sensor("files/b").execute_complete(context, files_event([GeminiFile("files/b")])) == "files/b"


def test_error_of_the_trigger_keeps_its_class(context):
    with pytest.raises(e.GeminiFileFailedError, match="codec"):
        sensor("files/a").execute_complete(context, error_event(e.GeminiFileFailedError("bad codec")))


@pytest.mark.parametrize("delete_failed", [True, False])
def test_failed_file_is_deleted_if_wanted(emulator, hook, context, video_file, delete_failed):
    name = hook.upload_file(video_file).name
    emulator.faults.add("get", "fail_processing", error={"code": 3, "message": "unknown codec"})

    with pytest.raises(e.GeminiFileFailedError, match="unknown codec"):
        sensor(name, delete_failed=delete_failed).execute(context)

    assert emulator.usage()["files"] == (0 if delete_failed else 1)


def test_failed_file_seen_by_the_trigger_is_deleted_if_wanted(emulator, hook, context, video_file):
    name = hook.upload_file(video_file).name

    with pytest.raises(e.GeminiFileFailedError):
        sensor(name, delete_failed=True).execute_complete(
            context, error_event(e.GeminiFileFailedError("failed", [name]))
        )

    assert emulator.usage()["files"] == 0


def test_bounds_of_the_polls_are_the_authors(emulator, hook, context, video_file):
    name = hook.upload_file(video_file).name

    with pytest.raises(TaskDeferred) as deferred:
        sensor(name, deferrable=True, poke_interval=3, max_wait=timedelta(seconds=7)).execute(context)

    trigger = deferred.value.trigger
    assert (trigger.poll_interval, trigger.max_poll_interval) == (3, 7)


def test_execution_timeout_bounds_the_deferral(emulator, hook, context, video_file):
    name = hook.upload_file(video_file).name

    with pytest.raises(TaskDeferred) as deferred:
        sensor(name, deferrable=True, timeout=100, execution_timeout=timedelta(seconds=40)).execute(context)

    assert deferred.value.trigger.deadline - deferred.value.trigger.began == 40


def test_120_files_are_polled_with_two_calls(emulator, context):
    names = upload_videos(emulator.base_url, 120)
    emulator.clear_journal()

    assert not sensor(names).poke(context).is_done

    assert [entry["path"] for entry in emulator.journal] == ["/v1beta/files"] * 2


def test_state_and_size_are_logged_once_the_file_is_active(emulator, hook, context, text_file, mocker):
    name = hook.upload_file(text_file).name
    one = sensor(name)
    info = mocker.spy(one.log, "info")

    one.execute(context)

    assert f"{name} is ACTIVE: 20 B, text/plain" in logged_by(info)


def test_type_of_a_file_cannot_write_lines_or_folds_into_the_log(context, mocker):
    one = sensor("files/a")
    info = mocker.spy(one.log, "info")

    one.execute_complete(context, files_event([GeminiFile("files/a", mime_type="a\n::endgroup::")]))

    assert logged_by(info) == ["files/a is ACTIVE: 0 B, a endgroup"]


@pytest.mark.parametrize("argument", ["timeout", "poke_interval"])
class TestDurations:
    @pytest.mark.parametrize("value", [90, 90.0, "90", timedelta(seconds=90)])
    def test_duration_is_taken_in_every_form(self, argument, value):
        assert getattr(sensor("files/a", **{argument: value}), argument) == 90

    @pytest.mark.parametrize("value", ["soon", -1, True, float("nan"), None])
    def test_anything_else_is_refused_when_the_dag_is_parsed(self, argument, value):
        with pytest.raises(e.GeminiInputError, match=f"{argument} is a duration in seconds"):
            sensor("files/a", **{argument: value})


class TestSettingsOfEverySensor:
    """What a failure ends with does not depend on where the sensor has polled."""

    @pytest.mark.parametrize("deferrable", [True, False])
    @pytest.mark.parametrize("setting", ["soft_fail", "never_fail"])
    def test_permanent_error_skips_the_task(self, emulator, context, deferrable, setting):
        with pytest.raises(AirflowSkipException, match=setting):
            sensor("files/gone", deferrable=deferrable, **{setting: True}).execute(context)

    @pytest.mark.parametrize("setting", ["soft_fail", "never_fail"])
    def test_permanent_error_of_the_trigger_skips_the_task(self, context, setting):
        event = error_event(e.GeminiFileGoneError("gone"))

        with pytest.raises(AirflowSkipException, match=setting):
            sensor("files/a", **{setting: True}).execute_complete(context, event)

    @pytest.mark.parametrize("setting", ["soft_fail", "never_fail"])
    def test_timeout_of_the_trigger_skips_the_task(self, context, setting):
        event = error_event(e.GeminiWaitTimeoutError("too long"))

        with pytest.raises(AirflowSkipException, match=setting):
            sensor("files/a", **{setting: True}).execute_complete(context, event)

    def test_failing_service_skips_the_task_with_never_fail_only(self, context):
        event = error_event(e.GeminiServiceError("down"))

        with pytest.raises(AirflowSkipException):
            sensor("files/a", never_fail=True).execute_complete(context, event)
        with pytest.raises(e.GeminiServiceError):
            sensor("files/a", soft_fail=True).execute_complete(context, event)
