from __future__ import annotations

import asyncio

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred
from support import FakeClock, seed

from airflow_provider_gemini_files import usage_history
from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.sensors.storage import GeminiStorageCapacitySensor
from airflow_provider_gemini_files.triggers.storage import GeminiStorageCapacityTrigger


@pytest.fixture(autouse=True)
def quota(emulator, connect):
    """Leave 50 of 1000 bytes free."""
    connect(host=emulator.base_url, extra={"quota_bytes": 1000, "max_retries": 0})
    seed(emulator.base_url, {"name": "files/a", "size": 950})


def sensor(**options) -> GeminiStorageCapacitySensor:
    return GeminiStorageCapacitySensor(task_id="wait", **{"needed_bytes": 100, "poke_interval": 0.2, **options})


def deferred_by(one: GeminiStorageCapacitySensor, context: dict) -> GeminiStorageCapacityTrigger:
    with pytest.raises(TaskDeferred) as deferred:
        one.execute(context)
    return deferred.value.trigger


def event_of(trigger: GeminiStorageCapacityTrigger) -> dict:
    """Run a trigger as a triggerer does, from its row; its time passes at once."""
    _, row = trigger.serialize()
    clock = FakeClock(now=row["began"])

    async def first() -> dict:
        return (await anext(GeminiStorageCapacityTrigger(**row, clock=clock).run())).payload

    return asyncio.run(first())


def test_usage_is_returned_if_there_is_enough_space(context):
    found = sensor(needed_bytes="50").execute(context)

    assert (found["used_bytes"], found["free_bytes"], found["files"]) == (950, 50, 1)


def test_poke_is_done_once_there_is_enough_space(context, hook):
    one = sensor()
    assert not one.poke(context).is_done
    hook.delete_file("files/a")

    assert one.poke(context).is_done


def test_poke_tolerates_a_failing_service_as_the_triggerer_does(context, emulator):
    emulator.faults.add("list", "overloaded", times=5)
    one = sensor()

    for _ in range(4):
        assert not one.poke(context).is_done
    with pytest.raises(GeminiServiceError, match="5 polls failed in a row"):
        one.poke(context)


def test_wait_continues_in_the_triggerer(context, hook):
    one = sensor(deferrable=True)
    trigger = deferred_by(one, context)
    hook.delete_file("files/a")

    assert one.execute_complete(context, event_of(trigger))["free_bytes"] == 1000


def test_timeout_in_the_triggerer_is_a_sensor_timeout(context):
    one = sensor(deferrable=True, timeout=300)

    with pytest.raises(AirflowSensorTimeout, match=r"100 B of free space .*the deadline has passed"):
        one.execute_complete(context, event_of(deferred_by(one, context)))


@pytest.mark.parametrize("wrong", [0, -1, "many"])
def test_anything_but_a_number_of_bytes_is_refused(context, wrong):
    with pytest.raises(GeminiInputError, match="needed_bytes must be a whole number, at least 1"):
        sensor(needed_bytes=wrong).execute(context)


def test_usage_is_recorded_in_the_worker_once_there_is_enough_space(context, hook, variables):
    one = sensor()
    one.poke(context)
    assert variables.kept == {}
    hook.delete_file("files/a")
    one.poke(context)

    [sample] = usage_history.of_task.load("gemini_default").samples
    assert (sample.files, sample.used_bytes, sample.by_kind) == (0, 0, None)


def test_usage_is_recorded_when_the_task_is_resumed_and_not_in_the_triggerer(context, hook, variables):
    one = sensor(deferrable=True)
    trigger = deferred_by(one, context)
    hook.delete_file("files/a")
    event = event_of(trigger)
    assert variables.kept == {}
    one.execute_complete(context, event)

    assert len(usage_history.of_task.load("gemini_default").samples) == 1
