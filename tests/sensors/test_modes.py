"""What a sensor ends with does not depend on its mode, as far as Airflow allows it."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred
from airflow.sdk.bases.sensor import AirflowRescheduleException
from support import FakeClock, logged_by, upload_videos

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.common.waiting import MAX_FAILED_POLLS
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor
from airflow_provider_gemini_files.triggers.files import GeminiFileStateTrigger

MODES = ["poke", "reschedule", "deferrable"]


class Task:
    """
    A sensor as Airflow runs it: in one process, in one process for each poke, or resumed by a trigger.

    :param mode: one of ``MODES``.
    """

    def __init__(self, mode: str, context: dict, clock: FakeClock, name: str, **options: object) -> None:
        own = {"deferrable": True} if mode == "deferrable" else {"mode": mode}
        self._options = {"task_id": "wait", "file_name": name, "poke_interval": 5, **own, **options}
        self._context = context
        self._clock = clock
        self._first: datetime | None = None
        self.pokes = 0
        context["ti"].get_first_reschedule_date = lambda _: self._first

    def sensor(self) -> GeminiFileStateSensor:
        return GeminiFileStateSensor(**self._options)

    def run(self, pokes: int = 50) -> object:
        """Run to the end, and return the result."""
        try:
            return self.sensor().execute(self._context)
        except AirflowRescheduleException:
            self.pokes += 1
            assert self.pokes < pokes, "the sensor does not end"
            self._first = self._first or datetime.now(UTC)
            return self.run(pokes)
        except TaskDeferred as deferred:
            return self._resume(deferred)

    def _resume(self, deferred: TaskDeferred) -> object:
        _, row = deferred.trigger.serialize()

        async def first() -> dict:
            return (await anext(GeminiFileStateTrigger(**row, clock=self._clock).run())).payload

        try:
            return self.sensor().execute_complete(self._context, asyncio.run(first()))
        except TaskDeferred as again:
            return self._resume(again)


@pytest.fixture
def name(emulator, connect) -> str:
    """Return a file that is ACTIVE once somebody polls it; one request that fails is one poll that fails."""
    connect(host=emulator.base_url, extra={"max_retries": 0})
    emulator.settings.video_seconds = 0
    [name] = upload_videos(emulator.base_url, 1)
    return name


@pytest.mark.parametrize("mode", MODES)
def test_a_few_transient_failures_are_tolerated(emulator, context, clock, name, mode):
    emulator.faults.add("get", "overloaded", times=MAX_FAILED_POLLS - 1)

    assert Task(mode, context, clock, name).run() == name


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_too_many_transient_failures_in_a_row_fail_the_attempt(emulator, context, clock, name, mode):
    emulator.faults.add("get", "outage", times=None)

    with pytest.raises(e.GeminiServiceError, match="5 polls failed in a row"):
        Task(mode, context, clock, name).run()


@pytest.mark.parametrize("mode", MODES)
def test_silent_fail_continues_after_too_many_transient_failures(emulator, context, clock, name, mode):
    emulator.faults.add("get", "overloaded", times=MAX_FAILED_POLLS + 1)

    assert Task(mode, context, clock, name, silent_fail=True).run() == name


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_silent_fail_grants_no_time_beyond_the_timeout(emulator, context, clock, name, mode):
    emulator.faults.add("get", "outage", times=None)

    with pytest.raises(AirflowSensorTimeout):
        Task(mode, context, clock, name, silent_fail=True, timeout=100).run()


@pytest.mark.parametrize("mode", MODES)
def test_silent_fail_does_not_hide_a_permanent_error(context, clock, emulator, mode):
    with pytest.raises(e.GeminiFileGoneError):
        Task(mode, context, clock, "files/gone", silent_fail=True).run()


def test_rescheduled_sensor_tolerates_transient_failures_as_they_cannot_be_counted(emulator, context, clock, name):
    emulator.faults.add("get", "overloaded", times=3 * MAX_FAILED_POLLS)
    task = Task("reschedule", context, clock, name)

    assert task.run() == name
    assert task.pokes == 3 * MAX_FAILED_POLLS


def test_rescheduled_sensor_fails_after_its_timeout(emulator, context, clock, name):
    emulator.faults.add("get", "outage", times=None)
    context["ti"].get_first_reschedule_date = lambda _: datetime.now(UTC) - timedelta(seconds=200)

    with pytest.raises(AirflowSensorTimeout):
        GeminiFileStateSensor(task_id="wait", file_name=name, mode="reschedule", timeout=100).execute(context)


def test_rescheduled_sensor_logs_since_when_it_waits(emulator, context, mocker):
    [name] = upload_videos(emulator.base_url, 1)
    context["ti"].get_first_reschedule_date = lambda _: datetime.now(UTC) - timedelta(seconds=200)
    sensor = GeminiFileStateSensor(task_id="wait", file_name=name, mode="reschedule")
    info = mocker.spy(sensor.log, "info")

    with pytest.raises(AirflowRescheduleException):
        sensor.execute(context)

    [line] = [line for line in logged_by(info) if line.startswith("Waited")]
    assert re.fullmatch(rf"Waited 20\d* s for {name} \(PROCESSING\) to become ACTIVE", line)


def test_event_of_a_sensor_that_was_deferred_by_an_older_version_ends_it(context):
    event = {"version": 2, "error": {"class": "GeminiServiceError", "message": "down"}}
    sensor = GeminiFileStateSensor(task_id="wait", file_name="files/a", silent_fail=True)

    with pytest.raises(e.GeminiServiceError):
        sensor.execute_complete(context, event)
