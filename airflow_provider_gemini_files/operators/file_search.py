"""Operators for file search: create, list and delete stores; sync, add, list and delete documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import conf

from airflow_provider_gemini_files.common.durations import LEAST_POLL_INTERVAL, Duration, seconds_of
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.common.unset import is_unset
from airflow_provider_gemini_files.exceptions import (
    GeminiDocumentFailedError,
    GeminiFilesError,
    GeminiInputError,
    GeminiStoreGoneError,
)
from airflow_provider_gemini_files.file_search.chunking import Chunking
from airflow_provider_gemini_files.file_search.events import documents_of_event
from airflow_provider_gemini_files.file_search.metadata import TaskOwner, check_metadata
from airflow_provider_gemini_files.file_search.resources import (
    DocumentLike,
    StoreLike,
    listed_documents,
    parse_documents,
    parse_state,
    parse_store,
)
from airflow_provider_gemini_files.file_search.state import FAILED_GRACE
from airflow_provider_gemini_files.files.events import Event
from airflow_provider_gemini_files.files.reference import FileLike, listed_files, names_for
from airflow_provider_gemini_files.files.uses import IMPORTED_KEY
from airflow_provider_gemini_files.hooks.uploads import allowed_local_paths
from airflow_provider_gemini_files.hooks.wanted_documents import DEFAULT_CONCURRENCY, OWN_ENTRIES, Compare, SyncSpec
from airflow_provider_gemini_files.links import GeminiFileSearchStoreLink
from airflow_provider_gemini_files.operators.base import (
    GeminiOperator,
    deadline_of,
    lasting,
    output_of,
    owner_of,
    switch_of,
    text_of,
    whole_number_of,
)
from airflow_provider_gemini_files.operators.document_task import MAX_NAMES, DocumentTask, SyncResume, SyncSettings
from airflow_provider_gemini_files.transfer.output import Output
from airflow_provider_gemini_files.transfer.sources import find_sources

if TYPE_CHECKING:
    from airflow.sdk import Context


class GeminiCreateFileSearchStoreOperator(GeminiOperator):
    """
    Return the name of the file search store with this display name; create the store if there is none.

    XCom ``store`` has the store: ``{"name", "display_name", "embedding_model", "documents", "size_bytes", ...}``. If
    two tasks create it at the same time, one store remains. A store lives until it is deleted.

    :param display_name: at most 512 characters (templated).
    :param embedding_model: the service's default if None; it cannot be changed later (templated).
    """

    template_fields: Sequence[str] = ("display_name", "embedding_model", "gemini_conn_id")
    operator_extra_links = (GeminiFileSearchStoreLink(),)

    def __init__(self, *, display_name: str, embedding_model: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.display_name = display_name
        self.embedding_model = embedding_model

    def execute(self, context: Context) -> str:
        """Find the store, or create it."""
        display_name = text_of(self.display_name, "display_name") or ""
        store = self.hook.create_file_search_store(display_name, text_of(self.embedding_model, "embedding_model"))
        context["ti"].xcom_push("store", store.to_dict())
        return store.name


class GeminiListFileSearchStoresOperator(GeminiOperator):
    """
    Return the names of the project's file search stores; the log shows them as a table.

    :param display_name: only stores whose display name contains this (templated).
    """

    template_fields: Sequence[str] = ("display_name", "gemini_conn_id")
    operator_extra_links = (GeminiFileSearchStoreLink(),)

    def __init__(self, *, display_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.display_name = display_name

    def execute(self, context: Context) -> list[str]:
        """Read every page of the list, and filter."""
        part = text_of(self.display_name, "display_name")
        stores = [
            store for store in self.hook.list_file_search_stores() if part is None or part in (store.display_name or "")
        ]
        self.log.info("::group::%d file search stores", len(stores))
        for store in stores:
            counts = ", ".join(f"{count} {state}" for state, count in store.documents.items())
            label = shown_text(store.display_name or "")
            self.log.info("%s  %s  %s  %s", store.name, counts, human_bytes(store.size_bytes), label)
        self.log.info("::endgroup::")
        return [store.name for store in stores]


class GeminiDeleteFileSearchStoreOperator(GeminiOperator):
    """
    Delete a file search store, and return whether it existed.

    :param store: its name, ``fileSearchStores/...``, or a dict with ``name`` (templated).
    :param force: delete it even if it has documents.
    :param ignore_missing: if False, a store that does not exist is an error.
    """

    template_fields: Sequence[str] = ("store", "gemini_conn_id")
    operator_extra_links = (GeminiFileSearchStoreLink(),)

    def __init__(self, *, store: StoreLike, force: bool = False, ignore_missing: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        # The text "False", as of a mapped argument, must not delete what is there.
        self.force = switch_of(force, "force")
        self.ignore_missing = switch_of(ignore_missing, "ignore_missing")

    def execute(self, context: Context) -> bool:
        """Delete the store."""
        name = parse_store(self.store)
        was_there = self.hook.delete_file_search_store(name, force=self.force, ignore_missing=self.ignore_missing)
        self.log.info("Deleted %s" if was_there else "%s was already gone", name)
        return was_there


class _DocumentsOperator(GeminiOperator):
    """The arguments that syncing and adding documents share; see :class:`GeminiSyncFileSearchStoreOperator`."""

    template_fields: Sequence[str] = (
        "store",
        "source",
        "source_conn_id",
        "custom_metadata",
        "mime_type",
        "display_name",
        "report_path",
        "report_conn_id",
        "gemini_conn_id",
    )
    template_fields_renderers = {"custom_metadata": "json"}  # noqa: RUF012
    operator_extra_links = (GeminiFileSearchStoreLink(),)
    #: Whether a source that has nothing is left to the sync, which knows what would be deleted for that.
    _allows_none = False

    def __init__(
        self,
        *,
        store: StoreLike,
        source: Any = None,
        source_conn_id: str | None = None,
        custom_metadata: Mapping[str, Any] | None = None,
        mime_type: str | None = None,
        display_name: str | None = None,
        max_tokens_per_chunk: int | None = None,
        max_overlap_tokens: int | None = None,
        compare: Compare = "fingerprint",
        failed_grace: Duration = FAILED_GRACE,
        max_concurrent: int = DEFAULT_CONCURRENCY,
        report_path: Any = None,
        report_conn_id: str | None = None,
        timeout: Duration = 4 * 3600,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: Duration = 5,
        max_poll_interval: Duration = 30,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if compare not in get_args(Compare):
            raise GeminiInputError(f"compare must be one of {', '.join(get_args(Compare))}; got {compare!r}.")
        self.store = store
        self.source = lasting(source)
        self.source_conn_id = source_conn_id
        self.custom_metadata = custom_metadata
        self.mime_type = mime_type
        self.display_name = display_name
        self.max_tokens_per_chunk = max_tokens_per_chunk
        self.max_overlap_tokens = max_overlap_tokens
        self.compare = compare
        self.failed_grace = seconds_of(failed_grace, "failed_grace")
        self.max_concurrent = whole_number_of(max_concurrent, "max_concurrent", least=1)
        self.report_path = report_path
        self.report_conn_id = report_conn_id
        self.timeout = seconds_of(timeout, "timeout", least=1.0)
        self.deferrable = switch_of(deferrable, "deferrable")
        self.poll_interval = seconds_of(poll_interval, "poll_interval", least=LEAST_POLL_INTERVAL)
        self.max_poll_interval = seconds_of(max_poll_interval, "max_poll_interval", least=LEAST_POLL_INTERVAL)
        Chunking(max_tokens_per_chunk, max_overlap_tokens)

    def execute(self, context: Context) -> Any:
        """Do what is missing."""
        now = self.clock.now()
        return self._run(context, SyncResume(now, deadline_of(self, now, self.timeout)))

    def execute_complete(self, context: Context, event: Event | None, **_: Any) -> Any:
        """Go on after the documents that were added have become ACTIVE, or have failed."""
        now = self.clock.now()
        resume = SyncResume.read(event) or SyncResume(now, deadline_of(self, now, self.timeout))
        names: list[str] = []
        try:
            names = documents_of_event(event)
        except (GeminiDocumentFailedError, GeminiStoreGoneError) as error:
            # It is added once more, or counted. If the store itself is gone, the next plan says so.
            self.log.warning("%s", error)
        return self._run(context, resume, names)

    def _run(self, context: Context, resume: SyncResume, names: Sequence[str] = ()) -> Any:
        raise NotImplementedError

    def _identity(self, context: Context) -> TaskOwner:
        """Return who keeps the documents: the task in its deployment, not one of its runs."""
        owner = owner_of(context)
        return TaskOwner(str(owner.deployment), owner.dag_id, owner.task_id)

    def _task(self, context: Context, resume: SyncResume, names: Sequence[str], **options: Any) -> DocumentTask:
        """
        Read the arguments, and find the sources.

        :param names: documents that were added before the task was deferred.
        """
        spec = SyncSpec(
            store=parse_store(self.store),
            owner=self._identity(context).to_text(),
            custom_metadata=check_metadata(self.custom_metadata, own=OWN_ENTRIES),
            chunking=Chunking(self.max_tokens_per_chunk, self.max_overlap_tokens),
            mime_type=text_of(self.mime_type, "mime_type"),
            display_name=text_of(self.display_name, "display_name"),
            compare=self.compare,
            failed_grace=self.failed_grace,
            max_concurrent=self.max_concurrent,
            **options,
        )
        settings = SyncSettings(
            spec.store, self.deferrable, self.poll_interval, self.max_poll_interval, self.failed_grace
        )
        sync = self.hook.document_sync(spec, context.get("task_state_store"))
        sync.expect(names)
        self._want(sync)
        return DocumentTask(self, settings, context, sync, resume)

    def _want(self, sync: Any) -> None:
        source = self.source
        if is_unset(source):
            raise GeminiInputError("source is empty: the task or template that it comes from gave nothing.")
        conn_id = text_of(self.source_conn_id, "source_conn_id")
        refused: dict[str, GeminiFilesError] = {}
        found = find_sources(
            source, conn_id, roots=allowed_local_paths(), allow_none=self._allows_none, refused=refused
        )
        sync.want_sources(found.sources, refused, found.empty)

    def _report(self) -> Output | None:
        if is_unset(self.report_path):
            return None
        return output_of(self.report_path, self.report_conn_id, "report_path")


class GeminiSyncFileSearchStoreOperator(_DocumentsOperator):
    """
    Keep a file search store in step with a source, and return what was done.

    The result counts: ``{"added", "replaced", "deleted", "unchanged", "failed"}``. Afterwards, the store has one
    up-to-date document for each source. If a source has changed, its former document is deleted only when the new one
    is ACTIVE, so that a search always finds one of them. Documents that this task has not added are not touched. The
    task reads its progress from the store itself, so an attempt continues where a killed one has stopped.

    XCom ``documents`` holds the names of the documents, at most 500, ``counts`` the result, and ``indexed`` how many
    documents were sent, and their size, also if sources have failed. See ``docs/file_search.md``.

    :param store: its name, ``fileSearchStores/...``, or a dict with ``name`` (templated).
    :param source: a path, a directory, a glob, an object storage URI or prefix, or a list of these (templated).
    :param source_conn_id: connection of the object storage; its provider's default if None (templated).
    :param delete_missing: delete documents whose source is gone.
    :param allow_empty: accept a source that is empty, or has an empty directory or glob in its list, and delete its
        documents.
    :param max_deletions: fail, and change nothing, if more documents would be deleted because their source is gone.
    :param dry_run: only log and return what would be done (templated).
    :param custom_metadata: metadata of each document, for filters: texts, numbers and lists of texts (templated).
    :param mime_type: detected from the source's name and content if None (templated).
    :param display_name: title of each document in citations; the name of its source if None (templated).
    :param max_tokens_per_chunk: maximum number of words in a chunk, up to 512; if None, the service decides.
    :param max_overlap_tokens: number of words that two adjacent chunks share.
    :param compare: ``"fingerprint"``: a source has changed if its size, ETag or modification time differs.
        ``"sha256"``: if its bytes differ; every source is read each time.
    :param failed_grace: seconds for which a document may be FAILED and still become ACTIVE.
    :param max_concurrent: number of uploads at the same time; after bursts, documents fail in the service.
    :param report_path: where to write one line of JSON for each source: ``{"source", "document", "error"}``
        (templated).
    :param report_conn_id: connection of the object storage of ``report_path`` (templated).
    :param timeout: seconds until the attempt fails; a retry continues.
    :param deferrable: wait in the triggerer, without a worker.
    :param poll_interval: minimum seconds between two polls.
    :param max_poll_interval: maximum seconds between two polls.
    """

    template_fields: Sequence[str] = (*_DocumentsOperator.template_fields, "dry_run")
    _allows_none = True

    def __init__(  # noqa: DOC102, DOC103 - documents the arguments of the base class, too
        self,
        *,
        source: Any,
        delete_missing: bool = True,
        allow_empty: bool = False,
        max_deletions: int | None = None,
        dry_run: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(source=source, **kwargs)
        self.delete_missing = switch_of(delete_missing, "delete_missing")
        self.allow_empty = switch_of(allow_empty, "allow_empty")
        self.max_deletions = None if max_deletions is None else whole_number_of(max_deletions, "max_deletions")
        # The same name as the argument, as mapped tasks need it; nothing of Airflow calls its method of this name.
        self.dry_run = dry_run  # type: ignore[method-assign, assignment]

    def _identity(self, context: Context) -> TaskOwner:
        # Mapped tasks can have sources of their own, and delete what is gone from them.
        return replace(super()._identity(context), map_index=owner_of(context).map_index)

    def _run(self, context: Context, resume: SyncResume, names: Sequence[str] = ()) -> dict[str, int]:
        report, dry_run = self._report(), switch_of(self.dry_run, "dry_run")
        options = {"delete_missing": self.delete_missing, "allow_empty": self.allow_empty}
        task = self._task(context, resume, names, max_deletions=self.max_deletions, **options)
        return task.planned() if dry_run else task.run(report)


class GeminiAddDocumentsOperator(_DocumentsOperator):
    """
    Add documents to a file search store, and return their names.

    XCom ``documents`` and ``indexed`` are as for :class:`GeminiSyncFileSearchStoreOperator`.

    XCom ``imported`` has ``{"conn_id", "files"}``: the Gemini files that were to be copied, at most 500 names. A retry
    or a later run sends only what has changed since. The former document of a changed source is deleted when the new
    one is ACTIVE.

    :param store: its name, ``fileSearchStores/...``, or a dict with ``name`` (templated).
    :param source: as for :class:`GeminiSyncFileSearchStoreOperator`, as are all other arguments; or None (templated).
    :param file_name: instead of ``source``: Gemini files in any form, which the service copies (templated).
    """

    template_fields: Sequence[str] = (*_DocumentsOperator.template_fields, "file_name")

    def __init__(  # noqa: DOC102, DOC103 - documents the arguments of the base class, too
        self, *, file_name: FileLike | Sequence[FileLike] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if (file_name is None) == (self.source is None):
            raise GeminiInputError("Pass either source or file_name: what to add.")
        self.file_name = lasting(file_name)
        self._by_file = file_name is not None
        self._imported: list[str] = []

    def _run(self, context: Context, resume: SyncResume, names: Sequence[str] = ()) -> list[str]:
        report = self._report()
        task = self._task(context, resume, names, delete_missing=False)
        if self._imported:
            imported = {"conn_id": self.gemini_conn_id, "files": self._imported[:MAX_NAMES]}
            context["ti"].xcom_push(IMPORTED_KEY, imported)
        task.run(report)
        return task.names()

    def _want(self, sync: Any) -> None:
        if not self._by_file:
            super()._want(sync)
            return
        # Read once: it can be an iterator.
        self._imported = names_for(listed_files(self.file_name), self.gemini_conn_id)
        sync.want_files(self.hook.files.active_files(self._imported))


class GeminiListDocumentsOperator(GeminiOperator):
    """
    Return the names of the documents of a file search store; the log shows them as a table.

    :param store: its name, ``fileSearchStores/...``, or a dict with ``name`` (templated).
    :param state: only documents in this state: ``PENDING``, ``ACTIVE`` or ``FAILED`` (templated).
    """

    template_fields: Sequence[str] = ("store", "state", "gemini_conn_id")
    operator_extra_links = (GeminiFileSearchStoreLink(),)

    def __init__(self, *, store: StoreLike, state: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.state = state

    def execute(self, context: Context) -> list[str]:
        """Read every page of the list, and filter."""
        store, state = parse_store(self.store), parse_state(text_of(self.state, "state"))
        documents = [one for one in self.hook.list_documents(store) if state in (None, one.state)]
        self.log.info("::group::%d documents", len(documents))
        for document in documents:
            size, label = human_bytes(document.size_bytes or 0), shown_text(document.display_name or "")
            self.log.info("%s  %s  %s  %s  %s", document.name, document.state, document.mime_type, size, label)
        self.log.info("::endgroup::")
        return [document.name for document in documents]


class GeminiDeleteDocumentsOperator(GeminiOperator):
    """
    Delete documents of file search stores, and return ``{"deleted": [names], "missing": [names]}``.

    :param document: a document (its name, or a dict with ``name``), or a list of them (templated). None stands for no
        document.
    :param ignore_missing: if False, a document that does not exist is an error.
    """

    template_fields: Sequence[str] = ("document", "gemini_conn_id")
    operator_extra_links = (GeminiFileSearchStoreLink(),)

    def __init__(
        self,
        *,
        document: DocumentLike | Sequence[DocumentLike | None] | None,
        ignore_missing: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.document = lasting(document)
        self.ignore_missing = switch_of(ignore_missing, "ignore_missing")

    def execute(self, context: Context) -> dict[str, list[str]]:
        """Delete the documents."""
        present = [one for one in listed_documents(self.document) if not is_unset(one)]
        result: dict[str, list[str]] = {"deleted": [], "missing": []}
        for name in parse_documents(present) if present else []:
            was_there = self.hook.delete_document(name)
            result["deleted" if was_there else "missing"].append(name)
            self.log.info("Deleted %s" if was_there else "%s was already gone", name)
        if result["missing"] and not self.ignore_missing:
            deleted = f" The other {len(result['deleted'])} were deleted." if result["deleted"] else ""
            shown = ", ".join(result["missing"][:5])
            raise GeminiStoreGoneError(f"{len(result['missing'])} documents do not exist: {shown}.{deleted}")
        return result
