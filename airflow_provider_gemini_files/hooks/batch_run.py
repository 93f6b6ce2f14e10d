"""The use case "ask a model in a batch": submit each job once, whatever fails, and write the answers in order."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_gemini_files.batches.job import WITHOUT_RESULTS, BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.batches.requests import Part, parts_of
from airflow_provider_gemini_files.batches.results import Results
from airflow_provider_gemini_files.batches.rows import Tally
from airflow_provider_gemini_files.batches.state import RESULTS_LATE_SECONDS, is_past_its_time
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.content.tokens import counts
from airflow_provider_gemini_files.costs.entry import BATCH_KEY
from airflow_provider_gemini_files.exceptions import (
    GeminiBatchGoneError,
    GeminiBatchInterruptedError,
    GeminiFileGoneError,
    GeminiFilesError,
    GeminiInputError,
    GeminiPermanentError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.hooks.batch_input import BatchInput, BatchSpec, JobPlan
from airflow_provider_gemini_files.hooks.batches import BatchCalls
from airflow_provider_gemini_files.hooks.content import NO_REASON, ContentCalls
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.hooks.polling import LIST_LAG_SECONDS
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.hooks.submission import Remembered, Submission
from airflow_provider_gemini_files.hooks.uploads import UploadCalls
from airflow_provider_gemini_files.transfer.output import Output

#: Part of each fingerprint: another way to write requests must not find jobs of the former one.
_FORMAT = "1"
#: Seconds that the clocks of Airflow and the service may differ when jobs of a run are looked for.
_CLOCK_TOLERANCE = 86_400.0


class BatchRun:
    """One batch of a task instance, from its requests to the rows."""

    def __init__(
        self,
        service: GeminiService,
        files: FileCalls,
        uploads: UploadCalls,
        content: ContentCalls,
        batches: BatchCalls,
        spec: BatchSpec,
    ) -> None:
        self._service = service
        self._log = service.log
        self._files = files
        self._batches = batches
        self._input = BatchInput(service, files, uploads, content, spec)
        self._spec = spec
        self._listed: list[BatchJob] | None = None
        #: Whether this attempt has waited for jobs of an earlier one to appear in the list; once is enough for all.
        self.has_looked_later = False
        self._planned: set[str] = set()
        #: The files that the planned requests name, in order.
        self.files: dict[str, None] = {}
        #: Jobs that an earlier attempt has submitted.
        self.adopted: set[str] = set()
        #: Jobs whose tokens an earlier attempt has sent to the metrics.
        self.counted: set[str] = set()

    @cached_property
    def model(self) -> str:
        """Return the model of all jobs."""
        return (self._spec.model or self._service.connection.model).removeprefix("models/")

    def plan(self, keys: Sequence[str] | None = None, *, again: int = 0) -> list[JobPlan]:
        """
        Read the requests, and return the jobs for them; nothing is sent.

        :param keys: only requests with these keys.
        :param again: how often these requests were answered without success.
        :raises GeminiInputError: for a request that cannot be used.
        """
        requests = self._spec.requests if keys is None else self._spec.requests.only(keys)
        parts = parts_of(self._input.configured(requests), self._spec.max_requests)
        plans = [JobPlan(self._fingerprint(part, again), part, requests) for part in parts]
        self._planned.update(plan.fingerprint for plan in plans)
        self.files.update(dict.fromkeys(name for plan in plans for name in plan.part.names))
        return plans

    def delete_sources(self) -> None:
        """Delete what was uploaded for the sources of the requests, which no further job will read."""
        if self._spec.sources:
            self._spec.sources.delete_owned()

    def submit(self, plan: JobPlan) -> BatchJob:
        """
        Return the job of a plan: one that an earlier attempt has submitted, or a new one.

        :raises GeminiRateLimitError: if the service takes no further job now.
        :raises GeminiServiceError: if it is not known whether a job was created; a later attempt looks for it.
        """
        submission = Submission(self._spec.store, plan.fingerprint, self._log)
        remembered = submission.recall()
        # Another attempt may have submitted it while this one has waited for room.
        self._listed = None
        job = self._usable(remembered.name) or self._find(plan)
        if job is None and (remembered.maybe_submitted or self._spec.is_retry) and not self.has_looked_later:
            self.has_looked_later = True
            job = self._find_later(plan)
        if job is not None:
            return self._adopted(job, submission, remembered)
        self._warn_of_others(plan)
        if self._spec.check:
            self._spec.check()
        submission.intend()
        try:
            mark = self._input.prepare(plan)
        except GeminiFilesError:
            if not remembered.maybe_submitted:
                submission.forget()
            raise
        # The upload may have taken long, and this attempt may not be the only one that is alive.
        self._listed = None
        if job := self._find(plan):
            return self._adopted(job, submission, remembered)
        job = self._create(plan, mark, submission)
        submission.keep(job.name)
        Stats.incr("gemini_files.batch.jobs", tags={"model": self.model})
        Stats.incr("gemini_files.batch.requests", plan.part.count, tags={"model": self.model})
        self._log.info("Submitted %s: %d requests to %s", job.name, plan.part.count, self.model)
        return job

    def _adopted(self, job: BatchJob, submission: Submission, remembered: Remembered) -> BatchJob:
        self._log.info("Using %s, which was submitted before (%s).", job.name, job.progress())
        # Without a record, an earlier attempt may have written the answers of a job that has ended.
        known = remembered.is_counted if remembered.name == job.name else None
        is_counted = job.has_ended if known is None else known
        submission.keep(job.name, is_counted=is_counted)
        self.adopted.add(job.name)
        if is_counted:
            self.counted.add(job.name)
        return job

    def collect(self, jobs: Iterable[BatchJob], results: Results, opened: ExitStack) -> None:
        """
        Download the results of jobs.

        :param opened: closes the local files that hold them.
        """
        for job in jobs:
            file = tempfile.TemporaryFile(prefix="gemini_batch_")  # noqa: SIM115 - closed by the caller
            opened.callback(file.close)
            try:
                self._batches.download_results(job, file)
            except GeminiFileGoneError as error:
                raise GeminiBatchInterruptedError(f"{error} A retry submits the requests again.") from error
            file.seek(0)
            results.add(file, is_counted=job.name in self.counted)
        if results.odd_lines:
            self._log.warning("%d lines of the results are not results, or repeat a key.", results.odd_lines)

    def write(self, results: Results, output: Output, *, known: bool = True) -> Tally:
        """
        Write all rows, and count them.

        :param known: whether the requests are those that the jobs have answered.
        """
        tally = Tally()
        with output.staged() as file:
            for row in tally.add(self._rows(results, known=known)):
                file.write(row.line())
        for kind, count in tally.counts.items():
            Stats.incr("gemini_files.batch.rows", count, tags={"model": self.model, "kind": kind})
        return tally

    def count(self, jobs: Mapping[str, str], tally: Tally, manifest: Mapping[str, Any]) -> None:
        """
        Send tokens and cost of the rows to the metrics, once for each job.

        :param jobs: the names of all jobs, by their fingerprints.
        """
        usage = tally.uncounted
        if usage is None:
            return
        for kind, modality, count in counts(usage):
            tags = {"model": self.model, "modality": modality}
            Stats.incr(f"gemini_files.batch.{kind}_tokens", count, tags=tags)
        self._service.pricing.count(BATCH_KEY, {**manifest, "usage": usage})
        for fingerprint, name in jobs.items():
            Submission(self._spec.store, fingerprint, self._log).keep(name, is_counted=True)

    def _rows(self, results: Results, *, known: bool) -> Iterator[Any]:
        spec = self._spec
        schema = None
        if not known and spec.requests.words.response_schema is not None:
            schema = ModelRequest.of(prompt="-", response_schema=spec.requests.words.response_schema).schema
        return results.rows(
            spec.requests if known else None,
            schema,
            keep_cut=spec.keep_cut,
            require_citations=spec.require_citations,
            secrets=(self._service.connection.api_key,),
        )

    def _fingerprint(self, part: Part, again: int) -> str:
        owner = self._spec.owner
        identity = [
            _FORMAT, owner.deployment, *owner.run, owner.task_id, owner.map_index, self._service.conn_id, self.model,
            again, part.start, part.count, part.digest,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]

    # Finding a job

    def _warn_of_others(self, plan: JobPlan) -> None:
        """Name the jobs of this task that go on, and are billed, although it asks something else now."""
        for job in self._listed or ():
            mark = BatchMark.parse(job.display_name)
            if job.has_ended or mark is None or mark.owner != self._spec.owner or mark.fingerprint in self._planned:
                continue
            self._log.warning(
                "%s is still processing other requests of this task. If you no longer need them, cancel it with "
                "GeminiCancelBatchOperator or GeminiFilesHook.cancel_batch.",
                job.name,
            )

    def _usable(self, name: str | None) -> BatchJob | None:
        """Return a job by its name if its results can be used, or will be."""
        if name is None:
            return None
        try:
            job = self._batches.get_batch(name)
        except GeminiBatchGoneError:
            return None
        return job if self._is_usable(job) else None

    def _find(self, plan: JobPlan) -> BatchJob | None:
        """Return the job of a plan from the list of jobs; the oldest, so that two attempts choose the same."""
        if self._listed is None:
            since = self._spec.since
            if since is not None:
                # A run can be planned for later than it was created.
                since = min(since, self._service.server_now()) - _CLOCK_TOLERANCE
            self._listed = self._batches.list_batches(since=since)
        marked = [job for job in self._listed if _has_fingerprint(job, plan.fingerprint)]
        found = sorted(
            (job for job in marked if self._is_usable(job)),
            key=lambda job: (not job.has_results, job.created_at() or 0.0),
        )
        if not found:
            return self._given_up(marked)
        if len(found) > 1:
            self._log.warning("There are %d jobs for these requests: %s", len(found), ", ".join(j.name for j in found))
        return found[0] if found else None

    def _given_up(self, jobs: Sequence[BatchJob]) -> BatchJob | None:
        """Cancel jobs that an earlier attempt has given up and not cancelled; return one that has results by now."""
        for job in jobs:
            if job.has_ended:
                continue
            self._log.info("%s has not ended in time: cancelling it.", job.name)
            if not self._batches.cancel_batch(job.name) and (now := self._usable(job.name)):
                return now
        return None

    def _find_later(self, plan: JobPlan) -> BatchJob | None:
        """Look once more: a job that was created a moment ago may not be in the list yet."""
        self._log.info(
            "An earlier attempt may have submitted these requests: looking again in %.0f s.", LIST_LAG_SECONDS
        )
        self._service.clock.sleep(LIST_LAG_SECONDS)
        self._listed = None
        return self._find(plan)

    def _is_usable(self, job: BatchJob) -> bool:
        if job.state in WITHOUT_RESULTS:
            return False
        return not self._is_lost(job) if job.has_ended else not self.is_given_up(job)

    def is_given_up(self, job: BatchJob) -> bool:
        """Return whether a job has not ended in its time, so that it is cancelled and not used any more."""
        return self._spec.gives_up and is_past_its_time(job, self._spec.timeout, self._service.server_now())

    def _is_lost(self, job: BatchJob) -> bool:
        """Return whether a job that has SUCCEEDED has no results (any more)."""
        if not job.has_results:
            ended = job.ended_at()
            return ended is not None and self._service.server_now() - ended > RESULTS_LATE_SECONDS
        if job.output_file is None:
            return False
        try:
            self._batches.result_file(job)
        except GeminiFileGoneError:
            self._log.warning("The results of %s no longer exist: submitting the requests again.", job.name)
            return True
        return False

    def _create(self, plan: JobPlan, mark: BatchMark, submission: Submission) -> BatchJob:
        label = f"{self._spec.label} ({plan.part.count} requests)"
        try:
            return self._batches.submit(self.model, mark.display_name(label), str(mark.input))
        except GeminiServiceError as error:
            self._log.warning("%s The job may have been created nevertheless: looking for it.", error)
            self._listed = None
            job = self._find(plan) or self._find_later(plan)
            if job is None:
                raise
            return job
        except GeminiFilesError as error:
            # The service has refused it, so there is no job.
            submission.forget()
            if isinstance(error, GeminiPermanentError):
                self._files.delete_files([str(mark.input)])
            if NO_REASON in str(error):
                raise GeminiInputError(
                    f"{error} What was sent and could be the cause: model {self.model}, or one of the "
                    f"{plan.part.count} requests. GeminiGenerateContentOperator shows whether the model takes a single "
                    "one."
                ) from error
            raise


def _has_fingerprint(job: BatchJob, fingerprint: str) -> bool:
    mark = BatchMark.parse(job.display_name)
    return mark is not None and mark.fingerprint == fingerprint
