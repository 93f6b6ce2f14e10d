"""The decision about a job in each state."""

from __future__ import annotations

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.state import BatchWait, ended_badly
from airflow_provider_gemini_files.common.waiting import Schedule

NAME = "batches/a"


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
            (job("FAILED"), e.GeminiBatchFailedError, "ended batches/a as FAILED: it gave no reason. Mend"),
            (
                job("FAILED", error={"code": 3, "message": "Row 5 is no request."}),
                e.GeminiBatchFailedError,
                "as FAILED: Row 5 is no request (code 3). Mend what it names",
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
        assert f"Internal error (code {code}). The failure may pass" in str(error)

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
        wait = wait_for()
        wait.see(NAME, e.GeminiBatchGoneError("batches/a does not exist"), 1)

        with pytest.raises(e.GeminiBatchGoneError):
            wait.check(1)


class TestWords:
    def test_log_line_says_state_and_progress(self):
        wait = wait_for()
        wait.see(NAME, job("RUNNING", counts={"total": 10, "successful": 4}), 1)

        assert wait.describe(60) == "Waiting for batches/a (RUNNING, 4 of 10 requests done) to end, for 60 s"

    def test_log_line_says_that_results_are_not_there_yet(self):
        wait = wait_for()
        wait.see(NAME, job("SUCCEEDED"), 1)

        assert "batches/a (SUCCEEDED, without its results so far)" in wait.describe(60)

    def test_passed_deadline_says_that_the_job_goes_on(self):
        wait = wait_for()
        wait.see(NAME, job("PENDING"), 100)

        with pytest.raises(e.GeminiWaitTimeoutError, match=r"the deadline has passed\. The job goes on"):
            wait.check(100)
