"""The use case "keep a store in step with its sources": whatever was done before, do the next steps."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.common.concurrency import Outcome, map_outcomes
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiDocumentFailedError,
    GeminiFilesError,
    GeminiInputError,
    GeminiIntegrityError,
    GeminiPermanentError,
    GeminiServiceError,
    GeminiStorageFullError,
)
from airflow_provider_gemini_files.file_search.chunking import Chunking
from airflow_provider_gemini_files.file_search.metadata import Origin, Value, check_metadata, to_api
from airflow_provider_gemini_files.file_search.resources import Document
from airflow_provider_gemini_files.file_search.sync_plan import SyncPlan, plan_sync
from airflow_provider_gemini_files.file_search.types import MAX_DOCUMENT_BYTES, document_type_of
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.file_search import FileSearchCalls
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.hooks.uploads import UploadCalls
from airflow_provider_gemini_files.transfer.document_upload import NewDocument
from airflow_provider_gemini_files.transfer.memory import StateStore
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.stream import SourceBrokenError, head_of, sha256_of

Compare = Literal["fingerprint", "sha256"]
#: Entries of a document's metadata that this package writes.
OWN_ENTRIES = len(Origin("", "", "").entries())
#: Seconds for which a new document may be missing from the list: how soon it is there is not documented.
_LIST_LAG_SECONDS = 300.0
#: Uploads at once: bursts make the service fail documents.
DEFAULT_CONCURRENCY = 4


@dataclass(frozen=True)
class SyncSpec:
    """
    What a store has to hold.

    :param store: ``fileSearchStores/...``.
    :param owner: identity of the task that keeps the documents; those of others are left alone.
    :param compare: ``"sha256"``: read each source to see whether it has changed.
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
    failed_grace: float = 300.0
    max_concurrent: int = DEFAULT_CONCURRENCY

    def checked(self) -> SyncSpec:
        """
        Return what was given.

        :raises GeminiInputError: for metadata that a document cannot have.
        """
        check_metadata(self.custom_metadata, own=OWN_ENTRIES)
        return self


@dataclass(frozen=True)
class Wanted:
    """
    A document that the store has to hold.

    :param uri: of the source; or the name of a file.
    :param add: adds the document, and returns its name; None if it is not known yet.
    :param check: raises GeminiInputError if it cannot be a document; it may read the beginning of the source.
    """

    uri: str
    fingerprint: str
    add: Callable[[], str | None]
    check: Callable[[], object] = lambda: None


class DocumentSync:
    """
    The sync of one store.

    Its state is the store itself: each document says which source and which state of it it was made of. So any worker
    can go on after a kill, by calling :meth:`advance` again.
    """

    def __init__(
        self,
        service: GeminiService,
        calls: FileSearchCalls,
        uploads: UploadCalls,
        spec: SyncSpec,
        state: StateStore | None = None,
    ) -> None:
        self._service = service
        self._log = service.log
        self._calls = calls
        self._uploads = uploads
        self._spec = spec.checked()
        self._state = state
        #: Why sources have no document, by their URI.
        self.failures: dict[str, GeminiFilesError] = {}
        self._wanted: dict[str, Wanted] = {}
        #: Why sources could not be added last, by their URI; a repetition may succeed.
        self._problems: dict[str, GeminiFilesError] = {}
        #: When a document of each source was added, and its name as far as it is known.
        self._added: dict[str, tuple[float, str | None]] = {}
        #: The operation that imports each file.
        self._operations: dict[str, str] = {}
        self._deleted: set[str] = set()
        #: Number of documents that were deleted because their source is gone.
        self.deleted_missing = 0
        self._documents: list[Document] = []

    def want_sources(self, sources: Sequence[Source]) -> None:
        """
        Take the sources that the store has to hold.

        One that cannot be a document is a failure of its own, and keeps the document that it has.
        """
        for source in sources:
            try:
                self._wanted[source.uri] = self._of_source(source)
            except GeminiFilesError as error:
                self._fail(source.uri, error)
            except SourceBrokenError as error:
                self._fail(source.uri, GeminiServiceError(f"Cannot add {source.uri!r}: {shown_text(error)}."))

    def want_files(self, files: Sequence[GeminiFile]) -> None:
        """
        Take files that the store has to hold; they are copied by the service.

        :raises GeminiInputError: for a file that cannot be a document.
        """
        for file in files:
            _check_size(file.name, file.size_bytes or 0)
            document_type_of(file.name, file.mime_type, lambda: b"")
            state = (file.sha256 or file.create_time or "", str(file.size_bytes))
            fingerprint = self._fingerprint(state, str(file.mime_type))
            fields = self._fields(file.name, fingerprint)
            self._wanted[file.name] = Wanted(file.name, fingerprint, self._importer(file.name, fields))

    def plan(self) -> SyncPlan:
        """
        Return the next steps; nothing is done.

        :raises GeminiInputError: if there are no sources, and documents would be deleted for that.
        """
        fingerprints = {uri: wanted.fingerprint for uri, wanted in self._wanted.items()}
        # What cannot be read or sent now is still there, so its document stays.
        kept = {uri: "" for uri in self.failures if uri not in fingerprints}
        listed = self._calls.list_documents(self._spec.store)
        # The list may lag behind.
        documents = self._documents = [one for one in listed if one.name not in self._deleted]
        planned = plan_sync(
            fingerprints | kept,
            documents,
            self._spec.owner,
            is_failed=self._is_failed,
            delete_missing=self._spec.delete_missing,
        )
        if not fingerprints and not kept and not self._spec.allow_empty:
            raise GeminiInputError(
                f"The source has nothing, and {self._spec.store} has {planned.gone} documents of it, which would all "
                "be deleted. Check the source; if it is empty on purpose, set allow_empty=True."
            )
        names = {document.name for document in documents}
        unlisted = {uri for uri in planned.uploads if self._is_unlisted(uri, names)}
        self._check_imports(unlisted)
        self._check_types([uri for uri in planned.uploads if uri not in self.failures and uri not in unlisted])
        uploads = [uri for uri in planned.uploads if uri not in self.failures and uri not in unlisted]
        replaced = planned.replaced.difference(self.failures)
        return replace(planned, uploads=uploads, replaced=replaced, unlisted=len(unlisted.difference(self.failures)))

    def _check_types(self, uris: Sequence[str]) -> None:
        """Count sources as failed that cannot be documents."""
        outcomes = map_outcomes(lambda uri: self._wanted[uri].check(), uris, name="gemini-document")
        for outcome in outcomes:
            if outcome.error:
                self._fail(outcome.item, outcome.error)

    def _fail(self, uri: str, error: GeminiFilesError) -> None:
        self.failures[uri] = error
        self._log.warning("%s stays out of the store: %s", shown_text(uri), error)

    def _check_imports(self, uris: Collection[str]) -> None:
        """Count files as failed whose import has ended with an error: their documents will never be listed."""
        for uri in uris:
            operation = self._operations.get(uri)
            if operation and (reason := self._calls.operation_error(operation)):
                told = f"{uri} cannot be added to {self._spec.store}: {shown_text(reason)}."
                self._fail(uri, GeminiDocumentFailedError(told))

    def _is_unlisted(self, uri: str, listed: Collection[str]) -> bool:
        """Return whether a document was added a moment ago that the list does not have yet."""
        when, name = self._added.get(uri, (float("-inf"), None))
        return self._service.clock.now() - when < _LIST_LAG_SECONDS and (name is None or name not in listed)

    def advance(self, planned: SyncPlan) -> list[str]:
        """
        Do the steps of a plan, and return the names of the documents to wait for.

        :raises GeminiStorageFullError: if the stores are full; the other sources are not tried.
        :raises GeminiAuthError: if the key may not add documents; the other sources are not tried.
        """
        self._delete(planned.deletions)
        pending = [document.name for document in planned.pending]
        if not planned.uploads:
            return pending
        wanted = [self._wanted[uri] for uri in planned.uploads]
        self._log.info("Adding %d documents to %s", len(wanted), self._spec.store)
        # Created here, as each thread would create its own.
        _ = self._service.files_client
        outcomes = map_outcomes(
            lambda one: one.add(), wanted, concurrency=self._spec.max_concurrent, name="gemini-document"
        )
        for outcome in outcomes:
            self._take(outcome)
        added = [outcome.result for outcome in outcomes if outcome.result]
        Stats.incr("gemini_files.documents.added", len(added))
        self._raise_if_hopeless(outcomes)
        return [*pending, *added]

    def _take(self, outcome: Outcome[Wanted, str | None]) -> None:
        uri = outcome.item.uri
        if outcome.error:
            self._log.warning("%s was not added: %s", shown_text(uri), outcome.error)
            kept = self.failures if isinstance(outcome.error, GeminiPermanentError) else self._problems
            kept[uri] = outcome.error
        elif outcome.begun:
            self._problems.pop(uri, None)
            self._added[uri] = self._service.clock.now(), outcome.result
        if outcome.result:
            lineage.indexed(self._service.hook, self._service.conn_id, uri, outcome.result)

    def _raise_if_hopeless(self, outcomes: Sequence[Outcome[Wanted, str | None]]) -> None:
        """Raise an error that would recur for every source."""
        for outcome in outcomes:
            if isinstance(outcome.error, GeminiAuthError | GeminiStorageFullError):
                left = sum(not one.begun or one.error is not None for one in outcomes)
                self._log.warning("%d of %d sources were not added.", left, len(outcomes))
                raise outcome.error

    def documents(self) -> dict[str, str]:
        """Return the ACTIVE document of each source, by the URI of the source, as of the last plan."""
        found: dict[str, str] = {}
        for document in self._documents:
            origin = document.origin
            if origin is None or origin.owner != self._spec.owner or document.state != "ACTIVE":
                continue
            wanted = self._wanted.get(origin.source)
            if wanted and wanted.fingerprint == origin.fingerprint:
                found.setdefault(origin.source, document.name)
        return {uri: found[uri] for uri in self._wanted if uri in found}

    def give_up(self, uris: Sequence[str]) -> None:
        """Count sources as failed that could not be added several times, or whose documents do not become ACTIVE."""
        for uri in uris:
            self.failures[uri] = self._problems.get(uri) or GeminiDocumentFailedError(
                f"{shown_text(uri)} was added several times, and the service could not index it, or lost it."
            )

    def forget(self, names: Collection[str]) -> None:
        """Add the sources of documents again that do not exist any more, instead of waiting for the list."""
        self._added = {uri: added for uri, added in self._added.items() if added[1] not in names}

    def _is_wanted(self, uri: str) -> bool:
        return uri in self._wanted or uri in self.failures

    def _is_failed(self, document: Document) -> bool:
        if document.state != "FAILED":
            return False
        changed = document.changed_at()
        return changed is None or self._service.server_now() - changed >= self._spec.failed_grace

    def _delete(self, documents: Sequence[Document]) -> None:
        _ = self._service.files_client
        outcomes = map_outcomes(
            lambda one: self._calls.delete_document(one.name), list(documents), name="gemini-document"
        )
        for outcome in outcomes:
            if outcome.error:
                raise outcome.error
            self._deleted.add(outcome.item.name)
            origin = outcome.item.origin
            self.deleted_missing += origin is not None and not self._is_wanted(origin.source)
            self._log.info("Deleted %s, of %s", outcome.item.name, shown_text(origin.source if origin else ""))
        if documents:
            Stats.incr("gemini_files.documents.deleted", len(documents))

    def _of_source(self, source: Source) -> Wanted:
        _check_size(source.uri, source.size)
        if self._spec.mime_type:
            document_type_of(source.name, self._spec.mime_type, lambda: b"")
        state = (sha256_of(source),) if self._spec.compare == "sha256" else source.fingerprint
        fingerprint = self._fingerprint(state, self._spec.mime_type)
        label = self._spec.display_name or source.name
        fields = {"displayName": shown_text(label, limit=512), **self._fields(source.uri, fingerprint)}

        @functools.cache
        def mime_type() -> str:
            # Read for new documents only: thousands of unchanged objects are not opened.
            return document_type_of(source.name, self._spec.mime_type, lambda: head_of(source))

        return Wanted(source.uri, fingerprint, lambda: self._upload(source, mime_type(), fields), mime_type)

    def _upload(self, source: Source, mime_type: str, fields: Mapping[str, Any]) -> str:
        """
        Upload a document, and return its name.

        :raises GeminiIntegrityError: if it is not what its metadata say; it has then been deleted.
        """
        before = _state_of(source)
        document = NewDocument(source, mime_type, fields)
        try:
            uploaded = self._uploads.upload_document(self._spec.store, document, store=self._state)
        except GeminiInputError:
            # A source that has become shorter cannot be sent as it was found.
            _state_of(source)
            raise
        try:
            if uploaded.size_bytes != source.size:
                raise GeminiIntegrityError(
                    f"{source.uri} has {source.size} bytes, and {uploaded.name}, which was made of it, "
                    f"{uploaded.size_bytes}: it was deleted."
                )
            if _state_of(source) != before:
                raise GeminiIntegrityError(f"{source.uri} changed while it was uploaded: the document was deleted.")
        except GeminiIntegrityError:
            # A question would find it until the next sync.
            self._calls.delete_document(uploaded.name)
            raise
        return uploaded.name

    def _importer(self, file_name: str, fields: Mapping[str, Any]) -> Callable[[], str | None]:
        def add() -> None:
            operation = self._operations[file_name] = self._calls.import_file(self._spec.store, file_name, fields)
            self._log.info("Adding %s: %s", file_name, operation)

        return add

    def _fields(self, source: str, fingerprint: str) -> dict[str, Any]:
        origin = Origin(source, fingerprint, self._spec.owner)
        metadata = {**self._spec.custom_metadata, **origin.entries()}
        return {"customMetadata": to_api(metadata), **self._spec.chunking.to_api()}

    def _fingerprint(self, state: Sequence[str], mime_type: str | None) -> str:
        spec = self._spec
        indexed_as = [mime_type, spec.display_name, dict(spec.custom_metadata), spec.chunking.to_api()]
        told = json.dumps([*state, *indexed_as], sort_keys=True, default=str)
        return hashlib.sha256(told.encode()).hexdigest()[:32]


def _state_of(source: Source) -> tuple[str, ...]:
    """
    Return the fingerprint that a source has now.

    :raises GeminiIntegrityError: if it is gone or has another size; an attempt that finds it again can succeed.
    """
    if source.current is None:
        return source.fingerprint
    try:
        current = source.current()
    except Exception as error:
        raise GeminiIntegrityError(
            f"{source.uri} was found, and cannot be read any more ({type(error).__name__}). A retry finds it again."
        ) from error
    if int(current[1]) != source.size:
        raise GeminiIntegrityError(
            f"{source.uri} had {source.size} bytes when it was found, and has {current[1]} now. A retry finds it again."
        )
    return current


def _check_size(what: str, size: int) -> None:
    if size > MAX_DOCUMENT_BYTES:
        raise GeminiInputError(
            f"{what} has {human_bytes(size)}; a document of a file search store has at most "
            f"{human_bytes(MAX_DOCUMENT_BYTES)}: split it."
        )
