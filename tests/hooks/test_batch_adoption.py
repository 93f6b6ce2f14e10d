"""Jobs of earlier attempts: found, used, given up, or replaced."""

from __future__ import annotations

from typing import Any

import pytest
from batch_attempts import (
    HOUR,
    JOB_SECONDS,
    MODEL,
    calls,
    jobs,
    spec_of,
)
from support import logged_by

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.hooks.batches import BatchCalls

pytestmark = pytest.mark.usefixtures("slow_jobs")


class TestAdoption:
    @pytest.mark.parametrize("seconds", [0, JOB_SECONDS * 0.75, JOB_SECONDS, 47 * HOUR])
    @pytest.mark.parametrize("remembered", [True, False])
    def test_job_that_runs_or_has_results_is_used(self, attempt, hook, clock, emulator, store, seconds, remembered):
        [job] = attempt(store=store)
        clock.advance(seconds)
        emulator.clear_journal()

        [found] = attempt(store=store if remembered else None, is_retry=True)

        assert found.name == job.name
        assert jobs(hook) == [job.name]
        assert calls(emulator, "start", "create_batch") == []

    def test_remembered_job_is_found_without_the_list(self, attempt, emulator, store):
        attempt(store=store)
        emulator.clear_journal()

        attempt(store=store, is_retry=True)

        assert calls(emulator) == ["get_batch"]

    def test_use_of_an_earlier_job_is_logged(self, attempt, new_run, mocker):
        [job] = attempt()
        run = new_run(is_retry=True)
        info = mocker.spy(run._log, "info")

        run.submit(run.plan()[0])

        assert logged_by(info) == [f"Using {job.name}, which was submitted before ({job.progress()})."]

    @pytest.mark.parametrize("action", ["batch_failed", "batch_expired", "cancel"])
    @pytest.mark.parametrize("remembered", [True, False])
    def test_job_that_has_ended_without_results_is_replaced(
        self, attempt, hook, clock, emulator, store, action, remembered
    ):
        if action != "cancel":
            emulator.faults.add("create_batch", action)
        [job] = attempt(store=store)
        if action == "cancel":
            hook.cancel_batch(job.name)
        clock.advance(JOB_SECONDS)

        [other] = attempt(store=store if remembered else None, is_retry=True)

        assert jobs(hook) == [other.name, job.name]
        assert attempt(store=store if remembered else None, is_retry=True) == [other]

    @pytest.mark.parametrize("remembered", [True, False])
    def test_job_that_is_gone_is_replaced(self, attempt, hook, clock, store, remembered):
        [job] = attempt(store=store)
        clock.advance(JOB_SECONDS)
        hook.delete_batch(job.name)

        [other] = attempt(store=store if remembered else None, is_retry=True)

        assert jobs(hook) == [other.name]

    @pytest.mark.parametrize("remembered", [True, False])
    def test_job_that_has_not_ended_in_its_time_is_cancelled_and_replaced(
        self, attempt, hook, clock, emulator, store, remembered
    ):
        emulator.faults.add("create_batch", "batch_stuck")
        [job] = attempt(store=store, timeout=HOUR)
        clock.advance(HOUR + 1)

        [other] = attempt(store=store if remembered else None, timeout=HOUR, is_retry=True)

        assert jobs(hook) == [other.name, job.name]
        assert hook.get_batch(job.name).state == "CANCELLED"

    def test_job_that_ends_before_it_is_cancelled_is_used(self, attempt, hook, clock, emulator, mocker):
        emulator.settings.job_seconds = int(HOUR)
        [job] = attempt(timeout=HOUR)
        # Its time is seen to be over up to a minute early.
        clock.advance(HOUR - 1)
        list_batches = hook.batches.list_batches

        def then_it_ends(**given: Any) -> list[BatchJob]:
            found = list_batches(**given)
            clock.advance(1)
            return found

        mocker.patch.object(hook.batches, "list_batches", side_effect=then_it_ends)
        run = hook.batch_run(spec_of(timeout=HOUR, is_retry=True))

        found = run.submit(run.plan()[0])

        assert (found.name, found.state) == (job.name, "SUCCEEDED")
        assert calls(emulator, "cancel_batch") == []

    def test_job_that_cannot_be_cancelled_leads_to_no_second_job(self, attempt, hook, clock, emulator):
        emulator.faults.add("create_batch", "batch_stuck")
        [job] = attempt(timeout=HOUR)
        clock.advance(HOUR + 1)
        emulator.faults.add("cancel_batch", "internal", times=2)

        with pytest.raises(e.GeminiServiceError, match=f"Cannot cancel {job.name}"):
            attempt(timeout=HOUR, is_retry=True)

        assert jobs(hook) == [job.name]

    @pytest.mark.parametrize("remembered", [True, False])
    def test_job_that_has_succeeded_without_results_is_replaced_after_an_hour(
        self, attempt, hook, clock, emulator, store, remembered
    ):
        emulator.faults.add("create_batch", "batch_output_late", seconds=1e6)
        [job] = attempt(store=store)
        again = {"store": store if remembered else None, "is_retry": True}
        clock.advance(JOB_SECONDS + HOUR - 1)
        assert [found.name for found in attempt(**again)] == [job.name]
        clock.advance(2)

        [other] = attempt(**again)

        assert jobs(hook) == [other.name, job.name]

    def test_job_past_its_timeout_is_used_if_jobs_are_not_given_up(self, attempt, clock, emulator):
        emulator.faults.add("create_batch", "batch_stuck")
        [job] = attempt(timeout=HOUR)
        clock.advance(2 * HOUR)

        assert attempt(timeout=HOUR, gives_up=False, is_retry=True) == [job]

    def test_job_that_ended_after_its_timeout_is_used(self, attempt, clock):
        [job] = attempt(timeout=60.0)
        clock.advance(JOB_SECONDS)

        assert [found.name for found in attempt(timeout=60.0, is_retry=True)] == [job.name]

    @pytest.mark.parametrize("remembered", [True, False])
    def test_requests_whose_results_are_gone_are_submitted_again(
        self, attempt, hook, clock, store, remembered, emulator
    ):
        [job] = attempt(store=store)
        clock.advance(JOB_SECONDS + 48 * HOUR + 1)

        [other] = attempt(store=store if remembered else None, is_retry=True)

        assert jobs(hook) == [other.name, job.name]

    @pytest.mark.parametrize("remembered", [True, False])
    def test_requests_whose_results_are_gone_early_are_submitted_again_at_once(
        self, attempt, hook, clock, store, remembered, mocker
    ):
        [job] = attempt(store=store)
        clock.advance(JOB_SECONDS)
        mocker.patch.object(BatchCalls, "result_file", side_effect=e.GeminiFileGoneError("It is gone."))

        [other] = attempt(store=store if remembered else None, is_retry=True)

        assert jobs(hook) == [other.name, job.name]

    def test_results_that_outlive_the_48_hours_are_used(self, attempt, hook, clock, emulator):
        [job] = attempt()
        clock.advance(JOB_SECONDS + 48 * HOUR + 1)
        output = hook.get_batch(job.name).output_file
        resource = {"name": output, "state": "ACTIVE"}
        emulator.faults.add("get", "status", status=200, body=resource)

        assert [found.name for found in attempt(is_retry=True)] == [job.name]

    def test_of_several_jobs_for_the_same_requests_one_that_has_ended_is_used(
        self, attempt, new_run, clock, hook, mocker
    ):
        [first] = attempt()
        clock.advance(JOB_SECONDS / 2)
        second = hook.batches.submit(MODEL, first.display_name, BatchMark.parse(first.display_name).input)
        assert [job.name for job in attempt(is_retry=True)] == [first.name]
        clock.advance(JOB_SECONDS / 2)
        run = new_run(is_retry=True)
        warning = mocker.spy(run._log, "warning")

        assert run.submit(run.plan()[0]).name == first.name

        [line] = logged_by(warning)
        assert line.startswith("There are 2 jobs for these requests")
        assert second.name in line

    def test_jobs_of_other_tasks_and_tools_are_left_alone(self, attempt, hook):
        [theirs] = attempt(owner=Owner("dag", "another run", "ask", deployment="here"))
        hook.batches.submit(MODEL, "ask (2 requests)", BatchMark.parse(theirs.display_name).input)

        [job] = attempt()

        assert len(jobs(hook)) == 3
        assert job.name == jobs(hook)[0]

    def test_list_is_read_again_for_each_job(self, attempt, emulator):
        # Another attempt may submit any of them meanwhile.
        attempt(*"abcd", max_requests=2)

        one = ["list_batches", "list_batches", "create_batch"]
        assert calls(emulator, "list_batches", "create_batch") == one * 2


class TestFindingInTheList:
    @pytest.mark.parametrize("length", [72, 80, 128])
    def test_job_whose_display_name_was_shortened_is_found(self, attempt, hook, monkeypatch, length):
        submit = BatchCalls.submit
        monkeypatch.setattr(
            BatchCalls, "submit", lambda self, model, name, file: submit(self, model, name[:length], file)
        )
        [job] = attempt(label="a label of more than forty characters, which are kept")
        assert len(job.display_name) == length

        assert attempt(label="a label of more than forty characters, which are kept", is_retry=True) == [job]
        assert jobs(hook) == [job.name]

    @pytest.mark.parametrize("ahead", [0, 0.5, 3, 20])
    def test_job_of_a_run_that_is_planned_for_later_is_found(self, attempt, hook, clock, emulator, ahead):
        since = clock.now() + ahead * HOUR
        [job] = attempt(since=since)
        # So many newer jobs that the first page of the list is full of them.
        emulator.settings.max_batches = 1000
        for _ in range(101):
            hook.batches.submit(MODEL, "theirs", BatchMark.parse(job.display_name).input)

        assert attempt(since=since, is_retry=True) == [job]

    def test_pages_of_jobs_from_before_the_run_are_not_read(self, attempt, hook, clock, emulator):
        emulator.settings.max_batches = 1000
        [job] = attempt(owner=Owner("dag", "another run", "ask", deployment="here"))
        for _ in range(150):
            hook.batches.submit(MODEL, "theirs", BatchMark.parse(job.display_name).input)
        clock.advance(25 * HOUR)
        emulator.clear_journal()

        attempt(since=clock.now())

        assert calls(emulator, "list_batches") == ["list_batches"] * 2


class TestFormerRequests:
    def test_job_that_goes_on_with_other_requests_is_named_in_the_log(self, attempt, new_run, mocker):
        [former] = attempt("former")
        run = new_run("other")
        warning = mocker.spy(run._log, "warning")

        run.submit(run.plan()[0])

        [line] = logged_by(warning)
        assert line.startswith(f"{former.name} is still processing other requests of this task. If you no longer need")

    @pytest.mark.parametrize("fields", [{}, {"owner": Owner("dag", "another run", "ask", deployment="here")}])
    def test_other_jobs_are_not_named(self, attempt, new_run, clock, mocker, fields):
        attempt("former", **fields)
        if not fields:
            clock.advance(JOB_SECONDS)
        run = new_run(*"abcd", max_requests=2)
        warning = mocker.spy(run._log, "warning")

        for plan in run.plan():
            run.submit(plan)

        assert logged_by(warning) == []
