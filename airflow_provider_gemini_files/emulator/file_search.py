"""The methods on file search stores, their documents, and the operations that add documents."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_gemini_files.emulator import errors, uploads
from airflow_provider_gemini_files.emulator.body import get, get_objects, get_text
from airflow_provider_gemini_files.emulator.call import Call
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.paging import listing
from airflow_provider_gemini_files.emulator.projects import Project, new_id
from airflow_provider_gemini_files.emulator.session import Result, Upload
from airflow_provider_gemini_files.emulator.stores import Document, Store, find_store, readable_id

MAX_DOCUMENT_BYTES = 100 * 1024**2
MAX_METADATA = 20
_PAGE = 20
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
    if document_id not in store.documents:
        raise errors.not_found("Documents does not exist.")
    return store, store.documents[document_id]


async def create_store(call: Call) -> dict[str, Any]:
    """Create a store."""
    body = await call.json()
    display_name = get_text(body, "displayName")
    store = Store(readable_id(display_name, new_id(), new_id()), call.now, display_name)
    store.embedding_model = get_text(body, "embeddingModel") or store.embedding_model
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
    if store.documents and call.query.get("force", "").lower() != "true":
        raise errors.precondition("Cannot delete non-empty FileSearchStore.")
    del call.project.resources(Store)[store.id]
    return {}


async def start_document(call: Call) -> Response:
    """Start the upload of a document, or continue one."""
    if "upload_id" in call.query:
        return await uploads.continue_session(call)
    store = _store(call, "UploadToFileSearchStoreRequest")
    metadata = uploads.read_metadata(await call.request.body())
    custom = _custom_metadata(metadata)
    declared = uploads.read_declared(call.request, metadata)
    _check_size(declared.size or 0)
    display_name = get_text(metadata, "displayName") or call.request.headers.get("x-goog-upload-file-name")
    project = call.project

    def complete(done: Upload) -> Result:
        _check_size(done.received)
        document = _add(project, store, done.display_name, done.mime_type, bytes(done.content), done.received)
        document.custom_metadata = custom
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
    _check_size(file.size)
    # The service names the document after the file's id, not after its display name.
    document = _add(call.project, store, file.id, file.mime_type, file.content, file.size, imported=True)
    document.custom_metadata = _custom_metadata(body)
    return document.operation(call.now)


def _custom_metadata(body: dict[str, Any]) -> list[Any]:
    custom = get_objects(body, "customMetadata")
    if len(custom) > MAX_METADATA:
        raise errors.invalid(f"* Document.custom_metadata: must have at most {MAX_METADATA} elements.\n")
    return custom


def _check_size(size: int) -> None:
    if size > MAX_DOCUMENT_BYTES:
        raise errors.too_large(size, MAX_DOCUMENT_BYTES)


def _add(
    project: Project,
    store: Store,
    name: str | None,
    mime_type: str,
    content: bytes,
    size: int,
    *,
    imported: bool = False,
) -> Document:
    now = project.clock.now()
    document_id = readable_id(name, new_id(), new_id())
    document = Document(
        id=document_id,
        store=store.name,
        display_name=name or document_id,
        mime_type=mime_type,
        content=content,
        size=size,
        created=now,
        ready=now + project.settings.job_seconds,
        imported=imported,
    )
    store.documents[document.id] = document
    return document


async def get_document(call: Call) -> dict[str, Any]:
    """Return one document."""
    return _document(call, "GetDocumentRequest")[1].to_json(call.now)


async def list_documents(call: Call) -> dict[str, Any]:
    """Return a page of the documents of a store."""
    return listing(call, _store(call, "ListDocumentsRequest").documents.values(), "documents", largest=_PAGE)


async def delete_document(call: Call) -> dict[str, Any]:
    """Delete a document; it has chunks, so this requires ``force``."""
    store, document = _document(call, "DeleteDocumentRequest")
    if call.query.get("force", "").lower() != "true":
        raise errors.precondition("Cannot delete non-empty Document.")
    del store.documents[document.id]
    return {}


async def get_operation(call: Call) -> dict[str, Any]:
    """Return the operation that adds a document."""
    document = _store(call, "GetOperationRequest").documents.get(call.params["operation"])
    if document is None:
        raise errors.not_found("Operation does not exist.")
    return document.operation(call.now)


async def get_media(call: Call) -> Response:
    """Return the bytes of the document with the ``mediaId`` of a search result."""
    document = _store(call, "GetMediaRequest").documents.get(call.params["media"])
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
