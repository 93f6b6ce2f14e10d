"""The use case "ask a model in a batch": submit each job once, whatever fails, and write the answers in order."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_gemini_files.batches.job import WITHOUT_RESULTS, BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.batches.requests import Part, parts_of
from airflow_provider_gemini_files.batches.results import Results
from airflow_provider_gemini_files.batches.rows import Tally
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.exceptions import (
    GeminiBatchGoneError,
    GeminiFileGoneError,
    GeminiFilesError,
    GeminiPermanentError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.hooks.batch_input import BatchInput, BatchSpec, JobPlan
from airflow_provider_gemini_files.hooks.batches import BatchCalls
from airflow_provider_gemini_files.hooks.content import ContentCalls
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.hooks.submission import Submission
from airflow_provider_gemini_files.hooks.uploads import UploadCalls
from airflow_provider_gemini_files.transfer.output import Output

#: Part of each fingerprint: another way to write requests must not find jobs of the former one.
_FORMAT = "1"
#: Seconds before a second look for a job that may exist: how soon a new job is in the list is not documented.
LIST_LAG_SECONDS = 60.0
#: Seconds that the clocks of Airflow and the service may differ when jobs of a run are looked for.
_CLOCK_TOLERANCE = 3600.0
#: Seconds after its end for which a job's results are certainly kept.
_RESULTS_KEPT = 48 * 3600.0


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
        # One later look is enough for all jobs that an earlier attempt may have submitted.
        self._has_looked_later = False

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
        return [JobPlan(self._fingerprint(part, again), part, requests) for part in parts]

    def submit(self, plan: JobPlan) -> BatchJob:
        """
        Return the job of a plan: one that an earlier attempt has submitted, or a new one.

        :raises GeminiRateLimitError: if the service takes no further job now.
        :raises GeminiServiceError: if it is not known whether a job was created; a later attempt looks for it.
        """
        submission = Submission(self._spec.store, plan.fingerprint, self._log)
        remembered = submission.recall()
        job = self._usable(remembered.name) or self._find(plan)
        if job is None and not self._has_looked_later and (remembered.maybe_submitted or self._spec.is_retry):
            self._has_looked_later = True
            job = self._find_later(plan)
        if job is not None:
            self._log.info("%s has been submitted before (%s): it is used.", job.name, job.progress())
            submission.keep(job.name)
            return job
        mark = self._input.prepare(plan)
        job = self._create(plan, mark, submission)
        submission.keep(job.name)
        Stats.incr("gemini_files.batch.jobs", tags={"model": self.model})
        Stats.incr("gemini_files.batch.requests", plan.part.count, tags={"model": self.model})
        self._log.info("Submitted %s: %d requests to %s", job.name, plan.part.count, self.model)
        return job

    def collect(self, jobs: Iterable[BatchJob], results: Results, opened: ExitStack) -> None:
        """
        Download the results of jobs.

        :param opened: closes the local files that hold them.
        """
        for job in jobs:
            file = tempfile.TemporaryFile(prefix="gemini_batch_")  # noqa: SIM115 - closed by the caller
            opened.callback(file.close)
            self._batches.download_results(job, file)
            file.seek(0)
            results.add(file)
        if results.odd_lines:
            self._log.warning("%d lines of the results are no results, or repeat a key.", results.odd_lines)

    def tally(self, results: Results, *, known: bool = True) -> Tally:
        """Judge all rows, and count them."""
        tally = Tally()
        for _ in tally.add(self._rows(results, known=known)):
            pass
        return tally

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

    def _rows(self, results: Results, *, known: bool) -> Iterator[Any]:
        spec = self._spec
        schema = None
        if not known and spec.requests.words.response_schema is not None:
            schema = ModelRequest.of(prompt="-", response_schema=spec.requests.words.response_schema).schema
        return results.rows(spec.requests if known else None, schema, keep_cut=spec.keep_cut)

    def _fingerprint(self, part: Part, again: int) -> str:
        owner = self._spec.owner
        identity = [
            _FORMAT, owner.deployment, *owner.run, owner.task_id, owner.map_index, self._service.conn_id, self.model,
            again, part.start, part.count, part.digest,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]

    # Finding a job

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
            self._listed = self._batches.list_batches(since=since and since - _CLOCK_TOLERANCE)
        marked = [job for job in self._listed if _has_fingerprint(job, plan.fingerprint)]
        found = sorted(
            (job for job in marked if self._is_usable(job)),
            key=lambda job: (not job.has_results, job.created_at() or 0.0),
        )
        if len(found) > 1:
            self._log.warning("There are %d jobs for these requests: %s", len(found), ", ".join(j.name for j in found))
        return found[0] if found else None

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
        now = self._service.server_now()
        if job.has_results:
            return not self._is_lost(job, now)
        # Also one that has SUCCEEDED and never names its results.
        created = job.created_at()
        is_given_up = self._spec.gives_up and created is not None and now >= created + self._spec.timeout
        return not is_given_up

    def _is_lost(self, job: BatchJob, now: float) -> bool:
        """Return whether the results of an old job do not exist any more."""
        ended = job.ended_at()
        if job.output_file is None or ended is None or now < ended + _RESULTS_KEPT:
            return False
        try:
            self._batches.result_file(job)
        except GeminiFileGoneError:
            self._log.warning("The results of %s do not exist any more: submitting the requests again.", job.name)
            return True
        return False

    def _create(self, plan: JobPlan, mark: BatchMark, submission: Submission) -> BatchJob:
        label = f"{self._spec.label} ({plan.part.count} requests)"
        submission.intend()
        try:
            return self._batches.submit(self.model, mark.display_name(label), mark.input)
        except GeminiServiceError as error:
            self._log.warning("%s The job may have been created all the same: looking for it.", error)
            self._listed = None
            job = self._find(plan) or self._find_later(plan)
            if job is None:
                raise
            return job
        except GeminiFilesError as error:
            # The service has refused it, so there is no job.
            submission.forget()
            if isinstance(error, GeminiPermanentError):
                self._files.delete_files([mark.input])
            raise


def _has_fingerprint(job: BatchJob, fingerprint: str) -> bool:
    mark = BatchMark.parse(job.display_name)
    return mark is not None and mark.fingerprint == fingerprint
