"""The use case "keep a store in step with its sources": whatever was done before, do the next steps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.common.concurrency import Outcome, map_outcomes
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiDocumentFailedError,
    GeminiFilesError,
    GeminiInputError,
    GeminiIntegrityError,
    GeminiPermanentError,
    GeminiStorageFullError,
    GeminiStoreGoneError,
)
from airflow_provider_gemini_files.file_search.resources import Document
from airflow_provider_gemini_files.file_search.sync_plan import SyncPlan, plan_sync
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.file_search import FileSearchCalls
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.hooks.uploads import UploadCalls
from airflow_provider_gemini_files.hooks.wanted_documents import SyncSpec, Wanted, WantedDocuments
from airflow_provider_gemini_files.transfer.memory import StateStore
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.sources import is_url

#: Seconds for which a new document may be missing from the list: how soon it is there is not documented.
_LIST_LAG_SECONDS = 300.0
#: Seconds after which a document that is still PENDING is added again; indexing takes minutes at most.
_STUCK_SECONDS = 24 * 3600.0
#: Sources in a row that may fail because the service is down: each of thousands would be tried for half a minute.
_MAX_FAILURES = 20
#: Seconds by which the service's clock is known: its responses tell the second only, and take their time.
_CLOCK_SECONDS = 2.0


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
        self._spec = spec.checked()
        self._documents_of = WantedDocuments(calls, uploads, self._spec, state, self._log)
        #: Why sources have no document, by their URI.
        self.failures: dict[str, GeminiFilesError] = {}
        self._wanted: dict[str, Wanted] = {}
        #: Why sources could not be added last, by their URI; a repetition may succeed.
        self._problems: dict[str, GeminiFilesError] = {}
        #: When a document of each source was added, and its name as far as it is known.
        self._added: dict[str, tuple[float, str | None]] = {}
        self._deleted: set[str] = set()
        #: Names of documents that this task has added; of these, the ones that a former part of it has added.
        self._own: set[str] = set()
        self._expected: list[str] = []
        #: The sources are as they are now, or are later.
        self._began = service.clock.now()
        #: Number of documents that were deleted because their source is gone.
        self.deleted_missing = 0
        #: Documents that were added, and their bytes: each is indexed, and billed, whatever becomes of it.
        self.indexed = 0
        self.indexed_bytes = 0
        self._documents: list[Document] = []
        self._empty: tuple[str, ...] = ()

    def want_sources(
        self,
        sources: Sequence[Source],
        refused: Mapping[str, GeminiFilesError] | None = None,
        empty: Sequence[str] = (),
    ) -> None:
        """
        Take the sources that the store has to hold.

        One that cannot be a document is a failure of its own, and keeps the document that it has.

        :param refused: why sources cannot be uploaded at all, by their URI.
        :param empty: directories and globs that were looked at, and have no source.
        """
        self._empty = tuple(empty)
        for uri, error in (refused or {}).items():
            self._fail(uri, error)
        found: dict[str, Source] = {}
        for source in sources:
            former = found.setdefault(source.uri, source)
            if former is not source and not is_url(source.uri) and former.fingerprint == source.fingerprint:
                # A directory and a file of it, for example.
                continue
            if former is not source:
                # URLs that differ only in a query, which can be a secret and is not kept.
                told = f"Two sources have the URI {shown_text(source.uri)}: give each a path of its own."
                self._fail(source.uri, GeminiInputError(told))
                continue
            try:
                self._wanted[source.uri] = self._documents_of.of_source(source)
            except GeminiFilesError as error:
                self._fail(source.uri, error)

    def want_files(self, files: Sequence[GeminiFile]) -> None:
        """
        Take files that the store has to hold; they are copied by the service.

        :raises GeminiInputError: for a file that cannot be a document.
        """
        for file in files:
            self._wanted[file.name] = self._documents_of.of_file(file)

    def plan(self) -> SyncPlan:
        """
        Return the next steps; nothing is done.

        :raises GeminiInputError: if a directory or a glob has no sources, and documents would be deleted for that, or
            if more would be than is allowed.
        """
        fingerprints = {uri: wanted.fingerprint for uri, wanted in self._wanted.items()}
        # What cannot be read or sent now is still there, so its document stays.
        kept = {uri: "" for uri in self.failures if uri not in fingerprints}
        documents = self._documents = self._present_documents()
        planned = plan_sync(
            fingerprints | kept,
            documents,
            self._spec.owner,
            is_failed=self._is_failed,
            is_newer=self._is_newer,
            delete_missing=self._spec.delete_missing,
        )
        self._check_deletions(planned, is_empty=not fingerprints and not kept)
        names = {document.name for document in documents}
        unlisted = {uri for uri in planned.uploads if self._is_unlisted(uri, names)}
        unlisted -= self._ended_imports(unlisted)
        self._check_types([uri for uri in planned.uploads if uri not in self.failures and uri not in unlisted])
        uploads = [uri for uri in planned.uploads if uri not in self.failures and uri not in unlisted]
        return replace(planned, uploads=uploads, unlisted=len(unlisted.difference(self.failures)))

    def _check_deletions(self, planned: SyncPlan, *, is_empty: bool) -> None:
        """Refuse to delete all documents of a place that has nothing: it may not be mounted, or not be filled yet."""
        gone = [one.origin.source for one in self._split(planned.deletions)[0] if one.origin]
        if self._spec.max_deletions is not None and len(gone) > self._spec.max_deletions:
            raise GeminiInputError(
                f"{len(gone)} documents of {self._spec.store} would be deleted because their source is gone, such as "
                f"{shown_text(gone[0])}, but max_deletions is {self._spec.max_deletions}. Nothing is deleted or added. "
                "Check the source, or raise max_deletions."
            )
        if self._spec.allow_empty:
            return
        counts = {place: sum(_is_in(source, place) for source in gone) for place in self._empty}
        if is_empty and gone:
            counts = {"": len(gone)}
        for place, count in counts.items():
            if count:
                raise GeminiInputError(
                    f"The source{f' {shown_text(place)}' if place else ''} is empty, but {self._spec.store} has "
                    f"{count} documents of it, which would all be deleted. Check the source; if it is empty on "
                    "purpose, set allow_empty=True."
                )

    def expect(self, names: Iterable[str]) -> None:
        """Look for documents that were added a moment ago, although the list may not have them yet."""
        self._expected += names
        self._own.update(self._expected)

    def _present_documents(self) -> list[Document]:
        """Return the documents of the store. The list may lag behind."""
        listed = {document.name: document for document in self._calls.list_documents(self._spec.store)}
        unlisted = [name for name in self._expected if name not in listed and name not in self._deleted]
        for outcome in map_outcomes(self._calls.get_document, unlisted, name="gemini-document"):
            if outcome.result:
                listed[outcome.item] = outcome.result
            elif isinstance(outcome.error, GeminiStoreGoneError):
                self._expected.remove(outcome.item)
            elif outcome.error:
                raise outcome.error
        return [document for name, document in listed.items() if name not in self._deleted]

    def _check_types(self, uris: Sequence[str]) -> None:
        """Count sources as failed that cannot be documents."""
        outcomes = map_outcomes(lambda uri: self._wanted[uri].check(), uris, name="gemini-document")
        for outcome in outcomes:
            if outcome.error:
                self._fail(outcome.item, outcome.error)

    def _fail(self, uri: str, error: GeminiFilesError) -> None:
        self.failures[uri] = error
        self._log.warning("%s is not added to the store: %s", shown_text(uri), error)

    def _ended_imports(self, uris: Collection[str]) -> set[str]:
        """Return the files whose import has ended with an error, and whose documents will never be listed."""
        ended = set()
        for uri in uris:
            # A document whose name is known is waited for.
            if self._added[uri][1] is None and (reason := self._wanted[uri].problem()):
                told = f"{uri} cannot be added to {self._spec.store}: {shown_text(reason).rstrip('. ')}."
                self._problems[uri] = GeminiDocumentFailedError(told)
                self._log.warning("%s", told)
                ended.add(uri)
        return ended

    def _is_unlisted(self, uri: str, listed: Collection[str]) -> bool:
        """Return whether a document was added a moment ago that the list does not have yet."""
        when, name = self._added.get(uri, (float("-inf"), None))
        return self._service.clock.now() - when < _LIST_LAG_SECONDS and (name is None or name not in listed)

    def advance(self, planned: SyncPlan) -> list[str]:
        """
        Do the steps of a plan, and return the names of the documents to wait for.

        :raises GeminiStorageFullError: if the stores are full; the other sources are not tried.
        :raises GeminiAuthError: if the key may not add documents; the other sources are not tried.
        :raises GeminiServiceError: if the service is down; also as GeminiRateLimitError.
        """
        gone, others = self._split(planned.deletions)
        # A file that was renamed is in the store under its new name first.
        has_more = planned.uploads or planned.pending or planned.unlisted
        self._delete(others if has_more else [*others, *gone])
        pending = [document.name for document in planned.pending]
        if not planned.uploads:
            return pending
        self._wanted |= {uri: self._renewed(uri) for uri in planned.uploads}
        wanted = [self._wanted[uri] for uri in planned.uploads]
        self._log.info("Adding %d documents to %s", len(wanted), self._spec.store)
        self._documents_of.open()
        outcomes = map_outcomes(
            lambda one: one.add(),
            wanted,
            concurrency=self._spec.max_concurrent,
            name="gemini-document",
            most_failures=_MAX_FAILURES,
        )
        for outcome in outcomes:
            self._take(outcome)
        added = [outcome.result for outcome in outcomes if outcome.result]
        # Of a file that is copied, the name of the document is not known yet.
        Stats.incr("gemini_files.documents.added", sum(one.begun and one.error is None for one in outcomes))
        if any(isinstance(outcome.error, GeminiStorageFullError) for outcome in outcomes):
            # These make room for a retry.
            self._delete(gone)
        self._raise_if_hopeless(outcomes)
        return [*pending, *added]

    def _renewed(self, uri: str) -> Wanted:
        """Return what to add; a source that has changed since it was found is taken as it is now."""
        wanted = self._wanted[uri]
        if wanted.renew is None or not isinstance(self._problems.get(uri), GeminiIntegrityError):
            return wanted
        try:
            return wanted.renew()
        except GeminiFilesError as error:
            self._log.warning("%s", error)
            return wanted

    def _split(self, documents: Sequence[Document]) -> tuple[list[Document], list[Document]]:
        """Return the documents whose source is gone, and the others."""
        gone: list[Document] = []
        others: list[Document] = []
        for one in documents:
            is_gone = one.origin is not None and not self._is_wanted(one.origin.source)
            (gone if is_gone else others).append(one)
        return gone, others

    def _take(self, outcome: Outcome[Wanted, str | None]) -> None:
        uri = outcome.item.uri
        if outcome.error:
            self._log.warning("%s was not added: %s", shown_text(uri), outcome.error)
            kept = self.failures if isinstance(outcome.error, GeminiPermanentError) else self._problems
            kept[uri] = outcome.error
        elif outcome.begun:
            self._problems.pop(uri, None)
            self._added[uri] = self._service.clock.now(), outcome.result
            self.indexed += 1
            self.indexed_bytes += outcome.item.indexed_bytes
        if outcome.result:
            self._own.add(outcome.result)
            lineage.indexed(self._service.hook, self._service.conn_id, uri, outcome.result)

    def _raise_if_hopeless(self, outcomes: Sequence[Outcome[Wanted, str | None]]) -> None:
        """Raise an error that would recur for every source."""
        errors = [outcome.error for outcome in outcomes if outcome.error]
        hopeless: list[GeminiFilesError] = [
            one for one in errors if isinstance(one, GeminiAuthError | GeminiStorageFullError)
        ]
        if not hopeless and not all(outcome.begun for outcome in outcomes):
            # So many have failed in a row that the service is down.
            hopeless = [one for one in reversed(errors) if not isinstance(one, GeminiPermanentError)]
        if hopeless:
            left = sum(not one.begun or one.error is not None for one in outcomes)
            self._log.warning("%d of %d sources were not added.", left, len(outcomes))
            raise hopeless[0]

    def documents(self) -> dict[str, str]:
        """Return the ACTIVE document of each source, by the URI of the source, as of the last plan."""
        found: dict[str, str] = {}
        for document in self._documents:
            origin = document.origin
            if origin is None or origin.owner != self._spec.owner or document.state != "ACTIVE":
                continue
            wanted = self._wanted.get(origin.source)
            if wanted and (wanted.fingerprint == origin.fingerprint or self._is_newer(document)):
                found.setdefault(origin.source, document.name)
        return {uri: found[uri] for uri in self._wanted if uri in found}

    def stale(self) -> set[str]:
        """Return the failed sources that still have the document of an older state, as of the last plan."""
        found = set()
        for document in self._documents:
            origin = document.origin
            if origin and origin.owner == self._spec.owner and origin.source in self.failures:
                wanted = self._wanted.get(origin.source)
                if wanted is None or wanted.fingerprint != origin.fingerprint:
                    found.add(origin.source)
        return found

    def errors(self) -> dict[str, str]:
        """Return why sources have no document of their present state, by their URI."""
        known, present = {**self._problems, **self.failures}, self.documents()
        missing = [uri for uri in self._wanted if uri not in present]
        return {uri: str(known.get(uri, "It was not added.")) for uri in dict.fromkeys([*self.failures, *missing])}

    def give_up(self, uris: Sequence[str]) -> None:
        """Count sources as failed that could not be added several times, or whose documents do not become ACTIVE."""
        for uri in uris:
            self.failures[uri] = self._problems.get(uri) or self._lost(uri)

    def _lost(self, uri: str) -> GeminiDocumentFailedError:
        told = f"{shown_text(uri)} was added several times, and the service could not index it, or lost it"
        try:
            reason = self._wanted[uri].problem()
        except GeminiFilesError as error:
            self._log.warning("The reason is not known: %s", error)
            reason = None
        return GeminiDocumentFailedError(f"{told}: {reason.rstrip('. ')}." if reason else f"{told}.")

    def forget(self, names: Collection[str]) -> None:
        """Add the sources of documents again that do not exist any more, instead of waiting for the list."""
        self._added = {uri: added for uri, added in self._added.items() if added[1] not in names}

    def _is_wanted(self, uri: str) -> bool:
        return uri in self._wanted or uri in self.failures

    def _is_failed(self, document: Document) -> bool:
        if document.name in self._documents_of.spoiled:
            return True
        if document.state == "ACTIVE":
            return self._has_wrong_size(document)
        # A document that is never indexed would otherwise take the whole timeout of every sync.
        grace = self._spec.failed_grace if document.state == "FAILED" else _STUCK_SECONDS
        changed = document.changed_at()
        if changed is None:
            return document.state == "FAILED"
        return self._service.server_now() - changed >= grace

    def _has_wrong_size(self, document: Document) -> bool:
        """Return whether a document cannot be the whole source: one whose upload went wrong, and nobody deleted it."""
        wanted = self._wanted.get(document.origin.source) if document.origin else None
        if wanted is None or wanted.size is None or document.name in self._own:
            # An upload of this task has been compared when it ended.
            return False
        return bool(document.size_bytes) and document.size_bytes != wanted.size

    def _is_newer(self, document: Document) -> bool:
        """Return whether another sync has made a document after this one has looked at the sources."""
        if document.name in self._own or document.name in self._documents_of.spoiled:
            return False
        looked = self._began + self._service.server_now() - self._service.clock.now()
        return (document.created_at() or 0.0) > looked + _CLOCK_SECONDS

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


def _is_in(source: str, place: str) -> bool:
    """Return whether a source is directly in a directory, or matches a glob."""
    if "**" in place:
        return fnmatchcase(source, place.replace("**/", "*"))
    path = PurePosixPath(source)
    return path.parent == PurePosixPath(place) or path.match(place)
