"""The trigger that waits for free space: its rows, its event, its calls, and which waits continue."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from stored_rows import CAPACITY_V1, CAPACITY_V2
from support import FakeClock, logged_by, seed

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.common.waiting import MAX_FAILED_POLLS
from airflow_provider_gemini_files.files.events import error_of, resume_of, usage_of
from airflow_provider_gemini_files.triggers.storage import GeminiStorageCapacityTrigger
from airflow_provider_gemini_files.triggers.usage_reader import usage_reader

QUOTA = 1000
INTERVAL = 10


@pytest.fixture(autouse=True)
def full_storage(emulator, connect) -> None:
    connect(host=emulator.base_url, extra={"quota_bytes": QUOTA})
    seed(emulator.base_url, *[{"name": f"files/f{number}", "size": 100} for number in range(10)])
    emulator.clear_journal()


@pytest.fixture
def clock(emulator) -> FakeClock:
    return FakeClock(emulator)


def new_trigger(
    clock: FakeClock, needed_bytes: int = 100, seconds: float = 600, **arguments: Any
) -> GeminiStorageCapacityTrigger:
    defaults = {
        "gemini_conn_id": "gemini_default",
        "needed_bytes": needed_bytes,
        "began": clock.now(),
        "deadline": clock.now() + seconds,
        "poll_interval": INTERVAL,
        "max_poll_interval": INTERVAL,
    }
    return GeminiStorageCapacityTrigger(**{**defaults, **arguments}, clock=clock)


async def event_of(trigger: GeminiStorageCapacityTrigger) -> dict[str, Any]:
    """Return the payload of the first event, as it comes back from the database."""
    return json.loads(json.dumps((await anext(trigger.run())).payload))


def run(*triggers: GeminiStorageCapacityTrigger) -> list[dict[str, Any]]:
    """Return the events of triggers in one event loop, in which the shared reader leaves nothing behind."""

    async def all_of_them() -> list[dict[str, Any]]:
        events = await asyncio.gather(*(event_of(trigger) for trigger in triggers))
        for _ in range(100):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return events

    return asyncio.run(all_of_them())


class TestRow:
    @pytest.mark.parametrize("row", [CAPACITY_V1, CAPACITY_V2], ids=["v1", "v2"])
    def test_row_of_every_version_is_read(self, row):
        trigger = GeminiStorageCapacityTrigger(**row)

        assert (trigger.gemini_conn_id, trigger.needed_bytes) == ("gemini_default", 100)
        assert (trigger.began, trigger.deadline) == (row["began"], row["deadline"])
        assert (trigger.not_before, trigger.poll_interval, trigger.max_poll_interval) == (row["not_before"], 5, 30)
        assert trigger.resume == row.get("resume")

    @pytest.mark.parametrize("row", [CAPACITY_V1, CAPACITY_V2], ids=["v1", "v2"])
    def test_row_of_every_version_waits_for_free_space(self, hook, clock, row):
        clock.after(30, lambda: hook.delete_file("files/f0"))
        stored = {**row, "began": clock.now(), "deadline": clock.now() + 600, "not_before": 0.0}

        [event] = run(GeminiStorageCapacityTrigger(**stored, clock=clock))

        assert usage_of(event)["free_bytes"] == 100
        assert resume_of(event) == row.get("resume")

    def test_row_is_written_in_the_current_version(self):
        path, row = GeminiStorageCapacityTrigger(**CAPACITY_V2).serialize()

        assert path == "airflow_provider_gemini_files.triggers.storage.GeminiStorageCapacityTrigger"
        assert row == json.loads(json.dumps(row)) == CAPACITY_V2

    def test_deferral_names_the_method_that_is_resumed(self, clock):
        deferral = new_trigger(clock).deferral("execute_with_free_space")

        assert deferral["method_name"] == "execute_with_free_space"
        assert deferral["timeout"].total_seconds() == 660


class TestEvent:
    def test_usage_comes_with_the_event(self, hook, clock):
        [event] = run(new_trigger(clock, needed_bytes=0, resume={"tries": 1}))

        assert usage_of(event) == hook.usage().to_dict()
        assert resume_of(event) == {"tries": 1}

    def test_passed_deadline_is_an_error(self, clock):
        [event] = run(new_trigger(clock, seconds=95))

        error = error_of(event)
        assert isinstance(error, e.GeminiWaitTimeoutError)
        assert "100 B of free space (10 files, 1000 B of 1000 B" in str(error)
        assert str(error).startswith("Waited 95 s for ")

    def test_missing_connection_is_an_error(self, clock):
        [event] = run(new_trigger(clock, gemini_conn_id="nowhere"))

        error = error_of(event)
        assert isinstance(error, e.GeminiInputError)
        assert "nowhere" in str(error)

    def test_wait_is_logged_once_a_minute(self, hook, clock, mocker):
        clock.after(125, lambda: hook.delete_file("files/f0"))
        trigger = new_trigger(clock)
        info = mocker.spy(trigger.log, "info")

        run(trigger)

        *waiting, done = logged_by(info)
        waited = [line.partition(" for ")[0] for line in waiting]
        assert waited == ["Waiting", "Waited 60 s", "Waited 120 s"]
        assert all("for 100 B of free space" in line for line in waiting)
        assert done.startswith("Enough free space after 130 s")


class TestPolls:
    def test_waits_of_a_connection_share_their_polls(self, emulator, hook, clock):
        clock.after(95, lambda: hook.delete_file("files/f0"))

        # Nobody uploads here, so that each new poll gives the same free space again.
        events = run(*(new_trigger(clock, needed_bytes=100) for _ in range(10)))

        assert [usage_of(event)["free_bytes"] for event in events] == [100] * 10
        assert len([entry for entry in emulator.journal if entry["method"] == "GET"]) <= 10 + 10

    def test_free_space_of_a_poll_is_given_out_once(self, emulator, hook, clock):
        for number in range(5):
            hook.delete_file(f"files/f{number}")
        emulator.clear_journal()
        free: list[int] = []

        async def work() -> None:
            async with usage_reader("gemini_default", clock) as reader:
                for _ in range(7):
                    free.append(reader.unclaimed(await reader.read(60)).free_bytes)
                    if free[-1] >= 100:
                        reader.claim(100)

        asyncio.run(work())

        assert free == [500, 400, 300, 200, 100, 0, 0]
        assert len(emulator.journal) == 1

    def test_free_space_is_given_to_as_many_waits_as_it_fits(self, hook, clock):
        for number in range(5):
            hook.delete_file(f"files/f{number}")

        # The first poll is the only one before the deadline.
        events = run(*(new_trigger(clock, seconds=INTERVAL / 2, poll_interval=INTERVAL * 2) for _ in range(8)))

        assert sum("usage" in event for event in events) == 5

    def test_no_poll_before_its_time(self, emulator, clock):
        seen: list[int] = []
        clock.after(59, lambda: seen.append(len(emulator.journal)))

        run(new_trigger(clock, needed_bytes=0, not_before=clock.now() + 60))

        assert seen == [0]

    def test_first_poll_is_at_the_deadline_at_the_latest(self, clock):
        [event] = run(new_trigger(clock, seconds=30, not_before=clock.now() + 60))

        assert isinstance(error_of(event), e.GeminiWaitTimeoutError)
        assert clock.passed == pytest.approx(30)

    def test_last_poll_is_at_the_deadline(self, hook, clock):
        clock.after(94, lambda: hook.delete_file("files/f0"))

        [event] = run(new_trigger(clock, seconds=95, poll_interval=60))

        assert usage_of(event)["free_bytes"] == 100
        assert clock.passed == pytest.approx(95)

    def test_cancelled_wait_does_not_cancel_the_poll_of_others(self, emulator, clock):
        async def work() -> dict[str, Any]:
            one, other = (asyncio.ensure_future(event_of(new_trigger(clock, needed_bytes=0))) for _ in range(2))
            while not emulator.journal:
                await asyncio.sleep(0)
            one.cancel()
            return await other

        assert "usage" in asyncio.run(work())
        assert len(emulator.journal) == 1

    @pytest.mark.parametrize("row", [CAPACITY_V1, CAPACITY_V2], ids=["v1", "v2"])
    def test_killed_task_makes_no_call(self, emulator, row):
        trigger = GeminiStorageCapacityTrigger(**row)

        # Airflow calls it from 3.3 on.
        if hasattr(trigger, "on_kill"):
            asyncio.run(trigger.on_kill())
        asyncio.run(trigger.cleanup())

        assert emulator.journal == []


class TestFailures:
    def test_transient_failures_are_tolerated(self, emulator, clock):
        emulator.faults.add("list", "overloaded", times=2)
        emulator.faults.add("list", "rate_limit", seconds=0, nth=3)

        assert "usage" in run(new_trigger(clock, needed_bytes=0))[0]

    def test_service_that_keeps_failing_ends_the_wait(self, emulator, clock):
        emulator.faults.add("list", "overloaded", times=MAX_FAILED_POLLS)

        [event] = run(new_trigger(clock, needed_bytes=0))

        assert isinstance(error_of(event), e.GeminiServiceError)

    @pytest.mark.parametrize(
        "fault",
        [
            {"action": "bad_key"},
            {"action": "forbidden"},
            {"action": "status", "status": 401, "body": "<html>Log in</html>", "content_type": "text/html"},
            {"action": "status", "status": 302, "headers": {"Location": "https://login.example/"}},
        ],
        ids=["bad key", "403", "401 of a proxy", "302"],
    )
    def test_an_error_of_the_connection_is_tolerated_for_a_while(self, emulator, clock, fault):
        emulator.faults.add("list", **fault, times=MAX_FAILED_POLLS - 1)

        assert "usage" in run(new_trigger(clock, needed_bytes=0))[0]

    def test_rotated_key_is_read_from_the_connection(self, emulator, clock, connect):
        extra = {"quota_bytes": QUOTA}
        connect(host=emulator.base_url, extra=extra, password="key-that-was-revoked")
        emulator.faults.add("list", "bad_key", times=None, api_key="key-that-was-revoked")
        clock.after(15, lambda: connect(host=emulator.base_url, extra=extra))

        [event] = run(new_trigger(clock, needed_bytes=0))

        assert usage_of(event)["files"] == 10

    def test_key_that_stays_refused_ends_the_wait_with_the_reason(self, emulator, clock):
        emulator.faults.add("list", "bad_key", times=MAX_FAILED_POLLS)

        [event] = run(new_trigger(clock, needed_bytes=0))

        assert isinstance(error_of(event), e.GeminiAuthError)

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_long_retry_after_pauses_all_calls_but_not_the_deadlines(self, emulator, clock, status):
        emulator.faults.add("list", "status", status=status, headers={"Retry-After": "300"})
        calls: list[int] = []
        clock.after(299, lambda: calls.append(len(emulator.journal)))

        # The third one begins during the pause.
        patient, short, late = run(
            new_trigger(clock, needed_bytes=0, seconds=1000),
            new_trigger(clock, needed_bytes=0, seconds=100),
            new_trigger(clock, needed_bytes=0, seconds=1000, not_before=clock.now() + 50),
        )

        assert calls == [1]
        assert "usage" in patient
        assert "usage" in late
        assert isinstance(error_of(short), e.GeminiWaitTimeoutError)
