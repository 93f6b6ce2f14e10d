"""The hook's calls that make files: upload one, many, or bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Stats
from airflow.sdk.log import mask_secret

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.exceptions import (
    GeminiFileGoneError,
    GeminiFilesError,
    GeminiIntegrityError,
    GeminiNameTakenError,
    GeminiStorageFullError,
)
from airflow_provider_gemini_files.files.limits import human_bytes
from airflow_provider_gemini_files.files.mime import mime_type_of
from airflow_provider_gemini_files.files.naming import (
    Owner,
    display_name_for,
    is_new_file_name,
    new_file_name,
)
from airflow_provider_gemini_files.files.reference import GeminiFile, parse_name
from airflow_provider_gemini_files.files.usage import StorageUsage
from airflow_provider_gemini_files.hooks import request_log
from airflow_provider_gemini_files.hooks.reuse import ReuseCalls
from airflow_provider_gemini_files.transfer.many import for_each, shortened
from airflow_provider_gemini_files.transfer.memory import WORTH_BYTES, SessionMemory, StateStore
from airflow_provider_gemini_files.transfer.progress import Progress
from airflow_provider_gemini_files.transfer.session import UploadSession
from airflow_provider_gemini_files.transfer.sources import Source, bytes_source, find_source
from airflow_provider_gemini_files.transfer.stream import head_of

if TYPE_CHECKING:
    import httpx

#: Seconds; a file that dies sooner is not handed to a task that has yet to work with it.
DEFAULT_MIN_REMAINING_TTL = 3600.0
#: Uploads at once: enough to hide the round trips of small files, few enough for any line.
CONCURRENCY = 16


@dataclass(frozen=True)
class Upload:
    """
    What is to be uploaded, and as what.

    :param mime_type: told from the source's name, then from its content, where None.
    :param display_name: the source's name where None; the owner is written behind it.
    :param name: ``files/...`` to create or to find; None: a new name.
    :param share: all runs that upload the same bytes as the same type share one file; the source is read twice then.
    :param min_remaining_ttl: seconds; a file that is there but expires sooner is not used, and is left alone.
    """

    source: Source
    mime_type: str | None = None
    display_name: str | None = None
    name: str | None = None
    share: bool = False
    owner: Owner | None = None
    min_remaining_ttl: float = DEFAULT_MIN_REMAINING_TTL


@dataclass(frozen=True)
class _Line:
    """What the uploads of one call have in common."""

    client: httpx.Client
    progress: Progress
    store: StateStore | None


class UploadCalls(ReuseCalls):
    """How files are made."""

    def upload_file(self, source: Source | str | os.PathLike[str], **options: Any) -> GeminiFile:
        """
        Upload a source, streamed, and verify what arrived.

        :param source: a path or URI as :func:`~airflow_provider_gemini_files.transfer.sources.find_source` takes it,
            or what it returned.
        :param options: the other fields of :class:`Upload`.
        :return: the file, often still PROCESSING.
        :raises GeminiIntegrityError: where size or hash differ; the wrong file has then been deleted.
        """
        found = source if isinstance(source, Source) else find_source(source)
        return self.upload_files([Upload(found, **options)])[0]

    def upload_bytes(self, data: bytes, name: str, **options: Any) -> GeminiFile:
        """
        Upload bytes that are in memory, as :meth:`upload_file` does.

        :param name: a file name; its ending tells the MIME type, and it is the display name where none is given.
        :param options: ``mime_type``, ``display_name``, ``share``, ``owner``, ``min_remaining_ttl`` of :class:`Upload`.
        """
        return self.upload_file(bytes_source(data, name), **options)

    def upload_files(self, uploads: Sequence[Upload], *, store: StateStore | None = None) -> list[GeminiFile]:
        """
        Upload several sources, some at once, and return their files in order.

        One that fails does not keep the others from being uploaded.

        :param store: Airflow's ``task_state_store``: a later try of the task goes on from there with a broken upload.
        :raises GeminiFilesError: the error of the one that failed, or one that names all that failed.
        """
        from airflow_provider_gemini_files.transfer import uploader

        # What can be refused is refused before a byte is sent.
        ready = [self._ready(upload) for upload in uploads]
        size = sum(upload.source.size for upload in ready)
        what = ready[0].source.name if len(ready) == 1 else f"{len(ready)} files"
        # Made here, as threads would make several.
        _ = self._files_client
        uploaded: list[GeminiFile] = []

        def explain(failed: list[tuple[Upload, GeminiFilesError]], good: list[GeminiFile]) -> str:
            uploaded.extend(good)
            return _explain(failed, good)

        self.log.info("::group::Uploading %s, %s", what, human_bytes(size))
        progress = Progress(self.log.info, what, size)
        try:
            with uploader.new_client(self.connection.timeout, CONCURRENCY) as client:
                line = _Line(client, progress, store)
                files = for_each(lambda upload: self._upload(upload, line), ready, CONCURRENCY, explain)
        except GeminiStorageFullError as error:
            error.missing_bytes = size - sum(file.size_bytes or 0 for file in uploaded)
            raise
        finally:
            self.log.info("::endgroup::")
        files = [replace(file, uploaded_from=one.source.origin) for file, one in zip(files, ready, strict=True)]
        lineage.uploaded(self, files)
        Stats.timing("gemini_files.upload.seconds", progress.seconds() * 1000)
        self.log.info("%s", progress.summary())
        return files

    def _ready(self, upload: Upload) -> Upload:
        """Settle name, type and display name, which needs no request."""
        source = upload.source
        return replace(
            upload,
            name=upload.name and parse_name(upload.name),
            mime_type=mime_type_of(source.name, upload.mime_type, lambda: head_of(source)),
            display_name=display_name_for(upload.display_name or source.name, upload.owner, shared=upload.share),
        )

    def _upload(self, upload: Upload, line: _Line) -> GeminiFile:
        source = upload.source
        name: str | None = None
        if names := self._names(upload):
            existing, name = self._find(names, upload)
            if existing:
                self.log.info("%s is already there as %s: nothing is sent.", source.uri, existing.name)
                line.progress.skipped(source.size)
                return existing
        name = name or new_file_name()
        try:
            return self._send(upload, name, line)
        except GeminiNameTakenError:
            # Another task has won the race for the name, a lost answer was ours, or a file we may not see has it.
            existing, _ = self._find([name], upload)
        if existing:
            self.log.info("%s was meanwhile uploaded as %s.", source.uri, name)
            return existing
        self.log.info("The name %s is taken by a file that cannot be used: the service chooses one.", name)
        return self._send(upload, None, line)

    def _send(self, upload: Upload, name: str | None, line: _Line) -> GeminiFile:
        source, progress = upload.source, line.progress
        metadata = {"displayName": str(upload.display_name)} | ({"name": name} if name else {})
        memory = self._memory(upload, line.store)
        file, remembered, sent = self._transfer(upload, metadata, line, memory)
        if remembered and sent == 0 and not self._is_there(file):
            self.log.info("%s, which an earlier try had uploaded, is gone: uploading again.", file.name)
            file, _, sent = self._transfer(upload, metadata, line, memory)
        progress.sent(sent)
        Stats.incr("gemini_files.upload.bytes", sent)
        Stats.incr("gemini_files.upload.files")
        self.log.info(
            "%s is %s: %s, sha256 %s, %s",
            source.name, file.name, human_bytes(source.size), file.sha256, file.state,
        )  # fmt: skip
        return file

    def _transfer(
        self, upload: Upload, metadata: dict[str, str], line: _Line, memory: SessionMemory
    ) -> tuple[GeminiFile, bool, int]:
        """Send what is left of a source; return the file, whether an earlier try's session was used, bytes sent."""
        from airflow_provider_gemini_files.transfer import uploader

        source = upload.source
        url = memory.recall()
        if url:
            _hide(url, source.size)
            self.log.info("%s: an earlier try has begun; asking how far it got.", source.name)
        session = UploadSession(
            start_url=self.connection.upload_url(),
            api_key=self.connection.api_key,
            metadata=metadata,
            mime_type=str(upload.mime_type),
            size=source.size,
            max_failures=self.connection.max_retries,
            url=url,
        )

        def on_url(new: str) -> None:
            _hide(new, source.size)
            memory.keep(new)

        try:
            uploaded = uploader.send(
                client=line.client,
                session=session,
                source=source,
                on_url=on_url,
                on_progress=line.progress.moved,
                on_trouble=lambda delay: line.progress.interrupted(source.name, delay),
            )
        except GeminiStorageFullError as error:
            raise self._full(error, source) from error
        finally:
            if session.resumes:
                Stats.incr("gemini_files.upload.resumes", session.resumes)
        memory.forget()
        file = GeminiFile.from_api(uploaded.resource)
        self._verify(file, source, uploaded.sha256)
        return file, url is not None, uploaded.sent

    def _memory(self, upload: Upload, store: StateStore | None) -> SessionMemory:
        source = upload.source
        bound_to = (
            self.connection.upload_url(), self.gemini_conn_id, str(upload.name), str(upload.share),
            str(upload.mime_type), str(upload.display_name), *source.fingerprint,
        )  # fmt: skip
        return SessionMemory(store if source.size > WORTH_BYTES else None, source.uri, bound_to, self.log)

    def _is_there(self, file: GeminiFile) -> bool:
        try:
            self.get_file(file)
        except GeminiFileGoneError:
            return False
        return True

    def _verify(self, file: GeminiFile, source: Source, sha256: str) -> None:
        # A hash the service does not give, or in a form nobody has seen, says nothing against the file.
        if file.size_bytes in (None, source.size) and file.sha256 in (None, sha256):
            return
        self.delete_file(file.name)
        raise GeminiIntegrityError(
            f"{source.uri} arrived damaged as {file.name}: sent {source.size} bytes with sha256 {sha256}, the service "
            f"has {file.size_bytes} bytes with sha256 {file.sha256}. The damaged file was deleted; a retry sends anew."
        )

    def _full(self, error: GeminiStorageFullError, source: Source) -> GeminiStorageFullError:
        """Say what is used, what was needed, and what would free it; as far as a list can be had."""
        try:
            files = self.list_files()
        except GeminiFilesError as failure:
            return GeminiStorageFullError(f"{error} {source.uri} needs {human_bytes(source.size)}; ({failure})")
        usage = StorageUsage.of(files, self.connection.quota_bytes)
        owned = sum(file.owner is not None for file in files)
        return GeminiStorageFullError(
            f"{error} {source.uri} needs {human_bytes(source.size)}; {usage.files} files use "
            f"{human_bytes(usage.used_bytes)} of {human_bytes(usage.quota_bytes)}, {owned} of them uploaded by "
            f"Airflow's tasks; the first expires at {usage.next_expiry}. The cleanup Dag or GeminiDeleteFileOperator "
            "makes room, and on_quota='wait' waits for it."
        )


def _hide(url: str, size: int) -> None:
    """Keep a session's URL, which authorises whoever has it, out of the log."""
    request_log.keep_out(url.partition("?")[0])
    # Each secret makes the masker slower for good, so that of a small file, which is spent at once, is not worth it.
    if size > WORTH_BYTES:
        mask_secret(url.partition("?")[2])


def _explain(failed: list[tuple[Upload, GeminiFilesError]], good: list[GeminiFile]) -> str:
    found_again = all(upload.share or (upload.name and not is_new_file_name(upload.name)) for upload, _ in failed)
    told = shortened([f"{upload.source.uri}: {error}" for upload, error in failed])
    if not good:
        return f"{len(failed)} uploads failed, and none went well: {told}"
    return (
        f"{len(failed)} uploads failed: {told} -- {len(good)} files are there and stay: "
        f"{', '.join(file.name for file in good)}. A retry {'finds them' if found_again else 'uploads them'} again."
    )
