"""The methods on files: create, get, list, delete, register."""

from __future__ import annotations

import mimetypes
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_gemini_files.emulator import errors, uploads
from airflow_provider_gemini_files.emulator.call import Call, api_key
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.faults import Fault
from airflow_provider_gemini_files.emulator.file import StoredFile
from airflow_provider_gemini_files.emulator.paging import listing
from airflow_provider_gemini_files.emulator.projects import Project, check_id, new_id
from airflow_provider_gemini_files.emulator.session import Result, Upload

MAX_DISPLAY_NAME = 512
REGISTERED_SECONDS = 30 * 86400
_KNOWN_KINDS = {"application", "audio", "font", "image", "message", "model", "multipart", "text", "video"}


def _metadata(data: dict[str, Any]) -> tuple[str | None, str | None, dict[str, Any]]:
    """Return the requested id, the display name, and the whole ``file`` of a create request."""
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
    """Start an upload, or continue one."""
    if "upload_id" in call.query:
        return await uploads.continue_session(call)
    project = call.project
    requested_id, display_name, metadata = _metadata(uploads.read_metadata(await call.request.body()))
    declared = uploads.read_declared(call.request, metadata)
    project.check_space(declared.size or 0, requested_id)

    def complete(done: Upload) -> Result:
        file = _store(project, done, requested_id)
        return lambda: {"file": file.to_json(project.clock.now())}

    return uploads.open_session(call, declared, display_name, complete)


def _store(project: Project, done: Upload, requested_id: str | None) -> StoredFile:
    """Store a complete upload as a file."""
    # The service's own check is as loose: a bare "jsonl" passes.
    if "/" in done.mime_type and done.mime_type.partition("/")[0] not in _KNOWN_KINDS:
        raise errors.unsupported_mime(done.mime_type)
    project.check_space(done.received, requested_id)
    now = project.clock.now()
    file = StoredFile(
        id=requested_id or new_id(),
        mime_type=done.mime_type,
        size=done.received,
        sha256=done.hasher.hexdigest(),
        created=now,
        content=project.kept_part(done.content),
        display_name=done.display_name,
        processed=now + project.settings.processing_seconds(done.mime_type, done.received),
    )
    file.apply_fault(done.fault)
    return project.add(file)


async def create(call: Call) -> dict[str, Any]:
    """Create a file of metadata only; without bytes, it has no size and no hash."""
    requested_id, display_name, metadata = _metadata(await call.json())
    call.project.check_space(0, requested_id)
    file = StoredFile(
        id=requested_id or new_id(),
        mime_type=str(metadata.get("mimeType") or metadata.get("mime_type") or "application/octet-stream"),
        size=0,
        sha256=None,
        created=call.now,
        display_name=display_name,
    )
    file.apply_fault(call.fault)
    return {"file": call.project.add(file).to_json(call.now)}


async def get(call: Call) -> dict[str, Any] | None:
    """Return one file."""
    file = call.project.find(call.params["file_id"], "GetFileRequest")
    file.apply_fault(call.fault)
    return _edited(file.to_json(call.now), call.fault)


async def list_files(call: Call) -> dict[str, Any]:
    """Return a page of the files, newest first."""
    body = listing(call, call.project.files(), "files", largest=100)
    if "files" in body:
        body["files"] = [_edited(file, call.fault) for file in body["files"]]
    return body


def _edited(file: dict[str, Any], fault: Fault | None) -> dict[str, Any] | None:
    """Return a file in a response as an ``edit_file`` fault changes it; None if the fault removes all of it."""
    if fault is None or fault.action != "edit_file":
        return file
    if fault.file_id is not None and file["name"] != f"files/{fault.file_id}":
        return file
    return None if fault.fields is None else {**file, **fault.fields}


async def delete(call: Call) -> dict[str, Any]:
    """Delete a file at once."""
    call.project.delete(call.params["file_id"])
    return {}


async def register(call: Call) -> dict[str, Any]:
    """Create files from objects in Cloud Storage, all of them or none, without checking that they exist."""
    if call.bearer and api_key(call.request):
        raise errors.overloaded_credentials()
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
        if bucket in project.settings.forbidden_buckets:
            raise errors.no_object_access(uri)
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
    Method(("register",), ("POST",), "/files:register", register),
    Method(("create",), ("POST",), "/files", create),
    Method(("list",), ("GET",), "/files", list_files),
    Method(("get",), ("GET",), "/files/{file_id}", get),
    Method(("delete",), ("DELETE",), "/files/{file_id}", delete),
]
