"""The FileSearchStore and Document resources."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.clock import rfc3339
from airflow_provider_gemini_files.emulator.faults import Fault
from airflow_provider_gemini_files.emulator.filters import Metadata
from airflow_provider_gemini_files.emulator.projects import Project

DEFAULT_EMBEDDING_MODEL = "models/gemini-embedding-001"
#: Largest number of words in a chunk, and the default; the service's default is not known.
MAX_CHUNK_TOKENS = 512
PENDING, ACTIVE, FAILED = "STATE_PENDING", "STATE_ACTIVE", "STATE_FAILED"
_NAME_LENGTH = 27
#: Users report the message; the code is a guess.
_OPERATION_ERROR = {"code": 13, "message": "Failed to count tokens."}
_TYPES = "type.googleapis.com/google.ai.generativelanguage.v1main."


def readable_id(display_name: str | None, new_id: str, other_id: str) -> str:
    """
    Return an id as the service creates it: the display name in lower case with dashes for blanks, and a random suffix.

    Other characters are dropped, and so are blanks that would begin or end it.

    :param new_id: the suffix.
    :param other_id: used in place of an empty display name.
    """
    words = re.sub(r"[^a-z0-9 ]", "", (display_name or "").lower()).split()
    text = "-".join(words)[:_NAME_LENGTH].rstrip("-")
    return f"{text or other_id}-{new_id}"


@dataclass
class Document:
    """
    A document of a store.

    Times are in seconds since the epoch.

    :param store: resource name of the store.
    :param content: the first bytes, for the models to read.
    :param size: in bytes.
    :param ready: when it is no longer PENDING.
    :param import_id: id of the operation that imports it from a file; None: it is uploaded, by an operation of its id.
    :param chunk_tokens: number of words in a chunk.
    :param overlap_tokens: number of words that two neighbouring chunks share.
    :param recovers: when it becomes ACTIVE if it is FAILED first.
    :param error: the error that its operation ends with; the document no longer exists then.
    """

    id: str
    store: str
    display_name: str
    mime_type: str
    size: int
    created: float
    ready: float
    content: bytes = b""
    import_id: str | None = None
    custom_metadata: list[dict[str, Any]] = field(default_factory=list)
    chunk_tokens: int = MAX_CHUNK_TOKENS
    overlap_tokens: int = 0
    recovers: float = 0.0
    error: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Return the resource name."""
        return f"{self.store}/documents/{self.id}"

    @property
    def operation_id(self) -> str:
        """Return the id of the operation that adds it."""
        return self.import_id or self.id

    def apply_fault(self, fault: Fault | None) -> None:
        """Decide how its processing ends, if the fault is one of a document."""
        action = fault.action if fault else None
        if action == "document_failed" and fault:
            self.recovers = math.inf if fault.seconds is None else self.ready + fault.seconds
        elif action == "operation_error" and fault:
            self.error = fault.error or _OPERATION_ERROR

    def exists(self, now: float) -> bool:
        """Return whether it exists: always, unless its operation has ended with an error."""
        return self.error is None or now < self.ready

    def state(self, now: float) -> str:
        """Return PENDING, FAILED or ACTIVE."""
        if now < self.ready:
            return PENDING
        return FAILED if now < self.recovers else ACTIVE

    def metadata(self) -> Metadata:
        """Return the values of its custom metadata by key."""
        return {entry["key"]: _value(entry) for entry in self.custom_metadata}

    def to_json(self, now: float) -> dict[str, Any]:
        """Return the resource; unset fields are omitted."""
        state = self.state(now)
        changed = {PENDING: self.created, FAILED: self.ready, ACTIVE: max(self.ready, self.recovers)}
        body = {
            "name": self.name,
            "displayName": self.display_name,
            "customMetadata": self.custom_metadata or None,
            "state": state,
            "sizeBytes": str(self.size),
            "mimeType": self.mime_type,
            "createTime": rfc3339(self.created, 6),
            "updateTime": rfc3339(changed[state], 6),
        }
        return {key: value for key, value in body.items() if value is not None}

    def operation(self, now: float) -> dict[str, Any]:
        """
        Return the operation that adds it; that of an upload has its response before it is done.

        It does not tell whether the document is ACTIVE or FAILED, only that it is no longer PENDING.
        """
        kind = "operations" if self.import_id else "upload/operations"
        name = f"{self.store}/{kind}/{self.operation_id}"
        if not self.exists(now):
            return {"name": name, "done": True, "error": self.error}
        done = {"done": True} if now >= self.ready else {}
        response: dict[str, Any] = {"parent": self.store, "documentName": self.name}
        if self.import_id:
            result = {"response": {"@type": f"{_TYPES}ImportFileResponse", **response}} if done else {}
            return {"name": name, **done, **result}
        response |= {"mimeType": self.mime_type, "sizeBytes": str(self.size)}
        return {
            "name": name,
            **done,
            "response": {"@type": f"{_TYPES}UploadToFileSearchStoreResponse", **response},
        }


def _value(entry: dict[str, Any]) -> str | float | list[str]:
    """Return the value of an entry of custom metadata."""
    if (texts := entry.get("stringListValue")) is not None:
        return list(texts["values"])
    value: str | float = entry["numericValue"] if "numericValue" in entry else entry["stringValue"]
    return value


@dataclass
class Store:
    """
    A file search store.

    :param documents: by id, including those that no longer exist because their operation ended with an error.
    """

    id: str
    created: float
    display_name: str | None = None
    embedding_model: str = DEFAULT_EMBEDDING_MODEL
    documents: dict[str, Document] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the resource name."""
        return f"fileSearchStores/{self.id}"

    def existing(self, now: float) -> dict[str, Document]:
        """Return the documents that exist, by id."""
        return {key: document for key, document in self.documents.items() if document.exists(now)}

    def active_documents(self, now: float) -> list[Document]:
        """Return the searchable documents."""
        return [document for document in self.existing(now).values() if document.state(now) == ACTIVE]

    def size(self, now: float) -> int:
        """Return the size of its documents in bytes."""
        return sum(document.size for document in self.existing(now).values())

    def to_json(self, now: float) -> dict[str, Any]:
        """Return the resource; unset fields are omitted."""
        states = Counter(document.state(now) for document in self.existing(now).values())
        counts = {
            "activeDocumentsCount": states[ACTIVE],
            "pendingDocumentsCount": states[PENDING],
            "failedDocumentsCount": states[FAILED],
            "sizeBytes": self.size(now),
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
