"""Stores and documents as the service reports them, and the parsing of their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_gemini_files.common.names import name_in
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.times import epoch_of
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.metadata import Origin, from_api
from airflow_provider_gemini_files.files.reference import in_order

#: Wider than the ids that the service makes today: a document that cannot be read would be added again by each sync.
_STORE = re.compile(r"fileSearchStores/[A-Za-z0-9][A-Za-z0-9._-]*")
_STORE_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_STATES = ("PENDING", "ACTIVE", "FAILED")
_DOCUMENT = re.compile(rf"({_STORE.pattern})/documents/[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class FileSearchStore:
    """
    A file search store.

    :param name: ``fileSearchStores/...``.
    :param documents: number of documents by state: ``active``, ``pending``, ``failed``.
    :param size_bytes: of the documents, as the service counts them.
    """

    name: str
    display_name: str | None = None
    embedding_model: str | None = None
    create_time: str | None = None
    documents: Mapping[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    update_time: str | None = None

    @classmethod
    def from_api(cls, resource: Mapping[str, Any]) -> FileSearchStore:
        """
        Read a resource of the service.

        :raises ValueError: if it is no store.
        """
        counts = {state: _number(resource.get(f"{state}DocumentsCount")) for state in ("active", "pending", "failed")}
        return cls(
            name=parse_store(resource.get("name")),
            display_name=_text(resource.get("displayName")),
            embedding_model=_text(resource.get("embeddingModel")),
            create_time=_text(resource.get("createTime")),
            documents=counts,
            size_bytes=_number(resource.get("sizeBytes")),
            update_time=_text(resource.get("updateTime")),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**asdict(self), "documents": dict(self.documents)}

    @property
    def total(self) -> int:
        """Return the number of documents in any state."""
        return sum(self.documents.values())

    def created_at(self) -> float | None:
        """Return when it was created, in seconds since the epoch; None if the service does not say."""
        return epoch_of(self.create_time)

    def updated_at(self) -> float | None:
        """Return when it was changed last, as :meth:`created_at` does."""
        return epoch_of(self.update_time)


@dataclass(frozen=True)
class Document:
    """
    A document of a store.

    :param name: ``fileSearchStores/.../documents/...``.
    :param state: ``PENDING``, ``ACTIVE`` or ``FAILED``; FAILED can become ACTIVE later.
    :param metadata: custom metadata as texts, numbers and lists of texts, ours included.
    """

    name: str
    state: str
    display_name: str | None = None
    mime_type: str | None = None
    size_bytes: int | None = None
    create_time: str | None = None
    update_time: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_api(cls, resource: Mapping[str, Any]) -> Document:
        """
        Read a resource of the service.

        :raises ValueError: if it is no document.
        """
        size = resource.get("sizeBytes")
        return cls(
            name=parse_document(resource.get("name")),
            state=str(resource.get("state") or "STATE_UNSPECIFIED").removeprefix("STATE_"),
            display_name=_text(resource.get("displayName")),
            mime_type=_text(resource.get("mimeType")),
            size_bytes=None if size is None else _number(size),
            create_time=_text(resource.get("createTime")),
            update_time=_text(resource.get("updateTime")),
            metadata=from_api(resource.get("customMetadata")),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**asdict(self), "metadata": dict(self.metadata)}

    @property
    def origin(self) -> Origin | None:
        """Return where this package says that the document comes from; None for documents of other tools."""
        return Origin.of(self.metadata)

    def changed_at(self) -> float | None:
        """Return when its state changed last, as far as known, in seconds since the epoch."""
        return epoch_of(self.update_time) or self.created_at()

    def created_at(self) -> float | None:
        """Return when it was created, in seconds since the epoch; None if the service does not say."""
        return epoch_of(self.create_time)


#: The forms in which each is accepted: a name, a dict with ``name``, the object; a store also as its id alone.
StoreLike = str | Mapping[str, Any] | FileSearchStore
DocumentLike = str | Mapping[str, Any] | Document


def parse_store(store: Any) -> str:
    """
    Return the name of a store, ``fileSearchStores/...``.

    :raises GeminiInputError: for anything that is not a :data:`StoreLike`.
    """
    given = name_in(store, FileSearchStore)
    text = given.strip() if isinstance(given, str) else ""
    name = f"fileSearchStores/{text}" if _STORE_ID.fullmatch(text) else text
    if not _STORE.fullmatch(name):
        raise GeminiInputError(
            f"{shown_text(repr(store))} is not the name of a file search store; expected 'fileSearchStores/...'."
        )
    return name


def parse_document(document: Any) -> str:
    """
    Return the name of a document, ``fileSearchStores/.../documents/...``.

    :raises GeminiInputError: for anything else, such as the name of an operation.
    """
    given = name_in(document, Document)
    if not isinstance(given, str) or not _DOCUMENT.fullmatch(given.strip()):
        raise GeminiInputError(
            f"{shown_text(repr(document))} is not the name of a document; expected "
            "'fileSearchStores/.../documents/...'."
        )
    return given.strip()


def parse_documents(documents: Any) -> list[str]:
    """
    Return the names of one document or of several, without duplicates.

    :raises GeminiInputError: if there is none, or one cannot be read.
    """
    names = [parse_document(one) for one in listed_documents(documents)]
    if not names:
        raise GeminiInputError("There is no document: the list is empty.")
    return list(dict.fromkeys(names))


def listed_documents(documents: Any) -> list[Any]:
    """Return a list of documents: of one or of several; they are not checked."""
    return in_order(documents) if is_many_documents(documents) else [documents]


def is_many_documents(documents: Any) -> bool:
    """Return whether several documents were given, so that several names are returned."""
    return isinstance(documents, Iterable) and not isinstance(documents, str | bytes | Mapping)


def parse_state(state: str | None) -> str | None:
    """
    Return a state of documents, in the service's spelling or ours; None for any state.

    :raises GeminiInputError: for a state that no document has, which would select none.
    """
    if state is None:
        return None
    parsed = state.strip().upper().removeprefix("STATE_")
    if parsed not in _STATES:
        raise GeminiInputError(f"state must be one of {', '.join(_STATES)}; got {state!r}.")
    return parsed


def store_of(documents: Iterable[str]) -> str:
    """
    Return the store of some documents.

    :raises GeminiInputError: if they are of several stores.
    """
    stores = {document.partition("/documents/")[0] for document in documents}
    if len(stores) != 1:
        raise GeminiInputError(
            f"The documents belong to several stores: {', '.join(sorted(stores))}. Pass those of one store at a time."
        )
    return stores.pop()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> int:
    text = str(value)
    return int(text) if text.isdecimal() else 0
