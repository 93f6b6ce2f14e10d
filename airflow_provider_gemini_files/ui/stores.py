"""The listings of a connection's file search stores, and of the documents of one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from airflow_provider_gemini_files.common.concurrency import map_outcomes
from airflow_provider_gemini_files.common.redaction import shown_text, shown_url
from airflow_provider_gemini_files.file_search.metadata import TaskOwner
from airflow_provider_gemini_files.file_search.resources import Document, FileSearchStore
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.runs import database_lookup

#: Documents of a store that the page lists: a store can have hundreds of thousands, 20 on a page.
MAX_DOCUMENTS = 200
#: Stores whose first documents are read by one listing; the next listings read those of the other stores.
_MAX_READ = 100
_CONCURRENCY = 4

#: The tasks that keep the first documents of a store; None stands for documents of other tools.
Owners = tuple[TaskOwner | None, ...]


@dataclass(frozen=True)
class StoreListing:
    """
    All file search stores of a connection's project.

    A store does not say who made it, but its documents say which task keeps them.

    :param at: when the listing started, in seconds since the epoch.
    :param owners: by store, of its first documents; without the stores whose documents have not been read.
    :param deployment: identity of this Airflow deployment.
    """

    at: float
    stores: tuple[FileSearchStore, ...]
    owners: Mapping[str, Owners]
    deployment: str | None = None

    @classmethod
    def read(cls, hook: GeminiFilesHook, at: float, previous: StoreListing | None) -> StoreListing:
        """List the stores; documents are read only of those that have changed since the previous listing."""
        stores = tuple(hook.list_file_search_stores())
        owners = previous.unchanged_owners(stores) if previous else {}
        unread = [store.name for store in stores if store.name not in owners and store.total][:_MAX_READ]
        read = partial(_owners, hook)
        for outcome in map_outcomes(read, unread, concurrency=_CONCURRENCY, name="gemini-page"):
            # The documents of a store that cannot be read are no reason to show no stores.
            if outcome.result is not None:
                owners[outcome.item] = outcome.result
        return cls(at, stores, owners, database_lookup.deployment)

    def unchanged_owners(self, stores: Iterable[FileSearchStore]) -> dict[str, Owners]:
        """Return the owners, as far as they are known, of those stores that are as they were in this listing."""
        before = {store.name: store for store in self.stores}
        return {
            store.name: self.owners[store.name]
            for store in stores
            if store.name in self.owners and before.get(store.name) == store
        }

    @cached_property
    def rows(self) -> str:
        """Return the rows of the table as JSON, encoded once for all users."""
        return json.dumps([self.row(store) for store in self.stores], separators=(",", ":"))

    def row(self, store: FileSearchStore) -> list[Any]:
        """Return a store as ``stores.js`` decodes it."""
        created, updated = store.created_at(), store.updated_at()
        return [
            store.name,
            store.display_name or "",
            [store.documents.get(state, 0) for state in ("active", "pending", "failed")],
            store.size_bytes,
            (store.embedding_model or "").removeprefix("models/"),
            created and round(created),
            updated and round(updated),
            [_owner_row(owner, self.deployment) for owner in self.owners.get(store.name, ())],
        ]


@dataclass(frozen=True)
class DocumentListing:
    """
    The first documents of a store.

    :param at: when the listing started, in seconds since the epoch.
    :param has_more: whether the store has documents that are not listed.
    """

    at: float
    documents: tuple[Document, ...]
    has_more: bool
    deployment: str | None = None

    @classmethod
    def read(cls, hook: GeminiFilesHook, at: float, _: DocumentListing | None, store: str) -> DocumentListing:
        """List the documents."""
        documents, has_more = hook.file_search.first_documents(store, MAX_DOCUMENTS)
        return cls(at, tuple(documents), has_more, database_lookup.deployment)

    def more(self, store: FileSearchStore) -> int:
        """Return how many documents of the store are not listed: at least one if there are more, as counts are late."""
        return max(store.total - len(self.documents), 1) if self.has_more else 0

    @cached_property
    def rows(self) -> str:
        """Return the rows of the table as JSON."""
        return json.dumps([_document_row(document, self.deployment) for document in self.documents])


def _document_row(document: Document, deployment: str | None) -> list[Any]:
    origin, changed = document.origin, document.changed_at()
    return [
        document.name,
        document.display_name or "",
        document.state,
        document.size_bytes,
        document.mime_type,
        # Documents of other tools can have such an entry, too.
        origin and shown_text(shown_url(origin.source)),
        changed and round(changed),
        _owner_row(_owner_of(document), deployment),
    ]


def _owners(hook: GeminiFilesHook, store: str) -> Owners:
    """Return the owners of the documents on the first page, each once: the one of the most documents first."""
    documents, _ = hook.file_search.first_documents(store, 1)
    owners = [_owner_of(document) for document in documents]
    return tuple(sorted(dict.fromkeys(owners), key=owners.count, reverse=True))


def _owner_of(document: Document) -> TaskOwner | None:
    return TaskOwner.parse(document.origin.owner) if document.origin else None


def _owner_row(owner: TaskOwner | None, deployment: str | None) -> list[Any] | None:
    """Return an owner as ``owners.js`` decodes it."""
    return [owner.dag_id, owner.task_id, owner.map_index, owner.deployment == deployment] if owner else None
