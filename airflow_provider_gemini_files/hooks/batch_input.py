"""The input of a batch job: the files that it reads, and the file with its requests."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.batches.requests import BatchRequest, BatchRequests, Part, identity_of
from airflow_provider_gemini_files.common.limits import MAX_FILE_BYTES
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.exceptions import GeminiFileGoneError, GeminiInputError, GeminiIntegrityError
from airflow_provider_gemini_files.files.in_use import run_of
from airflow_provider_gemini_files.files.naming import Owner, run_file_name
from airflow_provider_gemini_files.files.reference import GeminiFile, check_connection
from airflow_provider_gemini_files.hooks.ask import FindUpload
from airflow_provider_gemini_files.hooks.content import ContentCalls
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.hooks.shown_sources import ShownSources
from airflow_provider_gemini_files.hooks.uploads import UploadCalls
from airflow_provider_gemini_files.transfer.memory import StateStore
from airflow_provider_gemini_files.transfer.source import Readable, Source
from airflow_provider_gemini_files.transfer.upload import Upload

if TYPE_CHECKING:
    from google.genai import types  # noqa: TID251 - for type checkers only

INPUT_TYPE = "application/jsonl"
#: Configurations that are kept while requests are read.
_MAX_KNOWN = 100


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
    :param require_citations: an answer that cites no document of file search stores is no success.
    :param keep_cut: take the text of an answer that was cut at its limit of tokens for a success.
    :param since: no job of this run is older, in seconds since the epoch; None if that is not known.
    :param is_retry: whether an earlier attempt of the task may have submitted the jobs.
    :param store: Airflow's ``task_state_store``; None if there is none.
    :param sources: shows the sources of the requests; None if they have none.
    :param check: called before a job is submitted; raises if something that its requests need is not there.
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
    require_citations: bool = False
    keep_cut: bool = False
    since: float | None = None
    is_retry: bool = False
    store: StateStore | None = None
    sources: ShownSources | None = None
    check: Callable[[], None] | None = None


@dataclass(frozen=True)
class JobPlan:
    """
    One job that is to be submitted, or found.

    :param requests: those that the part is a part of.
    """

    fingerprint: str
    part: Part
    requests: BatchRequests = field(repr=False)


class BatchInput:
    """Makes the input of the jobs of a batch."""

    def __init__(
        self,
        service: GeminiService,
        files: FileCalls,
        uploads: UploadCalls,
        content: ContentCalls,
        spec: BatchSpec,
    ) -> None:
        self._service = service
        self._log = service.log
        self._files = files
        self._uploads = uploads
        self._content = content
        self._spec = spec
        #: Requests of which some were read: which, how many, and the rest.
        self._next: tuple[BatchRequests, int, Iterator[BatchRequest]] | None = None

    def prepare(self, plan: JobPlan) -> BatchMark:
        """Look up the files, and upload the requests; return what the display name says."""
        files = self._lasting_files(plan.part.names)
        with tempfile.TemporaryDirectory(prefix="gemini_batch_") as folder:
            path = os.path.join(folder, "requests.jsonl")
            with open(path, "wb") as lines:
                self._write_requests(plan, files, lines)
            uploaded = self._upload(plan, files.values(), path)
        owner = self._spec.owner
        shown = [file.name for file in files.values()]
        of_run = all(file.owner is not None and run_of(file.owner) == run_of(owner) for file in files.values())
        return BatchMark(plan.fingerprint, owner, uploaded.name, tuple(shown), of_run and bool(shown))

    def _lasting_files(self, names: Sequence[str]) -> dict[str, GeminiFile]:
        """Return the files that the requests name, by these names; all of them live long enough."""
        sources = self._spec.sources
        own = sources.own(names) if sources else []
        others = [name for name in names if name not in set(own)]
        found = dict(zip(others, self._files.active_files(others, self._restored), strict=True))
        soon = self._service.server_now() + self._spec.min_remaining_ttl
        for name, file in found.items():
            expires = file.expires_at()
            if expires is not None and expires < soon:
                found[name] = self._replaced(
                    name,
                    f"{name} expires at {file.expiration_time}, and a batch job may need its files for longer than "
                    f"that (min_remaining_ttl is {self._spec.min_remaining_ttl / 3600:g} hours).",
                )
        if sources and own:
            found |= sources.files_of(own)
        return {name: found[name] for name in names}

    def _restored(self, name: str, error: GeminiFileGoneError) -> GeminiFile:
        return self._replaced(name, str(error), error)

    def _replaced(self, name: str, why: str, error: GeminiFileGoneError | None = None) -> GeminiFile:
        """Return a new file of the same source."""
        find = self._spec.find_upload
        known = find(name) if find else None
        if known is None:
            advice = (
                "No upload task of this run has recorded its source: clear the task that uploaded it."
                if find
                else "Upload it again, or set reupload_expired=True."
            )
            kind = GeminiFileGoneError if error else GeminiInputError
            raise kind(f"{why} {advice}") from error
        check_connection(known, self._service.conn_id)
        self._log.warning("%s It is uploaded again.", why)
        return self._uploads.reupload_file(known, min_remaining_ttl=self._spec.min_remaining_ttl)

    def _write_requests(self, plan: JobPlan, files: Mapping[str, GeminiFile], into: BinaryIO) -> None:
        from airflow_provider_gemini_files.hooks import sdk

        config = self._config_reader()
        part, digest = plan.part, hashlib.sha256()
        for one in self._requests_of(plan):
            digest.update(identity_of(one))
            request = one.request
            turns = request.turns([files[name] for name in request.contents.names])
            line = {"key": one.sent_key, "request": sdk.request_json(turns, config(request))}
            into.write(_encoded(line))
            if into.tell() > MAX_FILE_BYTES:
                raise GeminiInputError(
                    f"The {part.count} requests of one job have more than {human_bytes(MAX_FILE_BYTES)}, the most that "
                    "the service takes: set max_requests to split them into several jobs."
                )
        if digest.hexdigest() != part.digest:
            raise GeminiIntegrityError("The requests changed while they were read. A retry reads them again.")

    def _requests_of(self, plan: JobPlan) -> Iterator[BatchRequest]:
        """
        Yield the requests of a part.

        The parts are written one after the other, so the source is not read from its beginning for each.
        """
        part = plan.part
        if self._next is None or self._next[0] is not plan.requests or self._next[1] != part.start:
            self._next = plan.requests, 0, iter(plan.requests)
            for _ in islice(self._next[2], part.start):
                pass
        rest = self._next[2]
        self._next = None
        yield from islice(rest, part.count)
        self._next = plan.requests, part.start + part.count, rest

    def configured(self, requests: Iterable[BatchRequest]) -> Iterator[BatchRequest]:
        """Yield requests whose configuration can be sent."""
        from airflow_provider_gemini_files.hooks import sdk

        config = self._config_reader()
        for one in requests:
            if self._spec.require_citations and one.request.file_search is None:
                raise GeminiInputError(
                    f"Request {one.key!r} has no file_search: require_citations needs the stores to cite."
                )
            try:
                sdk.request_json([], config(one.request))
            except GeminiInputError as error:
                raise GeminiInputError(f"Request {one.key!r}: {error}") from error
            yield one

    def _config_reader(self) -> Callable[[ModelRequest], types.GenerateContentConfig]:
        """Return a reader of configurations that reads the same one only once."""
        known: dict[str, types.GenerateContentConfig] = {}

        def read(request: ModelRequest) -> types.GenerateContentConfig:
            schema = request.schema.json_schema if request.schema else None
            given = [request.system_instruction, request.generation_config, schema, request.file_search, request.cache]
            key = repr(given)
            if key not in known:
                # Few differ; what every request has of its own is not worth keeping.
                if len(known) >= _MAX_KNOWN:
                    known.clear()
                model = self._spec.model or self._service.connection.model
                known[key] = self._content.config_of(replace(request, model=model))
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
        [uploaded] = self._uploads.upload_files([upload], store=self._spec.store)
        return self._files.wait_for_file(uploaded)


def _encoded(line: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError as error:
        raise GeminiInputError(
            f"Request {line['key']!r} contains a lone surrogate (half of a character), which cannot be sent: {error}."
        ) from error
    except ValueError as error:
        raise GeminiInputError(f"Request {line['key']!r} has a number that JSON does not have: {error}.") from error
