"""The capacity trigger against the emulator: who goes on, and how many calls all of them make."""

from __future__ import annotations

import asyncio
import time

import pytest
from airflow_provider_gemini_files.files.room import room_event
from support import seed

from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.triggers import usage
from airflow_provider_gemini_files.triggers.storage import GeminiStorageCapacityTrigger

QUOTA = 1000
INTERVAL = 0.3


@pytest.fixture(autouse=True)
def quota(emulator, connect):
    connect(host=emulator.base_url, extra={"quota_bytes": QUOTA})
    seed(emulator.base_url, *[{"name": f"files/f{number}", "size": 100} for number in range(10)])
    emulator.clear_journal()


def trigger(needed: int = 100, seconds: float = 20, **options) -> GeminiStorageCapacityTrigger:
    now = time.time()
    return GeminiStorageCapacityTrigger(
        gemini_conn_id=options.pop("conn_id", "gemini_default"),
        needed_bytes=needed,
        began=now,
        deadline=now + seconds,
        poll_interval=INTERVAL,
        max_poll_interval=INTERVAL,
        **options,
    )


async def event(one: GeminiStorageCapacityTrigger) -> dict:
    return (await anext(one.run())).payload


def run(work) -> object:
    """Run in an event loop of its own, and see that no reader is left."""

    async def all_of_it() -> object:
        result = await work
        await asyncio.sleep(0.05)
        assert usage._readers == {}
        return result

    return asyncio.run(all_of_it())


def test_it_is_told_again_what_it_was_told():
    one = trigger(needed=5, not_before=3.0)
    path, arguments = one.serialize()

    assert path == "airflow_provider_gemini_files.triggers.storage.GeminiStorageCapacityTrigger"
    assert GeminiStorageCapacityTrigger(**arguments).serialize() == (path, arguments)


def test_forty_who_wait_share_their_looks(emulator):
    async def work() -> None:
        waiting = [asyncio.ensure_future(event(trigger(needed=10))) for _ in range(40)]
        await asyncio.sleep(3 * INTERVAL)
        assert len(emulator.journal) <= 8
        assert not any(one.done() for one in waiting)
        await asyncio.to_thread(GeminiFilesHook().delete_file, "files/f0")
        # Nobody uploads here, so that each new reading gives the same room again.
        assert all("usage" in found for found in await asyncio.gather(*waiting))

    run(work())


def test_the_room_of_a_reading_is_given_out_once(emulator):
    for number in range(5):
        GeminiFilesHook().delete_file(f"files/f{number}")
    emulator.clear_journal()

    async def work() -> list[int]:
        async with usage.usage_reader("gemini_default") as reader:
            free = []
            for _ in range(7):
                free.append(reader.unclaimed(await reader.read(60)).free_bytes)
                if free[-1] >= 100:
                    reader.claim(100)
            return free

    assert run(work()) == [500, 400, 300, 200, 100, 0, 0]
    assert len(emulator.journal) == 1


def test_the_usage_travels_in_the_event(emulator):
    found = run(event(trigger(needed=0)))

    assert found == room_event(GeminiFilesHook().usage())


def test_the_deadline_ends_it():
    found = run(event(trigger(seconds=0.5)))

    assert found["error"] == "GeminiWaitTimeoutError"
    assert "1000 B of 1000 B" in found["message"]


def test_it_does_not_look_before_its_time(emulator):
    async def work() -> None:
        waiting = asyncio.ensure_future(event(trigger(not_before=time.time() + 60, seconds=1)))
        await asyncio.sleep(0.4)
        assert emulator.journal == []
        # A time after the deadline is no reason to stay longer.
        assert (await waiting)["error"] == "GeminiWaitTimeoutError"

    run(work())


def test_a_connection_of_no_use_ends_it_at_once():
    found = run(event(trigger(conn_id="nowhere")))

    assert found["error"] == "GeminiInputError"
    assert "nowhere" in found["message"]


def test_hiccups_of_the_service_are_survived(emulator):
    emulator.faults.add("list", "overloaded", times=2)
    emulator.faults.add("list", "rate_limit", seconds=0, nth=3)

    assert "usage" in run(event(trigger(needed=0)))


def test_one_who_leaves_does_not_take_the_reading_of_others(emulator):
    emulator.faults.add("list", "stall", seconds=1)

    async def work() -> dict:
        one, other = (asyncio.ensure_future(event(trigger(needed=0))) for _ in range(2))
        await asyncio.sleep(0.3)
        one.cancel()
        return await other

    assert "usage" in run(work())
    assert len(emulator.journal) == 1
