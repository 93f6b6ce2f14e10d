"""The documents that a store has to hold, and how each of them is added."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiInputError,
    GeminiIntegrityError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.file_search.chunking import Chunking
from airflow_provider_gemini_files.file_search.metadata import Origin, Value, check_metadata, to_api
from airflow_provider_gemini_files.file_search.types import MAX_DOCUMENT_BYTES, check_embedding, document_type_of
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.file_search import FileSearchCalls
from airflow_provider_gemini_files.hooks.uploads import UploadCalls
from airflow_provider_gemini_files.transfer.document_upload import NewDocument, UploadedDocument
from airflow_provider_gemini_files.transfer.memory import Log, StateStore
from airflow_provider_gemini_files.transfer.source import Source, checked_size
from airflow_provider_gemini_files.transfer.sources import is_url
from airflow_provider_gemini_files.transfer.stream import SourceBrokenError, head_of, sha256_of

Compare = Literal["fingerprint", "sha256"]
#: Entries of a document's metadata that this package writes.
OWN_ENTRIES = len(Origin("", "", "").entries())
#: Uploads at once: bursts make the service fail documents.
DEFAULT_CONCURRENCY = 4


@dataclass(frozen=True)
class SyncSpec:
    """
    What a store has to hold.

    :param store: ``fileSearchStores/...``.
    :param owner: identity of the task that keeps the documents; those of others are left alone.
    :param compare: ``"sha256"``: read each source to see whether it has changed.
    :param max_deletions: number of documents that may be deleted because their source is gone; None: no limit.
    :param failed_grace: seconds for which a document may be FAILED and still become ACTIVE.
    """

    store: str
    owner: str
    custom_metadata: Mapping[str, Value] = field(default_factory=dict)
    chunking: Chunking = field(default_factory=Chunking)
    mime_type: str | None = None
    display_name: str | None = None
    compare: Compare = "fingerprint"
    delete_missing: bool = True
    allow_empty: bool = False
    max_deletions: int | None = None
    failed_grace: float = 300.0
    max_concurrent: int = DEFAULT_CONCURRENCY

    def checked(self) -> SyncSpec:
        """
        Return what was given.

        :raises GeminiInputError: for metadata or a type that no document can have.
        """
        check_metadata(self.custom_metadata, own=OWN_ENTRIES)
        if self.mime_type:
            document_type_of("mime_type", self.mime_type, lambda: b"")
        return self


@dataclass(frozen=True)
class Wanted:
    """
    A document that the store has to hold.

    :param uri: of the source; or the name of a file.
    :param size: bytes that a document of it has; None if that is not compared.
    :param indexed_bytes: bytes that are indexed once it is added.
    :param add: adds the document, and returns its name; None if it is not known yet.
    :param check: raises GeminiInputError if it cannot be a document; it may read the beginning of the source.
    :param renew: returns the document of the source as it is now.
    :param problem: returns why the service could not index what was added last; None if it does not say.
    """

    uri: str
    fingerprint: str
    size: int | None
    add: Callable[[], str | None]
    check: Callable[[], object] = lambda: None
    renew: Callable[[], Wanted] | None = None
    problem: Callable[[], str | None] = lambda: None
    indexed_bytes: int = 0


class WantedDocuments:
    """
    Turns sources and files into documents that the store has to hold. Nothing is sent.

    :param state: Airflow's ``task_state_store``: a later attempt of the task resumes an interrupted upload.
    """

    def __init__(
        self, calls: FileSearchCalls, uploads: UploadCalls, spec: SyncSpec, state: StateStore | None, log: Log
    ) -> None:
        self._calls = calls
        self._uploads = uploads
        self._spec = spec
        self._state = state
        self._log = log
        self._store = functools.cache(lambda: calls.get_store(spec.store))
        #: Names of documents that are not what their metadata say, and could not be deleted.
        self.spoiled: set[str] = set()

    def open(self) -> None:
        """Open the clients that the threads of several uploads share; each would open its own."""
        self._uploads.open_document_client()

    def of_source(self, source: Source) -> Wanted:
        """
        Return the document of a source, which is uploaded.

        :raises GeminiInputError: if it cannot be a document.
        :raises GeminiServiceError: if it cannot be read.
        """
        _check_size(source.uri, source.size)
        fingerprint = self._fingerprint(self._compared(source), self._spec.mime_type)
        label = self._spec.display_name or source.name
        fields = {"displayName": shown_text(label, limit=512), **self._fields(source.uri, fingerprint)}

        operations: list[str | None] = []

        def add() -> str:
            uploaded = self._upload(source, mime_type(), fields)
            operations.append(uploaded.operation)
            return uploaded.name

        @functools.cache
        def mime_type() -> str:
            # Read for new documents only: thousands of unchanged objects are not opened.
            found = document_type_of(source.name, self._spec.mime_type, lambda: head_of(source))
            check_embedding(source.uri, found, self._store)
            return found

        return Wanted(
            source.uri,
            fingerprint,
            source.size,
            add,
            check=mime_type,
            renew=lambda: self.of_source(_renewed(source)),
            problem=lambda: self._error_of(operations),
            indexed_bytes=source.size,
        )

    def _upload(self, source: Source, mime_type: str, fields: Mapping[str, Any]) -> UploadedDocument:
        """
        Upload a document.

        :raises GeminiIntegrityError: if it is not what its metadata say; it has then been deleted.
        """
        _check_unchanged(source)
        document = NewDocument(source, mime_type, fields)
        try:
            uploaded = self._uploads.upload_document(self._spec.store, document, store=self._state)
        except GeminiInputError:
            # A source that has become shorter cannot be sent as it was found.
            _check_unchanged(source)
            raise
        try:
            if uploaded.size_bytes != source.size:
                raise GeminiIntegrityError(
                    f"{source.uri} has {source.size} bytes, but {uploaded.name}, which was added from it, has "
                    f"{uploaded.size_bytes}: the document is deleted."
                )
            _check_unchanged(source)
        except GeminiIntegrityError:
            # A question would find it until the next sync.
            self._delete(uploaded.name)
            raise
        return uploaded

    def _error_of(self, operations: Sequence[str | None]) -> str | None:
        last = operations[-1] if operations else None
        return self._calls.operation_error(last) if last else None

    def _delete(self, name: str) -> None:
        try:
            self._calls.delete_document(name)
        except GeminiFilesError as error:
            self.spoiled.add(name)
            self._log.warning("%s differs from its source, and stays until the next attempt: %s", name, error)

    def of_file(self, file: GeminiFile) -> Wanted:
        """
        Return the document of a file, which the service copies.

        :raises GeminiInputError: if it cannot be a document.
        """
        _check_size(file.name, file.size_bytes or 0)
        check_embedding(file.name, document_type_of(file.name, file.mime_type, lambda: b""), self._store)
        state = (file.sha256 or file.create_time or "", str(file.size_bytes))
        fingerprint = self._fingerprint(state, str(file.mime_type))
        fields = self._fields(file.name, fingerprint)
        operations: list[str] = []

        def add() -> None:
            operations.append(self._calls.import_file(self._spec.store, file.name, fields))
            self._log.info("Adding %s: %s", file.name, operations[-1])

        return Wanted(
            file.name,
            fingerprint,
            None,
            add,
            problem=lambda: self._error_of(operations),
            indexed_bytes=file.size_bytes or 0,
        )

    def _compared(self, source: Source) -> tuple[str, ...]:
        if self._spec.compare == "fingerprint":
            # The query of a signed URL is another one each day; the version tells whether the file has changed.
            is_versioned_url = is_url(source.uri) and source.fingerprint[-1]
            return (source.uri, *source.fingerprint[1:]) if is_versioned_url else source.fingerprint
        try:
            return (sha256_of(source),)
        except SourceBrokenError as error:
            raise GeminiServiceError(f"Cannot add {source.uri!r}: {shown_text(error)}.") from error

    def _fields(self, source: str, fingerprint: str) -> dict[str, Any]:
        origin = Origin(source, fingerprint, self._spec.owner)
        metadata = {**self._spec.custom_metadata, **origin.entries()}
        return {"customMetadata": to_api(metadata), **self._spec.chunking.to_api()}

    def _fingerprint(self, state: Sequence[str], mime_type: str | None) -> str:
        spec = self._spec
        indexed_as = [mime_type, spec.display_name, dict(spec.custom_metadata), spec.chunking.to_api()]
        told = json.dumps([*state, *indexed_as], sort_keys=True, default=str)
        return hashlib.sha256(told.encode()).hexdigest()[:32]


def _check_unchanged(source: Source) -> None:
    """
    Compare a source with what was found.

    :raises GeminiIntegrityError: if it is gone or has changed; an attempt that finds it again can succeed.
    """
    current = _state_of(source)
    if current is None:
        return
    if int(current[1]) != source.size:
        raise GeminiIntegrityError(f"{source.uri} had {source.size} bytes when it was found, and has {current[1]} now.")
    if current != source.fingerprint:
        raise GeminiIntegrityError(f"{source.uri} has changed since it was found.")


def _renewed(source: Source) -> Source:
    current = _state_of(source)
    if current is None:
        return source
    return checked_size(replace(source, size=int(current[1]), fingerprint=current))


def _state_of(source: Source) -> tuple[str, ...] | None:
    """
    Return the fingerprint that a source has now: its URI, its size and its version. None if it cannot change.

    :raises GeminiIntegrityError: if it is gone.
    """
    if source.current is None:
        return None
    try:
        return source.current()
    except Exception as error:
        raise GeminiIntegrityError(f"{source.uri} can no longer be read ({type(error).__name__}).") from error


def _check_size(what: str, size: int) -> None:
    if size > MAX_DOCUMENT_BYTES:
        raise GeminiInputError(
            f"{what} has {human_bytes(size)}; a document of a file search store has at most "
            f"{human_bytes(MAX_DOCUMENT_BYTES)}: split it."
        )
