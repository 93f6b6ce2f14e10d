"""The poller against the emulator: how many calls it makes, and whom it keeps waiting."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import pytest
from support import API_KEY, create_files, upload_videos

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.state import FileWaits
from airflow_provider_gemini_files.triggers import poller
from airflow_provider_gemini_files.triggers.poller import wait_for_files

CONN = "gemini_default"
INTERVAL = 0.3


def waits(*names: str, seconds: float = 20) -> FileWaits:
    return FileWaits(names, deadline=time.time() + seconds, poll_interval=INTERVAL, max_poll_interval=INTERVAL)


def each(names: list[str], conn_id: str = CONN, seconds: float = 20) -> list[Awaitable]:
    """Return one wait for each name, as one deferred task each would have it."""
    return [wait_for_files(conn_id, waits(name, seconds=seconds)) for name in names]


def calls(emulator: GeminiEmulator) -> list[str]:
    """Return what was asked: ``files`` for a page of the list, else the file's name."""
    return [entry["path"].rpartition("/v1beta/")[2] for entry in emulator.journal if entry["method"] == "GET"]


def run(work: Callable[[], Awaitable]) -> object:
    """Run in an event loop of its own, and see that nothing of the poller is left."""

    async def all_of_it() -> object:
        result = await work()
        await asyncio.sleep(0.05)
        assert poller._pollers == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    return asyncio.run(all_of_it())


@pytest.fixture
def emulator(emulator: GeminiEmulator) -> GeminiEmulator:
    emulator.settings.video_seconds = 1000
    return emulator


def test_many_wait_with_the_calls_of_one(emulator):
    names = upload_videos(emulator.base_url, 110)
    emulator.clear_journal()

    async def work() -> None:
        waiting = asyncio.gather(*each(names))
        await asyncio.sleep(4 * INTERVAL)
        assert not waiting.done()
        emulator.clock.advance(1000)
        await waiting

    run(work)

    # 110 files are two pages, and each round reads both: nobody is asked for singly.
    assert set(calls(emulator)) == {"files"}
    assert 2 <= len(calls(emulator)) <= 2 * 8


def test_a_single_file_is_asked_for_by_name(emulator):
    [name, _] = upload_videos(emulator.base_url, 2)
    emulator.clear_journal()

    async def work() -> None:
        waiting = asyncio.gather(*each([name]))
        await asyncio.sleep(2 * INTERVAL)
        emulator.clock.advance(1000)
        await waiting

    run(work)

    assert set(calls(emulator)) == {name}


def test_a_few_in_a_long_list_are_asked_for_by_name_once_that_is_known_to_be_cheaper(emulator):
    names = upload_videos(emulator.base_url, 2)
    create_files(emulator.base_url, 210)
    emulator.clear_journal()

    async def work() -> None:
        waiting = asyncio.gather(*each(names))
        await asyncio.sleep(4 * INTERVAL)
        emulator.clock.advance(1000)
        await waiting

    run(work)

    asked = calls(emulator)
    # The oldest are at the end of the list: after as many pages as there are names it is given up, for good.
    assert asked[:2] == ["files", "files"]
    assert "files" not in asked[2:]
    assert set(asked[2:]) == set(names)


def test_everybody_gets_their_own_files_in_their_own_order(emulator):
    names = upload_videos(emulator.base_url, 6)
    emulator.clock.advance(1000)

    async def work() -> list[list[str]]:
        orders = [names, names[::-1], names[2:4]]
        found = await asyncio.gather(*(wait_for_files(CONN, waits(*order)) for order in orders))
        return [[file.name for file in files] for files in found]

    assert run(work) == [names, names[::-1], names[2:4]]


def test_a_file_that_is_gone_ends_its_own_wait_only(emulator):
    names = upload_videos(emulator.base_url, 3)

    async def work() -> list[object]:
        waiting = asyncio.gather(*each([*names, "files/gone"]), return_exceptions=True)
        await asyncio.sleep(3 * INTERVAL)
        emulator.clock.advance(1000)
        return await waiting

    *found, gone = run(work)

    assert isinstance(gone, e.GeminiFileGoneError)
    assert [files[0].name for files in found] == names


@pytest.mark.parametrize(("count", "seconds"), [(1, 0.5), (30, 2.5)], ids=["asked singly", "for 10 s, in the list"])
def test_429_rests_all_calls_and_costs_no_wait(emulator, count, seconds):
    names = upload_videos(emulator.base_url, count)
    emulator.clock.advance(1000)
    emulator.faults.add("get" if count == 1 else "list", "rate_limit", times=4 if count > 1 else 2, seconds=seconds)
    emulator.clear_journal()

    async def work() -> list:
        return await asyncio.gather(*each(names))

    assert len(run(work)) == count
    statuses = [entry["status"] for entry in emulator.journal]
    assert statuses == [429] * (len(statuses) - 1) + [200]


def test_a_service_that_fails_now_and_then_costs_no_wait(emulator):
    names = upload_videos(emulator.base_url, 30)
    emulator.clock.advance(1000)
    emulator.faults.add("list", "overloaded")
    emulator.faults.add("list", "reset")

    async def work() -> list:
        return await asyncio.gather(*each(names))

    assert len(run(work)) == 30


def test_a_connection_that_hangs_keeps_no_other_waiting(emulator, monkeypatch):
    [name] = upload_videos(emulator.base_url, 1)
    emulator.clock.advance(1000)
    with GeminiEmulator() as slow:
        slow.faults.add("get", "stall", seconds=4)
        fields = {"conn_type": "gemini", "password": API_KEY, "host": slow.base_url}
        monkeypatch.setenv("AIRFLOW_CONN_GEMINI_SLOW", json.dumps(fields))

        async def work() -> float:
            hanging = asyncio.gather(*each(["files/x"], "gemini_slow"), return_exceptions=True)
            await asyncio.sleep(INTERVAL)
            began = time.monotonic()
            await asyncio.gather(*each([name]))
            seconds = time.monotonic() - began
            assert not hanging.done()
            hanging.cancel()
            await asyncio.wait([hanging])
            await asyncio.sleep(4.5)
            return seconds

        assert run(work) < 3.5


def test_who_leaves_is_not_waited_for(emulator):
    names = upload_videos(emulator.base_url, 2)

    async def work() -> None:
        staying, leaving = (asyncio.ensure_future(wait) for wait in each(names))
        await asyncio.sleep(2 * INTERVAL)
        leaving.cancel()
        await asyncio.wait([leaving])
        emulator.clear_journal()
        await asyncio.sleep(3 * INTERVAL)
        emulator.clock.advance(1000)
        await staying

    run(work)

    assert set(calls(emulator)) == {names[0]}


def test_who_comes_while_the_last_one_leaves_is_served(emulator):
    names = upload_videos(emulator.base_url, 20)
    emulator.clock.advance(1000)

    async def work() -> None:
        for name in names:
            assert [file.name for file in await wait_for_files(CONN, waits(name))] == [name]

    run(work)


def test_the_deadline_of_one_is_not_that_of_another(emulator):
    names = upload_videos(emulator.base_url, 2)

    async def work() -> list[object]:
        short, long = each(names[:1], seconds=0.5), each(names[1:])
        waiting = asyncio.gather(*short, *long, return_exceptions=True)
        await asyncio.sleep(1.5)
        emulator.clock.advance(1000)
        return await waiting

    expired, found = run(work)

    assert isinstance(expired, e.GeminiWaitTimeoutError)
    assert found[0].name == names[1]


def test_a_key_that_is_refused_ends_all_waits_with_the_reason(emulator):
    names = upload_videos(emulator.base_url, 30)
    emulator.faults.add("list", "bad_key")

    async def work() -> list[object]:
        return await asyncio.gather(*each(names), return_exceptions=True)

    assert {type(error) for error in run(work)} == {e.GeminiAuthError}


def test_a_connection_of_no_use_ends_all_waits_with_the_reason(connect):
    connect(extra={"modell": "x"})

    async def work() -> list[object]:
        return await asyncio.gather(*each(["files/a", "files/b"]), return_exceptions=True)

    assert {type(error) for error in run(work)} == {e.GeminiInputError}
