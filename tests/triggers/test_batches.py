"""The triggers for batch jobs: their rows, their events, and their calls."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from support import FakeClock, logged_by, seed, submit_job

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.events import batches_of
from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.common.waiting import MAX_FAILED_POLLS
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.events import error_of, resume_of
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.triggers.base import SETTLE_SECONDS, GeminiTrigger
from airflow_provider_gemini_files.triggers.batches import GeminiBatchPauseTrigger, GeminiBatchTrigger

JOB_SECONDS = 600
INTERVAL = 60
#: A row as it is in Airflow's database.
ROW = {
    "version": 2,
    "gemini_conn_id": "gemini_default",
    "began": 1_800_000_000.0,
    "deadline": 1_800_176_400.0,
    "not_before": 1_800_000_006.0,
    "poll_interval": 60,
    "max_poll_interval": 300,
    "resume": {"version": 1, "quota_deadline": 1_800_086_400.0, "refusals": 0, "rounds": [{"abc": "batches/a"}]},
}
BATCH_ROW = {**ROW, "batch_names": ["batches/b", "batches/a"]}


@pytest.fixture
def emulator(emulator: GeminiEmulator) -> GeminiEmulator:
    emulator.settings.job_seconds = JOB_SECONDS
    return emulator


@pytest.fixture
def clock(emulator: GeminiEmulator) -> FakeClock:
    return FakeClock(emulator)


@pytest.fixture
def hook(emulator, clock) -> GeminiFilesHook:
    return GeminiFilesHook(clock=clock)


def new_trigger(clock: FakeClock, *names: str, seconds: float = 49 * 3600, **arguments: Any) -> GeminiBatchTrigger:
    defaults = {
        "gemini_conn_id": "gemini_default",
        "batch_names": list(names),
        "began": clock.now(),
        "deadline": clock.now() + seconds,
        "poll_interval": INTERVAL,
        "max_poll_interval": INTERVAL,
    }
    return GeminiBatchTrigger(**{**defaults, **arguments}, clock=clock)


async def event_of(trigger: GeminiTrigger) -> dict[str, Any]:
    """Return the payload of the first event, as it comes back from the database."""
    return json.loads(json.dumps((await anext(trigger.run())).payload))


def run(*triggers: GeminiTrigger) -> list[dict[str, Any]]:
    """Return the events of triggers in one event loop, in which the shared poller leaves nothing behind."""

    async def all_of_them() -> list[dict[str, Any]]:
        events = await asyncio.gather(*(event_of(trigger) for trigger in triggers))
        for _ in range(100):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return events

    return asyncio.run(all_of_them())


def calls(emulator: GeminiEmulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def names(events: list[dict[str, Any]]) -> list[str]:
    return [job.name for event in events for job in batches_of(event)]


class TestRow:
    def test_row_is_read_and_written_in_the_same_form(self):
        path, row = GeminiBatchTrigger(**BATCH_ROW).serialize()

        assert path == "airflow_provider_gemini_files.triggers.batches.GeminiBatchTrigger"
        assert row == json.loads(json.dumps(row)) == BATCH_ROW

    def test_row_of_a_pause_is_read_and_written_in_the_same_form(self):
        path, row = GeminiBatchPauseTrigger(**ROW).serialize()

        assert path == "airflow_provider_gemini_files.triggers.batches.GeminiBatchPauseTrigger"
        assert row == json.loads(json.dumps(row)) == ROW

    def test_row_has_no_key(self, clock):
        assert "test-key" not in json.dumps(new_trigger(clock, "batches/a").serialize())

    def test_deferral_gives_airflow_time_and_a_fallback_timeout(self, clock):
        trigger = new_trigger(clock, "batches/a", seconds=600)

        deferral = trigger.deferral()

        assert deferral["method_name"] == "execute_complete"
        assert deferral["timeout"].total_seconds() == 660
        assert trigger.not_before == clock.now() + SETTLE_SECONDS

    def test_trigger_that_is_restarted_goes_on_with_its_times(self, hook, clock):
        job = submit_job(hook)
        first = new_trigger(clock, job.name, seconds=JOB_SECONDS * 2, resume={"rounds": []})

        async def interrupted() -> None:
            waiting = asyncio.ensure_future(event_of(first))
            while clock.passed < JOB_SECONDS / 2:
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

        asyncio.run(interrupted())
        _, row = first.serialize()
        [event] = run(GeminiBatchTrigger(**json.loads(json.dumps(row)), clock=clock))

        assert names([event]) == [job.name]
        assert resume_of(event) == {"rounds": []}
        assert row["deadline"] - row["began"] == JOB_SECONDS * 2
        assert clock.passed <= JOB_SECONDS + INTERVAL

    def test_restart_grants_no_new_time(self, hook, clock):
        job = submit_job(hook)
        _, row = new_trigger(clock, job.name, seconds=100).serialize()
        clock.advance(200)

        [event] = run(GeminiBatchTrigger(**row, clock=clock))

        assert isinstance(error_of(event), e.GeminiWaitTimeoutError)
        assert clock.passed < 210


class TestEvent:
    def test_jobs_come_with_the_event_in_the_order_they_were_asked_for(self, hook, clock):
        first, second = submit_job(hook), submit_job(hook)

        [event] = run(new_trigger(clock, second.name, first.name, resume={"refusals": 2}))

        jobs = batches_of(event)
        assert [job.name for job in jobs] == [second.name, first.name]
        assert all(job.state == "SUCCEEDED" and job.output_file for job in jobs)
        assert resume_of(event) == {"refusals": 2}

    def test_job_that_has_succeeded_is_polled_until_its_file_is_there(self, hook, clock, emulator):
        emulator.faults.add("create_batch", "batch_output_late", seconds=90)
        job = submit_job(hook)

        [event] = run(new_trigger(clock, job.name))

        assert batches_of(event)[0].output_file
        assert JOB_SECONDS + 90 <= clock.passed <= JOB_SECONDS + 90 + INTERVAL

    @pytest.mark.parametrize("count", [1, 3])
    def test_results_in_the_job_itself_are_found(self, emulator, clock, count):
        jobs = [f"batches/inline{number}" for number in range(count)]
        seed(emulator.base_url, *jobs)

        [event] = run(new_trigger(clock, *jobs))

        assert [(job.name, job.is_inline) for job in batches_of(event)] == [(name, True) for name in jobs]

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ({"action": "batch_failed"}, e.GeminiBatchInterruptedError),
            ({"action": "batch_failed", "error": {"code": 3, "message": "Row 1 is odd."}}, e.GeminiBatchFailedError),
            ({"action": "batch_expired"}, e.GeminiBatchExpiredError),
        ],
    )
    @pytest.mark.parametrize("others", [0, 2])
    def test_job_that_ends_badly_is_an_error_of_its_own(self, hook, clock, emulator, fault, error, others):
        emulator.faults.add("create_batch", **fault)
        jobs = [submit_job(hook) for _ in range(others + 1)]

        [event] = run(new_trigger(clock, *(job.name for job in jobs), resume={"refusals": 1}))

        told = error_of(event)
        assert type(told) is error
        assert jobs[0].name in str(told)
        assert resume_of(event) == {"refusals": 1}

    def test_job_that_is_cancelled_is_an_error(self, hook, clock):
        job = submit_job(hook)
        clock.after(90, lambda: hook.cancel_batch(job.name))

        [event] = run(new_trigger(clock, job.name))

        assert type(error_of(event)) is e.GeminiBatchCancelledError
        assert clock.passed <= 90 + INTERVAL

    @pytest.mark.parametrize("others", [0, 2])
    def test_job_that_is_gone_is_an_error_after_five_minutes(self, hook, clock, others):
        jobs = [submit_job(hook).name for _ in range(others)]

        [event] = run(new_trigger(clock, "batches/unknown", *jobs))

        assert type(error_of(event)) is e.GeminiBatchGoneError
        assert 300 <= clock.passed < 300 + 2 * INTERVAL

    def test_job_that_has_been_known_and_is_gone_is_an_error_at_once(self, hook, clock, emulator):
        job = submit_job(hook)
        clock.advance(JOB_SECONDS)
        hook.delete_batch(job.name)

        [event] = run(new_trigger(clock, job.name, began=clock.now() - JOB_SECONDS))

        assert type(error_of(event)) is e.GeminiBatchGoneError
        assert clock.passed < JOB_SECONDS + 2 * INTERVAL

    def test_passed_deadline_is_an_error_with_the_last_state(self, hook, clock, emulator):
        emulator.faults.add("create_batch", "batch_stuck")
        job = submit_job(hook)

        [event] = run(new_trigger(clock, job.name, seconds=3600))

        told = error_of(event)
        assert type(told) is e.GeminiWaitTimeoutError
        assert f"{job.name} (PENDING, 0 of 2 requests done)" in str(told)
        assert clock.passed == pytest.approx(3600, abs=1)

    def test_missing_connection_is_an_error(self, clock):
        [event] = run(new_trigger(clock, "batches/a", gemini_conn_id="nowhere"))

        assert isinstance(error_of(event), e.GeminiInputError)
        assert "nowhere" in str(error_of(event))

    def test_end_is_logged(self, hook, clock, mocker):
        job = submit_job(hook)
        trigger = new_trigger(clock, job.name)
        info = mocker.spy(trigger.log, "info")

        run(trigger)

        last = logged_by(info)[-1]
        assert last.startswith("Ended after 6")
        assert last.endswith(f"s: {job.name} (SUCCEEDED, 2 of 2 requests done)")


class TestPolls:
    def test_waits_of_a_connection_share_one_page_of_the_list(self, hook, clock, emulator):
        jobs = [submit_job(hook, keys="a").name for _ in range(50)]
        emulator.clear_journal()

        events = run(*(new_trigger(clock, name) for name in jobs))

        assert names(events) == jobs
        assert set(calls(emulator)) == {"list_batches"}
        assert len(calls(emulator)) == JOB_SECONDS // INTERVAL + 1

    def test_wait_for_one_job_gets_it(self, hook, clock, emulator):
        job = submit_job(hook)
        emulator.clear_journal()

        run(new_trigger(clock, job.name))

        assert calls(emulator) == ["get_batch"] * (JOB_SECONDS // INTERVAL + 1)

    def test_polls_become_rarer_with_the_time_waited(self, hook, clock, emulator):
        emulator.settings.job_seconds = 24 * 3600
        job = submit_job(hook)
        emulator.clear_journal()

        run(new_trigger(clock, job.name, max_poll_interval=300))

        # Each minute would be 1440 polls.
        assert len(calls(emulator)) < 24 * 12 + 20

    def test_no_poll_before_its_time(self, hook, clock, emulator):
        job = submit_job(hook)
        emulator.clear_journal()
        seen: list[int] = []
        clock.after(59, lambda: seen.append(len(emulator.journal)))

        run(new_trigger(clock, job.name, not_before=clock.now() + 60))

        assert seen == [0]

    def test_waits_for_files_and_jobs_of_a_connection_are_apart(self, hook, clock, emulator, video_file):
        from airflow_provider_gemini_files.triggers.files import GeminiFileStateTrigger

        emulator.settings.video_seconds = 30
        video, job = hook.upload_file(video_file).name, submit_job(hook).name
        files = GeminiFileStateTrigger(
            gemini_conn_id="gemini_default",
            file_names=[video],
            began=clock.now(),
            deadline=clock.now() + 600,
            clock=clock,
        )

        of_file, of_job = run(files, new_trigger(clock, job))

        assert of_file["files"][0]["state"] == "ACTIVE"
        assert names([of_job]) == [job]


class TestFailures:
    def test_transient_failures_are_tolerated(self, hook, clock, emulator):
        job = submit_job(hook)
        emulator.faults.add("get_batch", "overloaded", times=2)
        emulator.faults.add("get_batch", "rate_limit", seconds=0, nth=3)
        emulator.faults.add("get_batch", "reset", nth=4)

        assert names(run(new_trigger(clock, job.name))) == [job.name]

    def test_404_of_a_gateway_does_not_end_the_wait(self, hook, clock, emulator):
        job = submit_job(hook)
        page = {"status": 404, "body": "<html>", "content_type": "text/html"}
        emulator.faults.add("get_batch", "status", **page, times=MAX_FAILED_POLLS - 1)

        assert names(run(new_trigger(clock, job.name))) == [job.name]

    def test_service_that_keeps_failing_ends_the_wait(self, hook, clock, emulator):
        job = submit_job(hook)
        emulator.faults.add("get_batch", "overloaded", times=MAX_FAILED_POLLS)

        [event] = run(new_trigger(clock, job.name))

        assert type(error_of(event)) is e.GeminiServiceError

    def test_job_of_a_list_that_cannot_be_read_is_read_by_itself(self, hook, clock, emulator):
        jobs = [submit_job(hook).name for _ in range(3)]
        odd = {"operations": [{"name": name, "metadata": 5} for name in jobs] + [None, {}]}
        emulator.faults.add("list_batches", "status", status=200, body=odd)

        [event] = run(new_trigger(clock, *jobs))

        assert [job.state for job in batches_of(event)] == ["SUCCEEDED"] * 3


class TestPause:
    def pause(self, clock: FakeClock, **arguments: Any) -> GeminiBatchPauseTrigger:
        now = clock.now()
        defaults = {"gemini_conn_id": "gemini_default", "began": now, "deadline": now + 3600, "not_before": now + 600}
        return GeminiBatchPauseTrigger(**{**defaults, **arguments}, clock=clock)

    def test_pause_ends_at_its_time_without_a_call(self, clock, emulator):
        [event] = run(self.pause(clock, resume={"refusals": 3}))

        assert batches_of(event) == []
        assert resume_of(event) == {"refusals": 3}
        assert clock.passed == 600
        assert calls(emulator) == []

    def test_pause_ends_at_its_deadline_at_the_latest(self, clock):
        run(self.pause(clock, deadline=clock.now() + 60))

        assert clock.passed == 60

    def test_pause_that_is_over_ends_at_once(self, clock):
        run(self.pause(clock, not_before=clock.now() - 5))

        assert clock.passed == 0

    def test_deferral_waits_no_longer_than_the_pause(self, clock):
        trigger = self.pause(clock, not_before=clock.now() + 1)
        trigger.deferral()

        assert trigger.not_before == clock.now() + SETTLE_SECONDS

    def test_pause_needs_no_connection(self, clock):
        [event] = run(self.pause(clock, gemini_conn_id="nowhere"))

        assert batches_of(event) == []


def test_jobs_of_an_event_are_small():
    job = BatchJob("batches/a", "SUCCEEDED", error=None, counts={"total": 1})

    assert set(job.to_dict()) == {
        "name", "state", "model", "display_name", "create_time", "end_time", "counts", "output_file", "is_inline",
        "error", "conn_id",
    }  # fmt: skip
