"""The methods on files: create, get, list, delete, register, download."""

from __future__ import annotations

import mimetypes
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_gemini_files.emulator import errors, uploads
from airflow_provider_gemini_files.emulator.dispatch import Call, Method
from airflow_provider_gemini_files.emulator.file import StoredFile
from airflow_provider_gemini_files.emulator.paging import listing
from airflow_provider_gemini_files.emulator.projects import Project, check_id, new_id

MAX_DISPLAY_NAME = 512
REGISTERED_SECONDS = 30 * 86400
_KNOWN_KINDS = {"application", "audio", "font", "image", "message", "model", "multipart", "text", "video"}


def _metadata(data: dict[str, Any]) -> tuple[str | None, str | None, dict[str, Any]]:
    """
    Read the ``file`` of a create request.

    :return: the id asked for, the display name, and all of it.
    """
    metadata = data.get("file", {})
    if not isinstance(metadata, dict):
        raise errors.invalid('Invalid value at "file".')
    requested_id = str(metadata.get("name") or "").removeprefix("files/") or None
    if requested_id:
        check_id(requested_id, "CreateFileRequest", "file.name")
    display_name = metadata.get("displayName", metadata.get("display_name"))
    if display_name is not None and len(str(display_name)) > MAX_DISPLAY_NAME:
        raise errors.invalid("* CreateFileRequest.file.display_name: cannot be more than 512 characters.\n")
    return requested_id, None if display_name is None else str(display_name), metadata


async def upload(call: Call) -> Response:
    """Start an upload, or go on with one."""
    if "upload_id" in call.query:
        return await uploads.proceed(call)
    project = call.project
    requested_id, display_name, metadata = _metadata(uploads.read_metadata(await call.request.body()))
    told = uploads.declared(call.request, metadata)
    project.check_room(told.size or 0, requested_id)

    def complete(done: uploads.Upload) -> uploads.Answer:
        file = _store(project, done, requested_id)
        return lambda: {"file": file.to_json(project.clock.now())}

    return uploads.open_session(call, told, display_name, complete)


def _store(project: Project, done: uploads.Upload, requested_id: str | None) -> StoredFile:
    """Turn a complete upload into a file."""
    # The service's own check is as loose: a bare "jsonl" passes.
    if "/" in done.mime_type and done.mime_type.partition("/")[0] not in _KNOWN_KINDS:
        raise errors.unsupported_mime(done.mime_type)
    project.check_room(done.received, requested_id)
    now = project.clock.now()
    file = StoredFile(
        id=requested_id or new_id(),
        mime_type=done.mime_type,
        size=done.received,
        sha256=done.hasher.hexdigest(),
        created=now,
        content=project.keep(done.content),
        display_name=done.display_name,
        processed=now + project.settings.processing_seconds(done.mime_type, done.received),
    )
    file.spoil(done.fault)
    return project.add(file)


async def create(call: Call) -> dict[str, Any]:
    """Make a file of metadata only; there are no bytes, so it has neither size nor hash."""
    requested_id, display_name, metadata = _metadata(await call.json())
    call.project.check_room(0, requested_id)
    file = StoredFile(
        id=requested_id or new_id(),
        mime_type=str(metadata.get("mimeType") or metadata.get("mime_type") or "application/octet-stream"),
        size=0,
        sha256=None,
        created=call.now,
        display_name=display_name,
    )
    file.spoil(call.fault)
    return {"file": call.project.add(file).to_json(call.now)}


async def get(call: Call) -> dict[str, Any]:
    """Tell of one file."""
    file = call.project.find(call.params["file_id"], "GetFileRequest")
    file.spoil(call.fault)
    return file.to_json(call.now)


async def list_files(call: Call) -> dict[str, Any]:
    """Tell of all files, newest first, a page at a time."""
    return listing(call, call.project.files(), "files", largest=100)


async def delete(call: Call) -> dict[str, Any]:
    """Remove a file at once."""
    call.project.delete(call.params["file_id"])
    return {}


async def download(call: Call) -> Response:
    """Give the bytes of a file that the service made; those of an upload are never given back."""
    file = call.project.find(call.params["file_id"], "DownloadFileRequest")
    if file.source != "GENERATED":
        raise errors.no_download(file.id)
    if call.query.get("alt") != "media":
        raise errors.invalid("Downloads need alt=media.")
    return Response(file.content, media_type=file.mime_type)


async def register(call: Call) -> dict[str, Any]:
    """Make files of objects in Cloud Storage, which is never asked whether they exist."""
    project = call.project
    if not call.bearer:
        raise errors.unauthenticated()
    uris = (await call.json()).get("uris")
    if not isinstance(uris, list) or not uris:
        raise errors.invalid("* RegisterFilesRequest.uris: uris is not specified\n")
    for uri in uris:
        bucket, _, name = str(uri).removeprefix("gs://").partition("/")
        if not str(uri).startswith("gs://") or not bucket or not name:
            raise errors.invalid(f"* RegisterFilesRequest.uris: {uri} is not a Cloud Storage URI.\n")
    return {"files": [project.add(_registered(uri, call.now)).to_json(call.now) for uri in uris]}


def _registered(uri: str, now: float) -> StoredFile:
    return StoredFile(
        id=new_id(),
        mime_type=mimetypes.guess_type(uri)[0] or "application/octet-stream",
        size=0,
        sha256=None,
        created=now,
        lifetime=REGISTERED_SECONDS,
        source="REGISTERED",
        uri=uri,
    )


def _upload_names(request: Request) -> tuple[str, ...]:
    return uploads.upload_names(request) if "upload_id" in request.query_params else ("start",)


METHODS = [
    Method(
        ("start", "upload", "finalize", "query", "cancel"),
        ("POST", "PUT"),
        "/files",
        upload,
        prefix="/upload",
        name_of=_upload_names,
    ),
    Method(("download",), ("GET",), "/files/{file_id}:download", download, prefix="/download"),
    Method(("download",), ("GET",), "/files/{file_id}:download", download),
    Method(("register",), ("POST",), "/files:register", register),
    Method(("create",), ("POST",), "/files", create),
    Method(("list",), ("GET",), "/files", list_files),
    Method(("get",), ("GET",), "/files/{file_id}", get),
    Method(("delete",), ("DELETE",), "/files/{file_id}", delete),
]
