from __future__ import annotations

import asyncio
import threading

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred
from support import seed

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.sensors.storage import GeminiStorageCapacitySensor


@pytest.fixture(autouse=True)
def quota(emulator, connect):
    connect(host=emulator.base_url, extra={"quota_bytes": 1000})
    seed(emulator.base_url, {"name": "files/a", "size": 950})


def sensor(**options) -> GeminiStorageCapacitySensor:
    return GeminiStorageCapacitySensor(task_id="wait", **{"needed_bytes": 100, "poke_interval": 0.2, **options})


def test_it_returns_the_usage_where_there_is_room(context):
    found = sensor(needed_bytes="50").execute(context)

    assert (found["used_bytes"], found["free_bytes"], found["files"]) == (950, 50, 1)


def test_it_looks_again_until_there_is_room(context, hook):
    one = sensor()
    assert one.poke(context).is_done is False
    hook.delete_file("files/a")

    assert one.poke(context).is_done is True


def test_it_waits_in_the_triggerer(context, hook):
    one = sensor(deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        one.execute(context)
    timer = threading.Timer(0.5, lambda: hook.delete_file("files/a"))
    timer.start()

    async def first() -> dict:
        return (await anext(deferred.value.trigger.run())).payload

    event = asyncio.run(first())
    timer.join()
    assert one.execute_complete(context, event)["free_bytes"] == 1000


def test_a_wait_that_ends_in_vain_is_a_timeout_of_a_sensor(context):
    one = sensor(deferrable=True, timeout=0.3)
    with pytest.raises(TaskDeferred) as deferred:
        one.execute(context)

    async def first() -> dict:
        return (await anext(deferred.value.trigger.run())).payload

    with pytest.raises(AirflowSensorTimeout, match="100 B of room"):
        one.execute_complete(context, asyncio.run(first()))


@pytest.mark.parametrize("wrong", [0, -1, "many"])
def test_what_is_no_number_of_bytes_is_refused(context, wrong):
    with pytest.raises(GeminiInputError, match="needed_bytes is a number of bytes"):
        sensor(needed_bytes=wrong).execute(context)
