"""The one decision about a batch job that is waited for: poll again, ended with results, or failed."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_gemini_files.batches.job import SUCCEEDED, BatchJob
from airflow_provider_gemini_files.common.waiting import Schedule, Wait
from airflow_provider_gemini_files.exceptions import (
    GeminiBatchCancelledError,
    GeminiBatchExpiredError,
    GeminiBatchFailedError,
    GeminiBatchGoneError,
    GeminiBatchInterruptedError,
    GeminiFilesError,
)

#: Seconds for which a job that has SUCCEEDED is waited for to name its results; users saw a few minutes.
RESULTS_LATE_SECONDS = 3600.0
#: Seconds by which a clock may see the end of a job's time earlier than the service does.
_SAME_TIME = 60.0
#: Seconds after a submission for which the service may not know the job everywhere.
_NEW_SECONDS = 300.0
#: Codes (google.rpc.Code) of a failure that another job may not have.
_TRANSIENT = {4: "DEADLINE_EXCEEDED", 8: "RESOURCE_EXHAUSTED", 10: "ABORTED", 13: "INTERNAL", 14: "UNAVAILABLE"}


class BatchWait(Wait[BatchJob]):
    """
    The wait for batch jobs to end with results; their names are ``batches/...``.

    A state that is not known yet is waited for. So is, for an hour, a job that has SUCCEEDED and does not name its
    results: the service shows the state before the file is there.
    """

    goal = "to end"
    advice = "The service works on a job for up to 48 hours: raise the timeout to wait longer."

    def __init__(self, names: Iterable[str], schedule: Schedule) -> None:
        super().__init__(names, schedule)
        self._succeeded_at: dict[str, float] = {}

    def judge(self, seen: BatchJob, now: float) -> bool | GeminiFilesError:
        """Return whether a job has results, or the error of one that never will have any."""
        if seen.has_results:
            return True
        if seen.state in SUCCEEDED and now - self._succeeded_since(seen, now) >= RESULTS_LATE_SECONDS:
            return GeminiBatchInterruptedError(
                f"{seen.name} has SUCCEEDED, but has no result file after {RESULTS_LATE_SECONDS / 60:g} minutes. A "
                "retry "
                "submits a new job."
            )
        return ended_badly(seen) or False

    def _succeeded_since(self, seen: BatchJob, now: float) -> float:
        # A wait can begin again after a deferral, or at each poke of a sensor: it does not begin a new hour.
        ended = seen.ended_at()
        return self._succeeded_at.setdefault(seen.name, now if ended is None else min(ended, now))

    def see(self, name: str, seen: BatchJob | GeminiFilesError, now: float) -> None:
        """Take the result of polling one job; a new one that does not exist may only not be known everywhere."""
        is_new = self.schedule.waited(now) < _NEW_SECONDS
        if isinstance(seen, GeminiBatchGoneError) and is_new and name in self._pending:
            # No failed poll: however often it is polled until then, it ends as gone.
            self._pending[name] = type(seen).__name__
            return
        super().see(name, seen, now)

    def state_of(self, seen: BatchJob) -> str:
        """Return the job's state and progress."""
        return f"{seen.progress()}, without its results so far" if seen.state in SUCCEEDED else seen.progress()


def is_past_its_time(job: BatchJob, timeout: float, now: float) -> bool:
    """
    Return whether a job should have ended by now.

    :param timeout: seconds from its submission.
    :param now: by the service's clock. Some seconds are given away, as another clock may have ended the wait.
    """
    created = job.created_at()
    return not job.has_ended and created is not None and now >= created + timeout - min(_SAME_TIME, 0.1 * timeout)


def ended_badly(job: BatchJob) -> GeminiFilesError | None:
    """Return the error of a job that has ended without results; None for any other."""
    create = _ERRORS.get(job.state)
    return create(job) if create else None


def _failed(job: BatchJob) -> GeminiFilesError:
    error = job.error or {}
    code = error.get("code")
    reason = str(error.get("message") or "it gave no reason").rstrip(". ")
    told = f" (code {code})" if code else ""
    message = f"The service ended {job.name} as FAILED: {reason}{told}."
    if isinstance(code, int) and code in _TRANSIENT:
        return GeminiBatchInterruptedError(f"{message} The failure may be transient: a retry submits a new job.")
    return GeminiBatchFailedError(f"{message} Fix the cause, then clear the task to submit a new job.")


def _expired(job: BatchJob) -> GeminiFilesError:
    return GeminiBatchExpiredError(
        f"{job.name} has EXPIRED: the service did not finish it in time, and there are no results. A retry submits a "
        "new job; if it happens again, use fewer requests per job (max_requests) or another model."
    )


def _cancelled(job: BatchJob) -> GeminiFilesError:
    return GeminiBatchCancelledError(
        f"{job.name} was CANCELLED, and there are no results. Clear the task to submit a new job."
    )


_ERRORS = {"FAILED": _failed, "EXPIRED": _expired, "CANCELLED": _cancelled}
