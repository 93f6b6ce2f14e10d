"""The way of one batch through a task: submit, wait, ask failed rows again, write, account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.batches.results import Results
from airflow_provider_gemini_files.batches.rows import Tally
from airflow_provider_gemini_files.batches.state import BatchWait, is_past_its_time
from airflow_provider_gemini_files.common.backoff import MAX_WAIT_PAUSE, Backoff
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.costs.entry import BATCH_KEY
from airflow_provider_gemini_files.exceptions import (
    GeminiBatchCancelledError,
    GeminiBatchRowsError,
    GeminiFilesError,
    GeminiInputError,
    GeminiPermanentError,
    GeminiRateLimitError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.hooks.batch_input import JobPlan
from airflow_provider_gemini_files.hooks.batch_run import BatchRun
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.base import GeminiOperator, deadline_of
from airflow_provider_gemini_files.operators.batch_resume import BatchResume
from airflow_provider_gemini_files.operators.outlets import tell_outlets
from airflow_provider_gemini_files.transfer.memory import Log
from airflow_provider_gemini_files.transfer.output import Output
from airflow_provider_gemini_files.triggers.batches import GeminiBatchPauseTrigger, GeminiBatchTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Names in XCom, which is a row of Airflow's database.
_MAX_FILES = 500
#: Pauses before a job that was refused is submitted again: one minute at first, then up to ten.
_REFUSED = Backoff(60.0, MAX_WAIT_PAUSE, MAX_WAIT_PAUSE)


@dataclass(frozen=True)
class BatchSettings:
    """
    How a batch goes its way; see ``GeminiBatchGenerateContentOperator``. Durations are in seconds.

    :param cancel_after: from its submission, after which a job is cancelled; None: never.
    :param is_volatile: whether the requests may change while this process waits.
    :param on_wait: called with the jobs that this process is about to wait for.
    """

    retry_rows: int
    on_row_error: str
    on_quota: str
    timeout: float
    quota_timeout: float
    cancel_after: float | None
    is_volatile: bool
    deferrable: bool
    poll_interval: float
    max_poll_interval: float
    on_wait: Callable[[list[str]], None]


class BatchTask:
    """
    One attempt of a batch task, or the part of it after a deferral.

    :param resume: the past of the task.
    :param ended: jobs of which a trigger has just told that they have ended.
    :param timed_out: the error with which a trigger has just ended the wait for the last round.
    """

    def __init__(
        self,
        task: GeminiOperator,
        settings: BatchSettings,
        context: Context,
        run: BatchRun,
        output: Output,
        resume: BatchResume,
        ended: Sequence[BatchJob] = (),
        timed_out: GeminiWaitTimeoutError | None = None,
    ) -> None:
        self._task = task
        self._settings = settings
        self._log = task.log
        self._clock = task.clock
        self._hook = task.hook
        self._context = context
        self._ti = context["ti"]
        self._run = run
        self._output = output
        self._resume = resume
        run.counted.update(resume.counted)
        self._seen = {job.name: job for job in ended}
        self._timed_out = timed_out
        #: Whether the requests are those that the jobs answer.
        self._known = True

    def execute(self) -> str:
        """Do what is left to do, and return the URI of the answers; it may defer the task."""
        results = Results()
        with ExitStack() as opened:
            jobs = self._round(None, 0)
            self._run.collect(jobs, results, opened)
            # Written after each round: what was paid for is there, whatever becomes of the next one.
            tally = self._write(results, jobs)
            for again in range(1, self._rounds()):
                if self._known and not tally.transient:
                    break
                further = self._asked_again(tally.transient, again)
                if not further:
                    break
                self._run.collect(further, results, opened)
                jobs += further
                tally = self._write(results, jobs)
        return self._landed(jobs, tally)

    def _rounds(self) -> int:
        """Return how many rounds there are at most; of changed requests, those that were submitted."""
        return self._settings.retry_rows + 1 if self._known else len(self._resume.rounds)

    def _asked_again(self, keys: list[str], again: int) -> list[BatchJob]:
        """Return the jobs that answer some rows once more; none if they end badly: the rows keep their errors."""
        self._log.warning("%d rows failed with a transient error: repeating their requests.", len(keys))
        try:
            return self._round(keys, again)
        except GeminiFilesError as error:
            self._log.warning("%s These rows keep their errors.", error)
            return []

    def _round(self, keys: list[str] | None, again: int) -> list[BatchJob]:
        """Submit the jobs of a round, or find them, and return them once they have results."""
        self._submit(keys, again)
        try:
            return self._ended(again)
        except GeminiBatchCancelledError as error:
            if not self._drops_adopted(again):
                raise
            self._log.warning("%s An earlier attempt, or someone else, has cancelled it: submitting again.", error)
        self._submit(keys, again)
        return self._ended(again)

    def _drops_adopted(self, again: int) -> bool:
        """Forget the cancelled jobs of a round, if an earlier attempt had submitted them; return whether it has."""
        jobs = self._resume.jobs_of(again)
        cancelled = [fingerprint for fingerprint, name in jobs.items() if self._seen[name].state == "CANCELLED"]
        if not cancelled or any(jobs[fingerprint] not in self._resume.adopted for fingerprint in cancelled):
            return False
        for fingerprint in cancelled:
            del jobs[fingerprint]
        return True

    # Submitting

    def _submit(self, keys: list[str] | None, again: int) -> None:
        """Submit what is not submitted yet; find out whether the requests are still those of the jobs."""
        jobs = self._resume.jobs_of(again)
        if not self._known:
            return
        plans = self._plans(keys, again)
        if plans is None:
            return
        if again == 0:
            self._resume.parts = len(plans)
        if not jobs and not self._resume.refusals:
            self._resume.quota_deadline = deadline_of(self._task, self._clock.now(), self._settings.quota_timeout)
        for plan in plans:
            if plan.fingerprint not in jobs:
                job = self._submitted(plan)
                jobs[plan.fingerprint] = job.name
                self._seen[job.name] = job
                names = self._resume.names()
                self._ti.xcom_push("batch_name", names[0] if len(names) == 1 else names)

    def _plans(self, keys: list[str] | None, again: int) -> list[JobPlan] | None:
        """Return the jobs for the requests; None if they have changed since some were submitted."""
        jobs = self._resume.jobs_of(again)
        try:
            plans = self._run.plan(keys, again=again)
        except GeminiFilesError as error:
            if not jobs:
                raise
            self._has_changed(str(error))
            return None
        if not jobs.keys() <= {plan.fingerprint for plan in plans}:
            self._has_changed("The requests have changed since they were submitted.")
            return None
        return plans

    def _has_changed(self, why: str) -> None:
        self._known = False
        self._log.warning(
            "%s The answers to the submitted requests are written in the order of the results. Clear the task to "
            "submit the new requests.",
            why,
        )

    def _submitted(self, plan: JobPlan) -> BatchJob:
        self._run.has_looked_later = self._resume.has_looked_later
        while True:
            try:
                job = self._run.submit(plan)
            except GeminiRateLimitError as error:
                self._resume.has_looked_later = self._run.has_looked_later
                if self._settings.on_quota == "fail":
                    raise
                self._pause(error)
                continue
            self._resume.refusals, self._resume.has_looked_later = 0, self._run.has_looked_later
            self._resume.adopted = sorted({*self._resume.adopted, *self._run.adopted})
            self._resume.counted = sorted(self._run.counted)
            return job

    def _pause(self, error: GeminiRateLimitError) -> None:
        """Pause until it is worth submitting a job again; in the triggerer, which then resumes this task."""
        now, resume = self._clock.now(), self._resume
        if now >= resume.quota_deadline:
            raise GeminiRateLimitError(
                f"The service accepted no further job before quota_timeout had passed ({resume.refusals} attempts in a "
                f"row). {error}"
            ) from error
        resume.refusals += 1
        # The delay in the response is that of a quota per minute; jobs make room much later.
        asked = min(error.retry_after or 0.0, _REFUSED.maximum)
        pause = max(_REFUSED.pause(resume.refusals, self._clock.uniform), asked)
        not_before = min(now + pause, resume.quota_deadline)
        self._log.info("%s No job was submitted; the next attempt is in %.0f s.", error, not_before - now)
        if self._settings.deferrable:
            trigger = GeminiBatchPauseTrigger(
                gemini_conn_id=self._task.gemini_conn_id,
                began=now,
                deadline=resume.quota_deadline + _REFUSED.maximum,
                not_before=not_before,
                resume=resume.to_dict(),
                clock=self._clock,
            )
            self._task.defer(**trigger.deferral())
        self._clock.sleep(not_before - now)

    # Waiting

    def _ended(self, again: int) -> list[BatchJob]:
        """Return the jobs of a round once all have ended with results."""
        names = list(self._resume.jobs_of(again).values())
        try:
            if self._timed_out and again == len(self._resume.rounds) - 1:
                raise self._timed_out
            jobs = self._wait(names)
        except GeminiFilesError as error:
            if isinstance(error, GeminiWaitTimeoutError):
                cancel_late(self._hook, self._log, names, self._settings.cancel_after)
            self._seen |= {name: job for name in names if (job := self._job_or_none(name))}
            self._delete_inputs([self._seen[name] for name in names if name in self._seen])
            if isinstance(error, GeminiPermanentError) and all(
                name in self._seen and self._seen[name].has_ended for name in names
            ):
                self._run.delete_sources()
            raise
        if again == 0 and self._settings.is_volatile and self._known:
            # The source may have been written to while this process has waited.
            self._plans(None, 0)
        return jobs

    def _wait(self, names: list[str]) -> list[BatchJob]:
        for name in names:
            if name not in self._seen:
                self._seen[name] = self._hook.get_batch(name)
        now = self._clock.now()
        began, deadline = self._began_and_deadline(names, now)
        settings = self._settings
        wait = BatchWait(names, Schedule(began, deadline, settings.poll_interval, settings.max_poll_interval))
        for name in names:
            wait.see(name, self._seen[name], now)
        if wait.check(now):
            return wait.ready()
        self._log.info(wait.describe(now))
        if settings.deferrable:
            trigger = GeminiBatchTrigger(
                gemini_conn_id=self._task.gemini_conn_id,
                batch_names=names,
                began=began,
                deadline=deadline,
                poll_interval=settings.poll_interval,
                max_poll_interval=settings.max_poll_interval,
                resume=self._resume.to_dict(),
                clock=self._clock,
            )
            self._task.defer(**trigger.deferral())
        settings.on_wait(names)
        self._clock.sleep(wait.next_poll(now) - now)
        return self._hook.batches.finish(wait)

    def _began_and_deadline(self, names: Sequence[str], now: float) -> tuple[float, float]:
        """Return when the first of the jobs was submitted, and when the wait for the last one fails, by this clock."""
        ahead = self._hook.server_now() - now
        created = [at - ahead for name in names if (at := self._seen[name].created_at()) is not None] or [now]
        timeout = self._settings.timeout
        return min(*created, now), min(max(created) + timeout, deadline_of(self._task, now, timeout))

    def _job_or_none(self, name: str) -> BatchJob | None:
        try:
            return self._hook.get_batch(name)
        except GeminiFilesError:
            return None

    # Ending

    def _write(self, results: Results, jobs: Sequence[BatchJob]) -> Tally:
        tally = self._run.write(results, self._output, known=self._known)
        if not self._known:
            first = [job.counts or {} for job in jobs[: len(self._resume.jobs_of(0))]]
            tally.lost(sum(counts.get("total", 0) for counts in first) - tally.total)
        return tally

    def _landed(self, jobs: Sequence[BatchJob], tally: Tally) -> str:
        """Account for what was written; then judge it."""
        self._log.info("%s: %s", self._output.uri, tally.described())
        if tally.with_others:
            self._log.warning(
                "%d answers have more than text, which is only in the result files of the jobs: %s",
                tally.with_others, "; ".join(tally.first_others),
            )  # fmt: skip
        manifest = self._manifest(jobs, tally)
        self._ti.xcom_push("batch", manifest)
        self._run.count({key: name for jobs in self._resume.rounds for key, name in jobs.items()}, tally, manifest)
        lineage.written(self._hook, self._output.uri)
        self._delete_inputs(jobs)
        self._run.delete_sources()
        submitted = len(self._resume.jobs_of(0))
        if not self._known and submitted < (self._resume.parts or 0):
            raise GeminiInputError(
                f"The requests changed after {submitted} of {self._resume.parts} jobs were submitted. The answers of "
                f"these are in {self._output.uri}. Clear the task to submit the new requests."
            )
        if tally.unsuccessful and self._settings.on_row_error == "fail":
            raise GeminiBatchRowsError(
                f"{tally.described()}. All rows are in {self._output.uri}, with the error of each. on_row_error='keep' "
                "lets the task succeed, and retry_rows repeats requests with a transient error. A cleared task writes "
                "the "
                f"same answers again; to send all requests, delete {', '.join(job.name for job in jobs[:3])} first."
            )
        tell_outlets(self._task, self._context, BATCH_KEY, manifest)
        return self._output.uri

    def _manifest(self, jobs: Sequence[BatchJob], tally: Tally) -> Mapping[str, Any]:
        first = jobs[0]
        return {
            **_account(first),
            "conn_id": self._task.gemini_conn_id,
            "end_time": jobs[-1].end_time,
            "model": first.model or self._run.model,
            "counts": {"total": tally.total, **tally.counts},
            "usage": tally.usage,
            "output": self._output.uri,
            # Requests that have changed name other files than those that were submitted.
            "files": list(self._run.files)[:_MAX_FILES] if self._known else [],
            "jobs": [_account(job) for job in jobs],
        }

    def _delete_inputs(self, jobs: Sequence[BatchJob]) -> None:
        """Delete the requests of jobs that have ended; a file that cannot be deleted is only logged."""
        marks = [BatchMark.parse(job.display_name) for job in jobs if job.has_ended]
        inputs = [mark.input for mark in marks if mark and mark.input]
        for deletion in self._hook.delete_files(inputs):
            if deletion.is_gone:
                self._log.info("Deleted %s, the requests of a job that has ended", deletion.name)
            else:
                self._log.warning("%s stays until a cleanup or its expiry: %s", deletion.name, deletion.error)


def cancel_late(hook: GeminiFilesHook, log: Log, names: Sequence[str], after: float | None) -> None:
    """
    Cancel jobs that are past their time; one that only the task's execution_timeout has ended goes on.

    :param after: seconds from the submission of a job; None: cancel none.
    """
    for name in names if after is not None else ():
        try:
            job = hook.get_batch(name)
            if is_past_its_time(job, after or 0.0, hook.server_now()):
                hook.cancel_batch(name)
                log.warning("%s is %s after its timeout: cancelling it.", name, job.state)
        except GeminiFilesError as error:
            log.warning("%s was not cancelled: %s", name, error)


def _account(job: BatchJob) -> dict[str, Any]:
    """Return what the manifest says about a job."""
    mark = BatchMark.parse(job.display_name)
    return {
        "name": job.name,
        "state": job.state,
        "create_time": job.create_time,
        "end_time": job.end_time,
        "input_file": mark.input if mark else None,
        "result_file": job.output_file,
    }
