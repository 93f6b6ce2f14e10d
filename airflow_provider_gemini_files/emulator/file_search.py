"""The methods on file search stores, their documents, and the operations that add documents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_gemini_files.emulator import errors, uploads
from airflow_provider_gemini_files.emulator.body import get
from airflow_provider_gemini_files.emulator.call import Call
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.document_fields import (
    check_size,
    check_type,
    read_chunking,
    read_display_name,
    read_embedding_model,
    read_metadata,
)
from airflow_provider_gemini_files.emulator.faults import Fault
from airflow_provider_gemini_files.emulator.paging import listing
from airflow_provider_gemini_files.emulator.projects import Project, new_id
from airflow_provider_gemini_files.emulator.session import Result, Upload
from airflow_provider_gemini_files.emulator.stores import Document, Store, find_store, readable_id

_PAGE = 20
#: Embeddings make a document about three times as large as its bytes.
_STORED_BYTES_A_BYTE = 3
_ID = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def _check(item_id: str, request: str, kind: str) -> None:
    if not _ID.fullmatch(item_id) or len(item_id) > 40:
        raise errors.invalid(f"* {request}.name: {kind} ID is not valid.\n")


def _store(call: Call, request: str) -> Store:
    _check(call.params["store"], request, "FileSearchStore")
    return find_store(call.project, call.params["store"])


def _document(call: Call, request: str) -> tuple[Store, Document]:
    document_id = call.params["document"]
    _check(document_id, request, "Document")
    store = _store(call, request)
    document = store.existing(call.now).get(document_id)
    if document is None:
        raise errors.not_found("Documents does not exist.")
    return store, document


async def create_store(call: Call) -> dict[str, Any]:
    """Create a store."""
    body = await call.json()
    display_name = read_display_name(body, "FileSearchStore")
    store_id = readable_id(display_name, new_id(), new_id())
    store = Store(store_id, call.now, display_name, read_embedding_model(body))
    call.project.resources(Store)[store.id] = store
    return store.to_json(call.now)


async def get_store(call: Call) -> dict[str, Any]:
    """Return one store."""
    return _store(call, "GetFileSearchStoreRequest").to_json(call.now)


async def list_stores(call: Call) -> dict[str, Any]:
    """Return a page of the stores."""
    return listing(call, call.project.resources(Store).values(), "fileSearchStores", largest=_PAGE)


async def delete_store(call: Call) -> dict[str, Any]:
    """Delete a store; a store with documents requires ``force``."""
    store = _store(call, "DeleteFileSearchStoreRequest")
    if store.existing(call.now) and call.query.get("force", "").lower() != "true":
        raise errors.precondition("Cannot delete non-empty FileSearchStore.")
    del call.project.resources(Store)[store.id]
    return {}


async def start_document(call: Call) -> Response:
    """Start the upload of a document, or continue one."""
    if "upload_id" in call.query:
        return await uploads.continue_session(call)
    store = _store(call, "UploadToFileSearchStoreRequest")
    body = uploads.read_metadata(await call.request.body())
    declared = uploads.read_declared(call.request, body)
    display_name = read_display_name(body, "Document") or call.request.headers.get("x-goog-upload-file-name")
    options = _Options.read(body, call.fault)
    project = call.project
    _check_space(project, declared.size or 0)

    def complete(done: Upload) -> Result:
        check_type(done.mime_type)
        _check_space(project, done.received)
        document = options.document(project, store, done.display_name, done.mime_type, done.received)
        document.content = bytes(done.content)
        first = document.operation(project.clock.now())
        first.pop("done", None)
        return lambda: first

    return uploads.open_session(call, declared, display_name, complete)


async def import_file(call: Call) -> dict[str, Any]:
    """Copy a file into a store; deleting the file later does not change the store."""
    store = _store(call, "ImportFileRequest")
    body = await call.json()
    file = call.project.find(str(get(body, "fileName") or "").removeprefix("files/"), "ImportFileRequest", "file_name")
    if file.state(call.now) != "ACTIVE":
        raise errors.not_active(file.id)
    options = _Options.read(body, call.fault)
    check_type(file.mime_type)
    _check_space(call.project, file.size)
    # The service names the document after the file's id, not after its display name.
    document = options.document(call.project, store, file.id, file.mime_type, file.size)
    document.content, document.import_id = file.content, readable_id(file.id, new_id(), new_id())
    return document.operation(call.now)


def _check_space(project: Project, size: int) -> None:
    """Refuse a document that is too large, or does not fit into the stores of the project."""
    check_size(size)
    limit = project.settings.store_bytes
    now = project.clock.now()
    used = sum(store.size(now) for store in project.resources(Store).values())
    if limit is not None and (used + size) * _STORED_BYTES_A_BYTE > limit:
        raise errors.stores_full(limit)


@dataclass(frozen=True)
class _Options:
    """
    What a request says about the document it adds.

    :param fault: the fault of the request; it can fail the document.
    """

    custom_metadata: list[dict[str, Any]]
    chunk_tokens: int
    overlap_tokens: int
    fault: Fault | None

    @classmethod
    def read(cls, body: dict[str, Any], fault: Fault | None) -> _Options:
        return cls(read_metadata(body), *read_chunking(body), fault)

    def document(self, project: Project, store: Store, name: str | None, mime_type: str, size: int) -> Document:
        """Add a document without content to a store, and return it; the size is in bytes."""
        now = project.clock.now()
        document_id = readable_id(name, new_id(), new_id())
        document = Document(
            id=document_id,
            store=store.name,
            display_name=name or document_id,
            mime_type=mime_type,
            size=size,
            created=now,
            ready=now + project.settings.job_seconds,
            custom_metadata=self.custom_metadata,
            chunk_tokens=self.chunk_tokens,
            overlap_tokens=self.overlap_tokens,
        )
        document.apply_fault(self.fault)
        store.documents[document.id] = document
        return document


async def get_document(call: Call) -> dict[str, Any]:
    """Return one document."""
    return _document(call, "GetDocumentRequest")[1].to_json(call.now)


async def list_documents(call: Call) -> dict[str, Any]:
    """Return a page of the documents of a store, newest first."""
    return listing(call, _store(call, "ListDocumentsRequest").existing(call.now).values(), "documents", largest=_PAGE)


async def delete_document(call: Call) -> dict[str, Any]:
    """Delete a document; it has chunks, so this requires ``force``."""
    store, document = _document(call, "DeleteDocumentRequest")
    if call.query.get("force", "").lower() != "true":
        raise errors.precondition("Cannot delete non-empty Document.")
    del store.documents[document.id]
    return {}


async def get_operation(call: Call) -> dict[str, Any]:
    """Return the operation that adds a document."""
    for document in _store(call, "GetOperationRequest").documents.values():
        if document.operation_id == call.params["operation"]:
            return document.operation(call.now)
    raise errors.not_found("Operation does not exist.")


async def get_media(call: Call) -> Response:
    """Return the bytes of the document with the ``mediaId`` of a search result."""
    document = _store(call, "GetMediaRequest").existing(call.now).get(call.params["media"])
    if document is None:
        raise errors.not_found("Media does not exist.")
    return Response(document.content, media_type=document.mime_type)


def _upload_names(request: Request) -> tuple[str, ...]:
    return uploads.upload_names(request) if "upload_id" in request.query_params else ("start_document",)


_STORE = "/fileSearchStores/{store}"
METHODS = [
    Method(
        ("start_document", "upload", "finalize", "query", "cancel"),
        ("POST", "PUT"),
        f"{_STORE}:uploadToFileSearchStore",
        start_document,
        prefix="/upload",
        name_of=_upload_names,
    ),
    Method(("import_file",), ("POST",), f"{_STORE}:importFile", import_file),
    Method(("create_store",), ("POST",), "/fileSearchStores", create_store),
    Method(("list_stores",), ("GET",), "/fileSearchStores", list_stores),
    Method(("get_store",), ("GET",), _STORE, get_store),
    Method(("delete_store",), ("DELETE",), _STORE, delete_store),
    Method(("list_documents",), ("GET",), f"{_STORE}/documents", list_documents),
    Method(("get_document",), ("GET",), f"{_STORE}/documents/{{document}}", get_document),
    Method(("delete_document",), ("DELETE",), f"{_STORE}/documents/{{document}}", delete_document),
    Method(("get_operation",), ("GET",), f"{_STORE}/operations/{{operation}}", get_operation),
    Method(("get_operation",), ("GET",), f"{_STORE}/upload/operations/{{operation}}", get_operation),
    Method(("get_media",), ("GET",), f"{_STORE}/media/{{media}}", get_media),
]
