"""One upload: reuse an existing file, or send, resume and verify a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files.common.clock import Clock
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.exceptions import (
    GeminiFileGoneError,
    GeminiInputError,
    GeminiIntegrityError,
    GeminiNameTakenError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.files.naming import new_file_name
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.transfer.memory import MIN_REMEMBERED_BYTES, Log, SessionMemory, StateStore
from airflow_provider_gemini_files.transfer.progress import Progress
from airflow_provider_gemini_files.transfer.reuse import RemoteFiles, Reuse
from airflow_provider_gemini_files.transfer.session import UploadSession
from airflow_provider_gemini_files.transfer.source import checked_size
from airflow_provider_gemini_files.transfer.upload import Upload

if TYPE_CHECKING:
    import httpx

#: Times that a source is read if it changes while it is read.
_MAX_READS = 3


@dataclass(frozen=True)
class Destination:
    """Where uploads go: the parts of a connection that they need."""

    conn_id: str
    upload_url: str
    api_key: str
    key_place: str
    max_retries: int
    via_host: bool = False


@dataclass(frozen=True)
class Tools:
    """
    What the uploads of one call share.

    :param store: Airflow's ``task_state_store``; None if there is none.
    :param server_now: the time by the service's clock, which has written the files' times.
    :param hide: keeps a session's URL out of the log; given the URL and the size of the source.
    """

    client: httpx.Client
    files: RemoteFiles
    progress: Progress
    store: StateStore | None
    log: Log
    clock: Clock
    server_now: Callable[[], float]
    hide: Callable[[str, int], None]


@dataclass(frozen=True)
class Result:
    """
    The result of one upload.

    :param sent: bytes that were sent, including those sent again; 0 if an existing file is used.
    :param resumes: how often the upload was resumed after an interruption.
    :param reused: whether an existing file is used.
    """

    file: GeminiFile
    sent: int = 0
    resumes: int = 0
    reused: bool = False


class FileUpload:
    """
    One upload.

    :param upload: settled: see :meth:`Upload.settled`.
    """

    def __init__(self, upload: Upload, destination: Destination, tools: Tools) -> None:
        self._upload = upload
        self._source = upload.source
        # As the log shows them.
        self._name = shown_text(upload.source.name)
        self._uri = shown_text(upload.source.uri)
        self._destination = destination
        self._tools = tools
        self._log = tools.log
        self._resumes = 0
        self._sent = 0

    def run(self) -> Result:
        """
        Return a file that holds the source's bytes: an existing one, or a new one.

        :raises GeminiIntegrityError: if the remote file differs from the source; it has then been deleted.
        :raises GeminiFilesError: if the file cannot be uploaded.
        """
        for _ in range(_MAX_READS):
            reuse = Reuse(
                replace(self._upload, source=self._source),
                self._destination.conn_id,
                self._tools.files,
                self._tools.server_now,
                self._log,
            )
            result = self._unless_changed(reuse)
            if result is not None:
                return replace(result, file=replace(result.file, uploaded_from=self._source.origin))
        raise GeminiIntegrityError(
            f"{self._source.uri} changed each of the {_MAX_READS} times it was read; no file of it is left. Upload it "
            "when no other process writes to it."
        )

    def _unless_changed(self, reuse: Reuse) -> Result | None:
        """Return the result; None if the source has changed meanwhile, of which nothing is left then."""
        try:
            result = self._run(reuse)
        except GeminiInputError:
            # A source that has become shorter cannot be sent as it was found.
            if not self._has_changed():
                raise
            self._log.warning("%s became shorter while it was read: reading it again.", self._uri)
            return None
        if result.reused:
            return result
        if self._has_changed(result.file):
            return None
        if self._upload.share and result.file.sha256 not in (None, reuse.sha256):
            # A source without a version, such as some URLs: its name would promise other bytes to every run.
            self._tools.files.delete_file(result.file.name)
            self._log.warning("%s changed between two reads: reading it again.", self._uri)
            return None
        self._tools.progress.sent(self._sent)
        self._log.info(
            "%s is %s: %s, sha256 %s, %s",
            self._name, result.file.name, human_bytes(self._source.size), result.file.sha256, result.file.state,
        )  # fmt: skip
        return result

    def _run(self, reuse: Reuse) -> Result:
        name: str | None = None
        if names := reuse.names():
            existing, name = reuse.find(names)
            if existing:
                self._log.info("%s already exists as %s: nothing is sent.", self._uri, existing.name)
                return self._reused(existing)
        # Every file has a name of ours, so that a lost response never leads to a second file.
        name = name or new_file_name()
        try:
            return self._send(name)
        except GeminiNameTakenError:
            # Another task was faster, the response of our own upload was lost, or an invisible file has the name.
            existing, _ = reuse.find([name])
        if existing:
            self._log.info("%s was uploaded as %s in the meantime.", self._uri, name)
            return self._reused(existing)
        self._log.info("The name %s is taken by a file that cannot be used: the service chooses one.", name)
        return self._send(None)

    def _reused(self, existing: GeminiFile) -> Result:
        self._tools.progress.skipped(self._source.size)
        return Result(existing, reused=True)

    def _send(self, name: str | None) -> Result:
        metadata = {"displayName": str(self._upload.display_name)} | ({"name": name} if name else {})
        return Result(self._transfer(metadata), self._sent, self._resumes)

    def _has_changed(self, uploaded: GeminiFile | None = None) -> bool:
        """
        Return whether the source is another than the one that was found, and take it as it is now.

        :param uploaded: the file that was made of it meanwhile; it is deleted if so.
        :raises GeminiInputError: if it has become empty or too large.
        """
        if self._source.current is None:
            return False
        try:
            current = self._source.current()
        except Exception as error:
            # One that is gone has not become another one.
            self._log.info("%s cannot be checked for changes (%s).", self._uri, type(error).__name__)
            return False
        if current == self._source.fingerprint:
            return False
        if uploaded:
            self._tools.files.delete_file(uploaded.name)
            self._log.warning("%s changed while it was read: the file was deleted, reading it again.", self._uri)
        # The size is part of what is promised to the service.
        self._source = checked_size(replace(self._source, fingerprint=current, size=int(current[1])))
        return True

    def _transfer(self, metadata: dict[str, str]) -> GeminiFile:
        """Send the source, or the rest of it that an earlier attempt has not sent."""
        memory = self._memory()
        url = memory.recall()
        file, sent = self._exchange(metadata, memory, url)
        if url and sent == 0 and not self._exists(file):
            self._log.info("%s, which an earlier attempt had uploaded, is gone: uploading again.", file.name)
            file, _ = self._exchange(metadata, memory, None)
        return file

    def _exchange(self, metadata: dict[str, str], memory: SessionMemory, url: str | None) -> tuple[GeminiFile, int]:
        """Drive one session to its end; return the verified file, and the bytes sent."""
        from airflow_provider_gemini_files.transfer import uploader

        source, tools, destination = self._source, self._tools, self._destination
        if url:
            tools.hide(url, source.size)
            self._log.info("%s: an earlier attempt has started the upload; asking how far it got.", self._name)
        session = UploadSession(
            start_url=destination.upload_url,
            api_key=destination.api_key,
            key_place=destination.key_place,
            metadata=metadata,
            mime_type=str(self._upload.mime_type),
            size=source.size,
            max_failures=destination.max_retries,
            url=url,
            via_host=destination.via_host,
            clock=tools.clock,
        )

        def on_url(new: str) -> None:
            tools.hide(new, source.size)
            memory.keep(new)

        try:
            uploaded = uploader.send(
                tools.client,
                session,
                source,
                on_url=on_url,
                on_progress=tools.progress.moved,
                on_failure=tools.progress.interrupted,
                clock=tools.clock,
            )
        finally:
            self._resumes += session.resumes
        self._sent += uploaded.sent
        memory.forget()
        file = self._read(uploaded.resource)
        self._verify(file, uploaded.sha256)
        return file, uploaded.sent

    def _read(self, resource: Mapping[str, Any]) -> GeminiFile:
        try:
            return GeminiFile.from_api(resource, self._destination.conn_id)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise GeminiServiceError(
                f"{self._source.uri} was uploaded, but the service returned a file that cannot be read: "
                f"{shown_text(repr(error))}. A retry looks for the file by its name."
            ) from error

    def _memory(self) -> SessionMemory:
        upload, source = self._upload, self._source
        bound_to = (
            self._destination.upload_url, self._destination.conn_id, str(upload.name), str(upload.share),
            str(upload.mime_type), str(upload.display_name), *source.fingerprint,
        )  # fmt: skip
        store = self._tools.store if source.size > MIN_REMEMBERED_BYTES else None
        return SessionMemory(store, source.uri, bound_to, self._log)

    def _exists(self, file: GeminiFile) -> bool:
        try:
            self._tools.files.get_file(file)
        except GeminiFileGoneError:
            return False
        return True

    def _verify(self, file: GeminiFile, sha256: str) -> None:
        # A hash that the service does not give, or gives in an unknown form, says nothing against the file.
        if file.size_bytes in (None, self._source.size) and file.sha256 in (None, sha256):
            return
        self._tools.files.delete_file(file.name)
        raise GeminiIntegrityError(
            f"{self._source.uri} was uploaded as {file.name}, which differs from the source: {self._source.size} bytes "
            f"with sha256 {sha256} were sent, the service has {file.size_bytes} bytes with sha256 {file.sha256}. The "
            "file was deleted; a retry uploads the source again."
        )
