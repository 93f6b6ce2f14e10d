"""The resumable upload protocol: start, upload, query, finalize, cancel."""

from __future__ import annotations

import ast
import json
import secrets
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.clock import Clock
from airflow_provider_gemini_files.emulator.errors import UploadError
from airflow_provider_gemini_files.emulator.store import Project, Upload, check_id

MAX_DISPLAY_NAME = 512


class Uploads:
    """
    All upload sessions, by the id in their URL.

    :param granularity: bytes; every request but the last carries a multiple of it, and what a broken
        connection leaves behind is kept up to one.
    """

    def __init__(self, granularity: int, clock: Clock) -> None:
        self._granularity = granularity
        self._clock = clock
        self._uploads: dict[str, Upload] = {}

    async def start(self, request: Request, project: Project) -> Response:
        """Open a session and answer with its URL, on the host the client used."""
        headers = request.headers
        metadata = _metadata(await request.body())
        declared = headers.get("x-goog-upload-header-content-length")
        requested_id = str(metadata.get("name") or "").removeprefix("files/") or None
        if requested_id:
            check_id(requested_id, "CreateFileRequest", "file.name")
        display_name = metadata.get("displayName", metadata.get("display_name"))
        if display_name is not None and len(display_name) > MAX_DISPLAY_NAME:
            raise errors.invalid("* CreateFileRequest.file.display_name: cannot be more than 512 characters.\n")
        project.check_room(int(declared or 0), requested_id)
        upload = Upload(
            id=secrets.token_urlsafe(24),
            project=project,
            requested_id=requested_id,
            display_name=display_name,
            mime_type=headers.get("x-goog-upload-header-content-type")
            or metadata.get("mimeType")
            or "application/octet-stream",
            declared_size=int(declared) if declared else None,
        )
        self._uploads[upload.id] = upload
        url = request.url.remove_query_params("key").include_query_params(
            upload_id=upload.id, upload_protocol="resumable"
        )
        answer = {
            "x-goog-upload-status": "active",
            "x-goog-upload-url": str(url),
            "x-goog-upload-control-url": str(url),
            "x-goog-upload-chunk-granularity": str(self._granularity),
        }
        return Response(b"", headers=answer, media_type="text/plain")

    async def proceed(self, request: Request) -> Response:
        """Take one command on a session; the id in the URL authorises it, no key does."""
        upload = self._uploads.get(request.query_params["upload_id"])
        if upload is None:
            raise UploadError(404, "Upload not found.")
        commands = {part.strip() for part in request.headers.get("x-goog-upload-command", "").split(",")}
        if commands == {"query"}:
            return self._answer(upload)
        if commands == {"cancel"}:
            return self._cancel(upload)
        if not commands or not commands <= {"upload", "finalize"}:
            raise UploadError(400, f"Unknown upload command: {request.headers.get('x-goog-upload-command')}")
        if upload.status != "active":
            raise UploadError(400, "Upload has already been terminated.", upload.status)
        if "upload" in commands:
            await self._receive(upload, request, last="finalize" in commands)
        if "finalize" in commands:
            self._finalize(upload)
        return self._answer(upload)

    def _cancel(self, upload: Upload) -> Response:
        if upload.status == "final":
            raise UploadError(400, "Upload has already been terminated.", "final")
        upload.status = "cancelled"
        return Response(b"", headers={"x-goog-upload-status": "cancelled"}, media_type="text/plain")

    async def _receive(self, upload: Upload, request: Request, *, last: bool) -> None:
        offset = int(request.headers.get("x-goog-upload-offset", "-1"))
        if offset != upload.received:
            raise UploadError(400, f"Invalid offset: expected {upload.received}, got {offset}.", "active")
        before = mark = upload.keep()
        try:
            async for data in request.stream():
                mark = self._append(upload, data, mark)
        except ClientDisconnect:
            upload.rewind(mark)
            raise
        if not last and (upload.received - before[0]) % self._granularity:
            upload.rewind(before)
            raise UploadError(400, f"Chunk size must be a multiple of {self._granularity} bytes.", "active")

    def _append(self, upload: Upload, data: bytes, mark: tuple[int, Any, int]) -> tuple[int, Any, int]:
        """Take bytes, and return the mark at the last granularity boundary they reached."""
        view = memoryview(data)
        while view:
            to_boundary = self._granularity - upload.received % self._granularity
            upload.append(bytes(view[:to_boundary]))
            view = view[to_boundary:]
            if upload.received % self._granularity == 0:
                mark = upload.keep()
        return mark

    def _finalize(self, upload: Upload) -> None:
        if upload.declared_size is not None and upload.declared_size != upload.received:
            message = f"Upload has {upload.received} bytes, {upload.declared_size} were declared."
            raise UploadError(400, message, "active")
        upload.status = "final"
        upload.file = upload.project.finish(upload)

    def _answer(self, upload: Upload) -> Response:
        if upload.status == "cancelled":
            raise UploadError(410, "Upload was cancelled.", "cancelled")
        headers = {"x-goog-upload-status": upload.status, "x-goog-upload-size-received": str(upload.received)}
        if upload.file is None:
            return Response(b"", headers=headers, media_type="text/plain")
        return JSONResponse({"file": upload.file.to_json(self._clock.now())}, headers=headers)


def _metadata(body: bytes) -> dict[str, Any]:
    """Read the start request's body; Google's own curl sample sends single quotes, which the service takes."""
    text = body.decode("utf-8").strip()
    if not text:
        return {}
    try:
        data = json.loads(text)
    except ValueError:
        try:
            data = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise errors.invalid("Invalid JSON payload received.") from None
    metadata = data.get("file", {}) if isinstance(data, dict) else None
    if not isinstance(metadata, dict):
        raise errors.invalid('Invalid value at "file".')
    return metadata
