"""The decision about a job in each state."""

from __future__ import annotations

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.job import ENDED, BatchJob
from airflow_provider_gemini_files.batches.state import (
    RESULTS_LATE_SECONDS,
    BatchWait,
    ended_badly,
    is_past_its_time,
)
from airflow_provider_gemini_files.common.waiting import Schedule

NAME = "batches/a"
NOON = 1767268800.0
CREATED = "2026-01-01T12:00:00Z"
GONE = e.GeminiBatchGoneError("batches/a does not exist")


def wait_for(*names: str, deadline: float | None = 100.0) -> BatchWait:
    return BatchWait(names or (NAME,), Schedule(0.0, deadline, 10, 10))


def job(state: str, name: str = NAME, **fields) -> BatchJob:
    return BatchJob(name, state, **fields)


def judged(one: BatchJob) -> bool:
    wait = wait_for(one.name)
    wait.see(one.name, one, 1)
    return wait.check(1)


class TestDecision:
    @pytest.mark.parametrize("state", ["SUCCEEDED", "PARTIALLY_SUCCEEDED"])
    @pytest.mark.parametrize("results", [{"output_file": "files/r"}, {"is_inline": True}])
    def test_job_with_results_is_ready(self, state, results):
        assert judged(job(state, **results))

    @pytest.mark.parametrize(
        "state", ["PENDING", "RUNNING", "STATE_UNSPECIFIED", "SOMETHING_NEW", "SUCCEEDED", "PARTIALLY_SUCCEEDED"]
    )
    def test_job_without_results_that_may_still_have_some_is_waited_for(self, state):
        assert not judged(job(state))

    @pytest.mark.parametrize("state", ["PENDING", "RUNNING", "SOMETHING_NEW"])
    def test_output_of_a_job_that_has_not_ended_is_not_taken(self, state):
        assert not judged(job(state, output_file="files/r"))

    @pytest.mark.parametrize(
        ("one", "error", "words"),
        [
            (job("EXPIRED"), e.GeminiBatchExpiredError, "batches/a has EXPIRED: the service did not finish it in time"),
            (job("CANCELLED"), e.GeminiBatchCancelledError, "batches/a was CANCELLED, and there are no results"),
            (job("FAILED"), e.GeminiBatchFailedError, "ended batches/a as FAILED: it gave no reason. Fix"),
            (
                job("FAILED", error={"code": 3, "message": "Row 5 is no request."}),
                e.GeminiBatchFailedError,
                "as FAILED: Row 5 is no request (code 3). Fix the cause",
            ),
            (job("FAILED", error={"code": "13", "message": ""}), e.GeminiBatchFailedError, "(code 13)"),
        ],
    )
    def test_job_without_results_is_an_error_of_its_own(self, one, error, words):
        with pytest.raises(error) as raised:
            judged(one)

        assert type(raised.value) is error
        assert words in str(raised.value)

    @pytest.mark.parametrize("code", [4, 8, 10, 13, 14])
    def test_failure_of_the_service_is_worth_a_retry(self, code):
        error = ended_badly(job("FAILED", error={"code": code, "message": "Internal error."}))

        assert type(error) is e.GeminiBatchInterruptedError
        assert not isinstance(error, e.GeminiPermanentError)
        assert f"Internal error (code {code}). The failure may be transient" in str(error)

    @pytest.mark.parametrize("code", [1, 2, 3, 5, 7, 9, 11, 16, None, [], "INTERNAL"])
    def test_any_other_failure_is_permanent(self, code):
        error = ended_badly(job("FAILED", error={"code": code, "message": "no"}))

        assert isinstance(error, e.GeminiPermanentError)

    def test_expiry_is_worth_a_retry_and_a_cancellation_is_not(self):
        assert not isinstance(ended_badly(job("EXPIRED")), e.GeminiPermanentError)
        assert isinstance(ended_badly(job("CANCELLED")), e.GeminiPermanentError)

    @pytest.mark.parametrize("state", ["PENDING", "RUNNING", "SUCCEEDED", "PARTIALLY_SUCCEEDED", "SOMETHING_NEW"])
    def test_job_in_any_other_state_has_not_ended_badly(self, state):
        assert ended_badly(job(state)) is None


class TestLateResults:
    def test_job_that_has_succeeded_names_its_results_within_an_hour(self):
        wait = wait_for(deadline=10_000)
        wait.see(NAME, job("SUCCEEDED"), 1000)
        wait.see(NAME, job("SUCCEEDED"), 1000 + RESULTS_LATE_SECONDS - 1)
        assert not wait.check(1000 + RESULTS_LATE_SECONDS - 1)

        wait.see(NAME, job("SUCCEEDED", output_file="files/r"), 1000 + RESULTS_LATE_SECONDS)
        assert wait.check(1000 + RESULTS_LATE_SECONDS)

    @pytest.mark.parametrize("state", ["SUCCEEDED", "PARTIALLY_SUCCEEDED"])
    def test_job_without_results_for_an_hour_is_worth_another_job(self, state):
        wait = wait_for(deadline=10_000)
        wait.see(NAME, job("RUNNING"), 900)
        wait.see(NAME, job(state), 1000)
        wait.see(NAME, job(state), 1000 + RESULTS_LATE_SECONDS)

        with pytest.raises(
            e.GeminiBatchInterruptedError, match=r"has no result file after 60 minutes\. A retry submits"
        ):
            wait.check(1000 + RESULTS_LATE_SECONDS)

    @pytest.mark.parametrize(("seconds", "is_late"), [(RESULTS_LATE_SECONDS - 1, False), (RESULTS_LATE_SECONDS, True)])
    def test_wait_that_begins_again_does_not_begin_a_new_hour(self, seconds, is_late):
        wait = wait_for(deadline=None)
        wait.see(NAME, job("SUCCEEDED", end_time=CREATED), NOON + seconds)

        if is_late:
            with pytest.raises(e.GeminiBatchInterruptedError, match="has no result file after 60 minutes"):
                wait.check(NOON + seconds)
        else:
            assert not wait.check(NOON + seconds)

    def test_service_whose_clock_is_ahead_does_not_delay_the_end(self):
        wait = wait_for(deadline=None)
        wait.see(NAME, job("SUCCEEDED", end_time=CREATED), NOON - 5000)
        wait.see(NAME, job("SUCCEEDED", end_time=CREATED), NOON - 5000 + RESULTS_LATE_SECONDS)

        with pytest.raises(e.GeminiBatchInterruptedError):
            wait.check(NOON)


class TestTimeOfAJob:
    @pytest.mark.parametrize(
        ("timeout", "seconds", "is_past"),
        [(3600, 3539, False), (3600, 3540, True), (3600, 4000, True), (5, 4.4, False), (5, 4.5, True)],
    )
    def test_time_counts_from_the_submission(self, timeout, seconds, is_past):
        assert is_past_its_time(job("RUNNING", create_time=CREATED), timeout, NOON + seconds) is is_past

    @pytest.mark.parametrize("state", sorted(ENDED))
    def test_job_that_has_ended_is_never_past_its_time(self, state):
        assert not is_past_its_time(job(state, create_time=CREATED), 60, NOON + 1e6)

    @pytest.mark.parametrize("time", [None, "yesterday"])
    def test_job_of_unknown_age_is_never_past_its_time(self, time):
        assert not is_past_its_time(job("RUNNING", create_time=time), 60, NOON + 1e6)


class TestSeveralJobs:
    def test_wait_goes_on_until_all_have_ended(self):
        wait = wait_for("batches/b", "batches/a")
        wait.see("batches/a", job("SUCCEEDED", output_file="files/r"), 1)
        wait.see("batches/b", job("RUNNING", "batches/b"), 1)
        assert not wait.check(1)
        assert wait.pending == ["batches/b"]

        wait.see("batches/b", job("SUCCEEDED", "batches/b", output_file="files/s"), 2)
        assert wait.check(2)
        assert [one.name for one in wait.ready()] == ["batches/b", "batches/a"]

    def test_one_that_ends_badly_ends_the_wait(self):
        wait = wait_for("batches/a", "batches/b")
        wait.see("batches/a", job("CANCELLED"), 1)
        wait.see("batches/b", job("RUNNING", "batches/b"), 1)

        with pytest.raises(e.GeminiBatchCancelledError):
            wait.check(1)

    def test_permanent_failure_has_priority_over_one_that_may_pass(self):
        wait = wait_for("batches/a", "batches/b")
        wait.see("batches/a", job("EXPIRED"), 1)
        wait.see("batches/b", job("FAILED", "batches/b"), 1)

        with pytest.raises(
            e.GeminiBatchFailedError, match=r"2 waits failed: batches/a has EXPIRED.*batches/b as FAILED"
        ):
            wait.check(1)

    def test_job_that_is_gone_ends_the_wait(self):
        wait = wait_for(deadline=1000)
        wait.see(NAME, GONE, 300)

        with pytest.raises(e.GeminiBatchGoneError):
            wait.check(300)

    def test_new_job_may_not_be_known_everywhere_for_five_minutes(self):
        wait = wait_for(deadline=1000)
        for second in range(0, 300, 10):
            wait.see(NAME, GONE, second)
            assert not wait.check(second)
        assert "GeminiBatchGoneError" in wait.describe(299)

        wait.see(NAME, job("SUCCEEDED", output_file="files/r"), 299)
        wait.see(NAME, GONE, 299)
        assert wait.check(299)

    def test_job_that_does_not_appear_in_its_first_minutes_is_gone_and_not_retried(self):
        wait = wait_for(deadline=1000)
        for second in range(0, 310, 10):
            wait.see(NAME, GONE, second)

        with pytest.raises(e.GeminiBatchGoneError, match="batches/a does not exist"):
            wait.check(300)


class TestWords:
    def test_log_line_says_state_and_progress(self):
        wait = wait_for()
        wait.see(NAME, job("RUNNING", counts={"total": 10, "successful": 4}), 1)

        assert wait.describe(60) == "Waited 60 s for batches/a (RUNNING, 4 of 10 requests done) to end"

    def test_log_line_says_that_results_are_not_there_yet(self):
        wait = wait_for()
        wait.see(NAME, job("SUCCEEDED"), 1)

        assert "batches/a (SUCCEEDED, without its results so far)" in wait.describe(60)

    def test_passed_deadline_says_how_long_a_job_can_take(self):
        wait = wait_for()
        wait.see(NAME, job("PENDING"), 100)

        with pytest.raises(
            e.GeminiWaitTimeoutError, match=r"the deadline has passed\. The service works on a job for up to 48"
        ):
            wait.check(100)
