"""The calls for file search stores and documents as plain requests; see ``requests.py``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import GeminiServiceError, GeminiStoreGoneError
from airflow_provider_gemini_files.file_search.resources import Document, FileSearchStore
from airflow_provider_gemini_files.hooks.connection import GeminiConnection
from airflow_provider_gemini_files.hooks.requests import ApiRequest, Resource

#: Items of a page, the most that the service gives.
_PAGE_SIZE = 20


def _request(doing: str, method: str, path: str, **options: Any) -> ApiRequest:
    return ApiRequest(doing, method, path, gone=GeminiStoreGoneError, **options)


def get_resource(name: str) -> ApiRequest:
    """Return the request for a store or a document."""
    return _request(f"get {name}", "GET", name, about=name, results=("name",))


def create_store(display_name: str, embedding_model: str | None) -> ApiRequest:
    """Return the request that creates a store."""
    body = {"displayName": display_name}
    if embedding_model:
        body["embeddingModel"] = f"models/{embedding_model.removeprefix('models/')}"
    return _request("create a file search store", "POST", "fileSearchStores", body=body, results=("name",))


def delete_resource(name: str, *, force: bool) -> ApiRequest:
    """
    Return the request that deletes a store or a document.

    :param force: also if it has documents, or chunks.
    """
    query: Mapping[str, str | int] = {"force": "true"} if force else {}
    return _request(f"delete {name}", "DELETE", name, about=name, query=query)


def import_file(store: str, file_name: str, fields: Mapping[str, Any]) -> ApiRequest:
    """
    Return the request that copies a file into a store.

    :param fields: ``customMetadata`` and ``chunkingConfig``.
    """
    body = {"fileName": file_name, **fields}
    doing = f"add {file_name} to {store}"
    return _request(doing, "POST", f"{store}:importFile", about=store, body=body, results=("name",))


def get_operation(name: str) -> ApiRequest:
    """Return the request for the operation that adds a document."""
    return _request(f"get {name}", "GET", name, about=name, results=("name", "done", "response"))


def _read(kind: type[Document] | type[FileSearchStore], resource: Mapping[str, Any], _: GeminiConnection) -> Any:
    try:
        return kind.from_api(resource)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = "store" if kind is FileSearchStore else "document"
        raise GeminiServiceError(
            f"The service returned a {what} that cannot be read: {shown_text(repr(error))}."
        ) from error


STORES: Resource[FileSearchStore] = Resource(
    "fileSearchStores", "fileSearchStores", get_resource, partial(_read, FileSearchStore), _PAGE_SIZE
)


def documents_of(store: str) -> Resource[Document]:
    """Return the documents of a store."""
    return Resource(
        f"{store}/documents",
        "documents",
        get_resource,
        partial(_read, Document),
        _PAGE_SIZE,
        parent=store,
        gone=GeminiStoreGoneError,
    )
