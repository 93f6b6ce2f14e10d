"""The way of one batch through a task: submit, wait, ask failed rows again, write, account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.batches.job import WITHOUT_RESULTS, BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.batches.results import Results
from airflow_provider_gemini_files.batches.rows import Tally
from airflow_provider_gemini_files.batches.state import BatchWait
from airflow_provider_gemini_files.common.backoff import MAX_WAIT_PAUSE, Backoff
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.exceptions import (
    GeminiBatchRowsError,
    GeminiFilesError,
    GeminiRateLimitError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.hooks.batch_input import JobPlan
from airflow_provider_gemini_files.hooks.batch_run import BatchRun
from airflow_provider_gemini_files.operators.base import GeminiOperator, deadline_of
from airflow_provider_gemini_files.operators.batch_resume import BatchResume
from airflow_provider_gemini_files.transfer.output import Output
from airflow_provider_gemini_files.triggers.batches import GeminiBatchPauseTrigger, GeminiBatchTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Pauses before a job that was refused is submitted again: one minute at first, then up to ten.
_REFUSED = Backoff(60.0, MAX_WAIT_PAUSE, MAX_WAIT_PAUSE)


@dataclass(frozen=True)
class BatchSettings:
    """
    How a batch goes its way; see ``GeminiBatchGenerateContentOperator``. Durations are in seconds.

    :param on_wait: called with the jobs that this process is about to wait for.
    """

    retry_rows: int
    on_row_error: str
    on_quota: str
    timeout: float
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
        self._ti = context["ti"]
        self._run = run
        self._output = output
        self._resume = resume
        self._seen = {job.name: job for job in ended}
        self._timed_out = timed_out

    def execute(self) -> str:
        """Do what is left to do, and return the URI of the answers; it may defer the task."""
        jobs: list[BatchJob] = []
        results = Results()
        keys: list[str] | None = None
        known = True
        with ExitStack() as opened:
            for again in range(self._settings.retry_rows + 1):
                known = known and self._submit(keys, again)
                of_round = self._ended(again, is_first=not jobs)
                self._run.collect(of_round, results, opened)
                jobs += of_round
                if not known or not of_round or again == self._settings.retry_rows:
                    break
                keys = self._run.tally(results).transient
                if not keys:
                    break
                self._log.warning("%d rows failed with a passing error: asking them again.", len(keys))
            tally = self._run.write(results, self._output, known=known)
        return self._landed(jobs, tally)

    def _give_up(self, names: Sequence[str]) -> None:
        """Cancel jobs that are past their time; one that only this task's execution_timeout has ended goes on."""
        for name in names:
            job = self._hook.get_batch(name)
            if self._run.is_given_up(job):
                self._hook.cancel_batch(name)
                self._log.warning("%s is %s after its timeout: it is being cancelled.", name, job.state)

    # Submitting

    def _submit(self, keys: list[str] | None, again: int) -> bool:
        """Submit what is not submitted yet; return whether the requests are those of the jobs."""
        plans = self._run.plan(keys, again=again)
        jobs = self._resume.jobs_of(again)
        if not jobs.keys() <= {plan.fingerprint for plan in plans}:
            self._log.warning(
                "The requests have changed since they were submitted: the answers come in the order of the results. "
                "Clear the task to ask the new requests."
            )
            return False
        for plan in plans:
            if plan.fingerprint not in jobs:
                job = self._submitted(plan)
                jobs[plan.fingerprint] = job.name
                self._seen[job.name] = job
                names = self._resume.names()
                self._ti.xcom_push("batch_name", names[0] if len(names) == 1 else names)
        return True

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
            return job

    def _pause(self, error: GeminiRateLimitError) -> None:
        """Pause until it is worth submitting a job again; in the triggerer, which then resumes this task."""
        now, resume = self._clock.now(), self._resume
        if now >= resume.quota_deadline:
            raise GeminiRateLimitError(
                f"The service has taken no further job until quota_timeout had passed ({resume.refusals} attempts in a "
                f"row). {error}"
            ) from error
        resume.refusals += 1
        pause = _REFUSED.pause(resume.refusals, self._clock.uniform, error.retry_after)
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

    def _ended(self, again: int, *, is_first: bool) -> list[BatchJob]:
        """
        Return the jobs of a round once all have ended with results.

        A later round that ends badly is left out: the rows keep the errors that they have.
        """
        names = list(self._resume.jobs_of(again).values())
        try:
            if self._timed_out and again == len(self._resume.rounds) - 1:
                raise self._timed_out
            return self._wait(names)
        except GeminiFilesError as error:
            if isinstance(error, GeminiWaitTimeoutError):
                self._give_up(names)
            jobs = [job for name in names if (job := self._job_or_none(name))]
            self._delete_inputs(jobs)
            has_failed = isinstance(error, GeminiWaitTimeoutError) or any(job.state in WITHOUT_RESULTS for job in jobs)
            if is_first or not has_failed:
                raise
            self._log.warning("%s The rows that were asked again keep their errors.", error)
            return []

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
        """Return when the first of the jobs was submitted, and when the wait for them fails, by this clock."""
        ahead = self._hook.server_now() - now
        created = [at - ahead for name in names if (at := self._seen[name].created_at()) is not None]
        began = min([*created, now])
        return began, min(began + self._settings.timeout, deadline_of(self._task, now, self._settings.timeout))

    def _job_or_none(self, name: str) -> BatchJob | None:
        try:
            return self._hook.get_batch(name)
        except GeminiFilesError:
            return None

    # Ending

    def _landed(self, jobs: Sequence[BatchJob], tally: Tally) -> str:
        """Account for what was written; then judge it."""
        self._log.info("%s: %s", self._output.uri, tally.described())
        manifest = self._manifest(jobs, tally)
        self._ti.xcom_push("batch", manifest)
        self._task.linked_files = [name for name in (manifest["input_file"], manifest["result_file"]) if name]
        lineage.written(self._hook, self._output.uri)
        self._delete_inputs(jobs)
        if tally.unsuccessful and self._settings.on_row_error == "fail":
            raise GeminiBatchRowsError(
                f"{tally.described()}. All rows are in {self._output.uri}, with the error of each. on_row_error='keep' "
                "lets the task succeed, and retry_rows asks rows with a passing error again. A cleared task writes the "
                f"same answers again; to ask all requests anew, delete {', '.join(job.name for job in jobs[:3])} first."
            )
        return self._output.uri

    def _manifest(self, jobs: Sequence[BatchJob], tally: Tally) -> Mapping[str, Any]:
        first = jobs[0]
        return {
            **_account(first),
            "end_time": jobs[-1].end_time,
            "model": first.model or self._run.model,
            "counts": {"total": tally.total, **tally.counts},
            "usage": tally.usage,
            "output": self._output.uri,
            "jobs": [_account(job) for job in jobs],
        }

    def _delete_inputs(self, jobs: Sequence[BatchJob]) -> None:
        """Delete the requests of jobs that have ended; a file that cannot be deleted is only logged."""
        inputs = [mark.input for job in jobs if job.has_ended and (mark := BatchMark.parse(job.display_name))]
        for deletion in self._hook.delete_files(inputs):
            if deletion.is_gone:
                self._log.info("Deleted %s, the requests of a job that has ended", deletion.name)
            else:
                self._log.warning("%s stays until a cleanup or its expiry: %s", deletion.name, deletion.error)


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
