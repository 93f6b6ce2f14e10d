"""The FileSearchStore and Document resources."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.clock import rfc3339
from airflow_provider_gemini_files.emulator.media import tokens
from airflow_provider_gemini_files.emulator.projects import Project

_NAME_LENGTH = 27
_TYPES = "type.googleapis.com/google.ai.generativelanguage.v1main."


def readable_id(display_name: str | None, new_id: str, other_id: str) -> str:
    """
    Return an id as the service creates it: the display name in lower case with dashes for blanks, and a random suffix.

    Other characters are dropped.

    :param new_id: the suffix.
    :param other_id: used in place of an empty display name.
    """
    text = re.sub(r"[^a-z0-9 ]", "", (display_name or "").lower()).replace(" ", "-")[:_NAME_LENGTH]
    return f"{text or other_id}-{new_id}"


@dataclass
class Document:
    """
    A document of a store.

    Times are in seconds since the epoch.

    :param store: resource name of the store.
    :param content: the first bytes, for the models to read.
    :param size: in bytes.
    :param ready: when it becomes searchable.
    :param imported: whether it was imported from a file instead of uploaded.
    """

    id: str
    store: str
    display_name: str
    mime_type: str
    content: bytes
    size: int
    created: float
    ready: float
    imported: bool
    custom_metadata: list[Any] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the resource name."""
        return f"{self.store}/documents/{self.id}"

    def is_ready(self, now: float) -> bool:
        """Return whether it is searchable."""
        return now >= self.ready

    def tokens(self) -> int:
        """Return the number of its tokens."""
        return tokens(self.mime_type, self.content, self.size)

    def to_json(self, now: float) -> dict[str, Any]:
        """Return the resource; unset fields are omitted."""
        body = {
            "name": self.name,
            "displayName": self.display_name,
            "customMetadata": self.custom_metadata or None,
            "state": "STATE_ACTIVE" if self.is_ready(now) else "STATE_PENDING",
            "sizeBytes": str(self.size),
            "mimeType": self.mime_type,
            "createTime": rfc3339(self.created, 6),
            "updateTime": rfc3339(self.ready if self.is_ready(now) else self.created, 6),
        }
        return {key: value for key, value in body.items() if value is not None}

    def operation(self, now: float) -> dict[str, Any]:
        """Return the operation that adds it; that of an upload has its response before it is done."""
        done = {"done": True} if self.is_ready(now) else {}
        response: dict[str, Any] = {"parent": self.store, "documentName": self.name}
        if self.imported:
            name = f"{self.store}/operations/{self.id}"
            result = {"response": {"@type": f"{_TYPES}ImportFileResponse", **response}} if done else {}
            return {"name": name, **done, **result}
        response |= {"mimeType": self.mime_type, "sizeBytes": str(self.size)}
        kind = f"{_TYPES}UploadToFileSearchStoreResponse"
        return {
            "name": f"{self.store}/upload/operations/{self.id}",
            **done,
            "response": {"@type": kind, **response},
        }

    def retrieved(self) -> dict[str, Any]:
        """Return the part of it that a search result shows."""
        result = {"fileSearchStore": self.store, "title": self.display_name}
        if self.mime_type.startswith("image/"):
            return result | {"mediaId": f"{self.store}/media/{self.id}"}
        return result | {"text": self.content[:1000].decode("utf-8", "replace")}


@dataclass
class Store:
    """A file search store."""

    id: str
    created: float
    display_name: str | None = None
    embedding_model: str = "models/gemini-embedding-001"
    documents: dict[str, Document] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the resource name."""
        return f"fileSearchStores/{self.id}"

    def ready_documents(self, now: float) -> list[Document]:
        """Return the searchable documents."""
        return [document for document in self.documents.values() if document.is_ready(now)]

    def to_json(self, now: float) -> dict[str, Any]:
        """Return the resource; unset fields are omitted."""
        active = len(self.ready_documents(now))
        counts = {
            "activeDocumentsCount": active,
            "pendingDocumentsCount": len(self.documents) - active,
            "sizeBytes": sum(document.size for document in self.documents.values()),
        }
        body = {
            "name": self.name,
            "displayName": self.display_name,
            "createTime": rfc3339(self.created, 6),
            "updateTime": rfc3339(self.created, 6),
            "embeddingModel": self.embedding_model,
            **{key: str(count) for key, count in counts.items() if count},
        }
        return {key: value for key, value in body.items() if value is not None}


def find_store(project: Project, store_id: str) -> Store:
    """
    Find a store.

    :raises ApiError: 403 if there is none of this id.
    """
    stores = project.resources(Store)
    if store_id not in stores:
        raise errors.no_access("FileSearchStore", store_id)
    return stores[store_id]
