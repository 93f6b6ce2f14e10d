"""The use case "ask a model in a batch": submit each job once, whatever fails, and write the answers in order."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_gemini_files.batches.job import WITHOUT_RESULTS, BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.batches.requests import BatchRequest, BatchRequests, Part, parts_of
from airflow_provider_gemini_files.batches.results import Results
from airflow_provider_gemini_files.batches.rows import Tally
from airflow_provider_gemini_files.common.limits import MAX_FILE_BYTES
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.exceptions import (
    GeminiBatchGoneError,
    GeminiFileGoneError,
    GeminiInputError,
    GeminiRateLimitError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.files.naming import Owner, run_file_name
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.ask import FindUpload
from airflow_provider_gemini_files.hooks.batches import BatchCalls
from airflow_provider_gemini_files.hooks.content import ContentCalls
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.hooks.submission import Submission
from airflow_provider_gemini_files.hooks.uploads import UploadCalls
from airflow_provider_gemini_files.transfer.memory import StateStore
from airflow_provider_gemini_files.transfer.output import Output
from airflow_provider_gemini_files.transfer.source import Readable, Source
from airflow_provider_gemini_files.transfer.upload import Upload

if TYPE_CHECKING:
    from google.genai import types  # noqa: TID251 - for type checkers only

#: Part of each fingerprint: another way to write requests must not find jobs of the former one.
_FORMAT = "1"
INPUT_TYPE = "application/jsonl"
#: Seconds before a second look for a job that may exist: how soon a new job is in the list is not documented.
LIST_LAG_SECONDS = 60.0
#: Seconds that the clocks of Airflow and the service may differ when jobs of a run are looked for.
_CLOCK_TOLERANCE = 3600.0
#: Seconds after its end for which a job's results are certainly kept.
_RESULTS_KEPT = 48 * 3600.0


@dataclass(frozen=True)
class BatchSpec:
    """
    What is asked in a batch, by whom, and how.

    :param owner: the task instance; its identity is part of the fingerprint.
    :param model: the connection's if None.
    :param label: begins the display name of each job.
    :param max_requests: requests of a job, the most; no limit but the service's if None.
    :param min_remaining_ttl: seconds that a file must live on when a job is submitted.
    :param find_upload: finds the metadata of a file that is gone or expires too soon, so that its source is uploaded
        again; None: such a file is an error.
    :param timeout: seconds after its submission from which on a job is given up.
    :param gives_up: whether a job that is given up is cancelled, so that it must not be used again.
    :param keep_cut: take the text of an answer that was cut at its limit of tokens for a success.
    :param since: no job of this run is older, in seconds since the epoch; None if that is not known.
    :param is_retry: whether an earlier attempt of the task may have submitted the jobs.
    """

    requests: BatchRequests
    owner: Owner
    model: str | None
    label: str
    timeout: float
    max_requests: int | None = None
    min_remaining_ttl: float = 26 * 3600.0
    find_upload: FindUpload | None = None
    gives_up: bool = True
    keep_cut: bool = False
    since: float | None = None
    is_retry: bool = False


@dataclass(frozen=True)
class JobPlan:
    """
    One job that is to be submitted, or found.

    :param requests: those that the part is a part of.
    """

    fingerprint: str
    part: Part
    requests: BatchRequests = field(repr=False)


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
        store: StateStore | None = None,
    ) -> None:
        self._service = service
        self._log = service.log
        self._files = files
        self._uploads = uploads
        self._content = content
        self._batches = batches
        self._spec = spec
        self._store = store
        self._listed: list[BatchJob] | None = None

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
        parts = parts_of(self._configured(requests), self._spec.max_requests)
        return [JobPlan(self._fingerprint(part, again), part, requests) for part in parts]

    def submit(self, plan: JobPlan) -> BatchJob:
        """
        Return the job of a plan: one that an earlier attempt has submitted, or a new one.

        :raises GeminiRateLimitError: if the service takes no further job now.
        :raises GeminiServiceError: if it is not known whether a job was created; a later attempt looks for it.
        """
        submission = Submission(self._store, plan.fingerprint, self._log)
        remembered = submission.recall()
        job = self._usable(remembered.name) or self._find(plan)
        if job is None and (remembered.maybe_submitted or self._spec.is_retry):
            job = self._find_later(plan)
        if job is not None:
            self._log.info("%s has been submitted before (%s): it is used.", job.name, job.progress())
            submission.keep(job.name)
            return job
        mark = self._prepare(plan)
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
            key=lambda job: (not job.has_ended, job.created_at() or 0.0),
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
        if job.has_ended:
            return not self._is_lost(job, now)
        created = job.created_at()
        is_given_up = self._spec.gives_up and created is not None and now >= created + self._spec.timeout
        return not is_given_up

    def _is_lost(self, job: BatchJob, now: float) -> bool:
        """Return whether the results of an old job do not exist any more."""
        ended = job.ended_at()
        if job.output_file is None or ended is None or now < ended + _RESULTS_KEPT:
            return False
        try:
            self._files.get_file(job.output_file)
        except GeminiFileGoneError:
            self._log.warning("The results of %s do not exist any more: submitting the requests again.", job.name)
            return True
        return False

    # Submitting a job

    def _prepare(self, plan: JobPlan) -> BatchMark:
        """Look up the files, and upload the requests; return what the display name says."""
        files = self._lasting_files(plan.part.names)
        with tempfile.TemporaryDirectory(prefix="gemini_batch_") as folder:
            path = os.path.join(folder, "requests.jsonl")
            with open(path, "wb") as lines:
                self._write_requests(plan, files, lines)
            uploaded = self._upload(plan, files.values(), path)
        owner = self._spec.owner
        shown = [file.name for file in files.values()]
        of_run = all(file.owner is not None and file.owner.run == owner.run for file in files.values())
        return BatchMark(plan.fingerprint, owner, uploaded.name, tuple(shown), of_run and bool(shown))

    def _lasting_files(self, names: Sequence[str]) -> dict[str, GeminiFile]:
        """Return the files that the requests name, by these names; all of them live long enough."""
        found = dict(zip(names, self._files.active_files(names, self._restored), strict=True))
        soon = self._service.server_now() + self._spec.min_remaining_ttl
        for name, file in found.items():
            expires = file.expires_at()
            if expires is not None and expires < soon:
                found[name] = self._replaced(
                    name,
                    f"{name} expires at {file.expiration_time}, and a batch job may need its files for longer than "
                    f"that (min_remaining_ttl is {self._spec.min_remaining_ttl / 3600:g} hours).",
                )
        return found

    def _restored(self, name: str, error: GeminiFileGoneError) -> GeminiFile:
        return self._replaced(name, str(error), error)

    def _replaced(self, name: str, why: str, error: GeminiFileGoneError | None = None) -> GeminiFile:
        """Return a new file of the same source."""
        find = self._spec.find_upload
        known = find(name) if find else None
        if known is None:
            advice = (
                "No upload task of this run has recorded where it came from: clear the task that uploaded it."
                if find
                else "Upload it again, or set reupload_expired=True."
            )
            kind = GeminiFileGoneError if error else GeminiInputError
            raise kind(f"{why} {advice}") from error
        self._log.warning("%s It is uploaded again.", why)
        return self._uploads.reupload_file(known, min_remaining_ttl=self._spec.min_remaining_ttl)

    def _write_requests(self, plan: JobPlan, files: Mapping[str, GeminiFile], into: BinaryIO) -> None:
        from airflow_provider_gemini_files.hooks import sdk

        config = self._config_reader()
        part = plan.part
        for one in islice(plan.requests, part.start, part.start + part.count):
            request = one.request
            turns = request.turns([files[name] for name in request.contents.names])
            line = {"key": one.key, "request": sdk.request_json(turns, config(request))}
            into.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            if into.tell() > MAX_FILE_BYTES:
                raise GeminiInputError(
                    f"The {part.count} requests of one job have more than {human_bytes(MAX_FILE_BYTES)}, the most that "
                    "the service takes: set max_requests to split them into several jobs."
                )

    def _configured(self, requests: Iterable[BatchRequest]) -> Iterator[BatchRequest]:
        """Yield requests whose configuration can be sent."""
        config = self._config_reader()
        for one in requests:
            try:
                config(one.request)
            except GeminiInputError as error:
                raise GeminiInputError(f"Request {one.key!r}: {error}") from error
            yield one

    def _config_reader(self) -> Callable[[ModelRequest], types.GenerateContentConfig]:
        """Return a reader of configurations that reads the same one only once."""
        known: dict[str, types.GenerateContentConfig] = {}

        def read(request: ModelRequest) -> types.GenerateContentConfig:
            schema = request.schema.json_schema if request.schema else None
            given = [request.system_instruction, request.generation_config, schema]
            key = json.dumps(given, sort_keys=True, default=repr)
            if key not in known:
                # Few differ; what every request has of its own is not worth keeping.
                if len(known) > 100:
                    known.clear()
                known[key] = self._content.config_of(request)
            return known[key]

        return read

    def _upload(self, plan: JobPlan, files: Iterable[GeminiFile], path: str) -> GeminiFile:
        spec, size = self._spec, os.path.getsize(path)
        quota = self._service.connection.quota_bytes
        if size > quota:
            raise GeminiInputError(
                f"The requests have {human_bytes(size)}, more than the whole storage of the project "
                f"({human_bytes(quota)}; quota_bytes of the connection)."
            )
        # The same bytes have the same name at each attempt.
        bytes_of = ("batch", plan.fingerprint, *(file.name for file in files))
        name = run_file_name(self._service.conn_id, spec.owner, bytes_of)
        title = f"{spec.owner.task_id}-{plan.fingerprint[:8]}.jsonl"

        def open_at(offset: int) -> Readable:
            stream = open(path, "rb")  # noqa: SIM115 - closed by the upload
            stream.seek(offset)
            return stream

        source = Source(title, title, size, bytes_of, open_at)
        upload = Upload(
            source, mime_type=INPUT_TYPE, name=name, owner=spec.owner, min_remaining_ttl=spec.min_remaining_ttl
        )
        [uploaded] = self._uploads.upload_files([upload], store=self._store)
        return self._files.wait_for_file(uploaded)

    def _create(self, plan: JobPlan, mark: BatchMark, submission: Submission) -> BatchJob:
        label = f"{self._spec.label} ({plan.part.count} requests)"
        submission.intend()
        try:
            return self._batches.submit(self.model, mark.display_name(label), mark.input)
        except GeminiRateLimitError:
            submission.forget()
            raise
        except GeminiServiceError as error:
            self._log.warning("%s The job may have been created all the same: looking for it.", error)
            self._listed = None
            job = self._find(plan) or self._find_later(plan)
            if job is None:
                raise
            return job
        except GeminiInputError:
            submission.forget()
            self._files.delete_files([mark.input])
            raise


def _has_fingerprint(job: BatchJob, fingerprint: str) -> bool:
    mark = BatchMark.parse(job.display_name)
    return mark is not None and mark.fingerprint == fingerprint
