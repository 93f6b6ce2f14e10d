"""The resumable upload protocol: start, upload, query, finalize, cancel."""

from __future__ import annotations

import ast
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import parse_json
from airflow_provider_gemini_files.emulator.call import Call
from airflow_provider_gemini_files.emulator.session import Intake, Result, Upload

#: Lifetime of a session in seconds; the service publishes no figure.
SESSION_SECONDS = 7 * 86400
#: Sessions that are kept; the oldest are dropped first.
MAX_SESSIONS = 10_000


@dataclass(frozen=True)
class Declared:
    """
    Type and size of a file as its start request declares them.

    :param size: in bytes; None if the request does not declare it.
    """

    mime_type: str
    size: int | None


def read_declared(request: Request, metadata: dict[str, Any]) -> Declared:
    """
    Read the headers of a start request.

    :param metadata: the ``file`` of its body.
    :raises TextError: 400 if the request does not start a resumable upload.
    """
    headers = request.headers
    commands = _commands(request)
    if headers.get("x-goog-upload-protocol", "").lower() != "resumable" or "start" not in commands:
        raise errors.TextError(400, "Expected X-Goog-Upload-Protocol: resumable and X-Goog-Upload-Command: start.")
    length = headers.get("x-goog-upload-header-content-length")
    if length and not (length.isascii() and length.isdigit()):
        raise errors.TextError(400, f"Invalid X-Goog-Upload-Header-Content-Length: {length}")
    given = metadata.get("mimeType") or metadata.get("mime_type")
    mime_type = str(headers.get("x-goog-upload-header-content-type") or given or "application/octet-stream")
    return Declared(mime_type, int(length) if length else None)


def open_session(
    call: Call, declared: Declared, display_name: str | None, complete: Callable[[Upload], Result]
) -> Response:
    """Open a session, and return its URL on the host that the client used."""
    upload = Upload(
        id=secrets.token_urlsafe(24),
        project=call.project,
        mime_type=declared.mime_type,
        display_name=display_name,
        declared_size=declared.size,
        expires=call.now + SESSION_SECONDS,
        complete=complete,
    )
    sessions = call.emulator.uploads
    sessions[upload.id] = upload
    while len(sessions) > MAX_SESSIONS:
        del sessions[next(iter(sessions))]
    # The service also repeats a key from the query in the returned URL.
    url = str(call.request.url.include_query_params(upload_id=upload.id, upload_protocol="resumable"))
    headers = {
        "x-goog-upload-status": "active",
        "x-goog-upload-url": url,
        "x-goog-upload-control-url": url,
        "x-goog-upload-chunk-granularity": str(call.emulator.settings.granularity),
    }
    return Response(b"", headers=headers, media_type="text/plain")


def upload_names(request: Request) -> tuple[str, ...]:
    """Return the names of a request to an upload URL: two for ``upload, finalize``; a query if there is no command."""
    commands = _commands(request)
    return tuple(name for name in ("upload", "finalize", "cancel") if name in commands) or ("query",)


async def continue_session(call: Call) -> Response:
    """
    Run one command on a session; the id in the URL authorises the request, so it needs no key.

    :raises ServiceError: for an unknown or ended session, an unknown command, a wrong offset or size.
    """
    upload = call.emulator.uploads.get(call.query["upload_id"])
    if upload is None:
        raise errors.TextError(404, "Upload not found.")
    if upload.expires <= call.now and upload.status == "active":
        raise errors.TextError(410, "Upload has expired.")
    commands = _commands(call.request)
    if commands == {"query"}:
        return _status(upload)
    if commands == {"cancel"}:
        return _cancel(upload)
    if not commands or not commands <= {"upload", "finalize"}:
        raise errors.TextError(400, f"Unknown upload command: {', '.join(sorted(commands))}")
    if upload.status != "active":
        raise errors.terminated(None if upload.status == "terminated" else upload.status)
    if "upload" in commands:
        await _receive(call, upload, last="finalize" in commands)
    if "finalize" in commands:
        upload.fault = call.fault
        _finalize(upload)
    return _status(upload)


def _commands(request: Request) -> set[str]:
    given = request.headers.get("x-goog-upload-command", "").lower()
    return {part.strip() for part in given.split(",") if part.strip()}


def _cancel(upload: Upload) -> Response:
    if upload.status == "final":
        raise errors.terminated("final")
    upload.terminate()
    upload.status = "cancelled"
    return Response(b"", headers={"x-goog-upload-status": "cancelled"}, media_type="text/plain")


async def _receive(call: Call, upload: Upload, *, last: bool) -> None:
    given = call.request.headers.get("x-goog-upload-offset", "")
    if given != str(upload.received):
        message = f"Invalid offset: expected {upload.received}, got {given or 'none'}."
        raise errors.TextError(400, message, "active")
    settings = call.emulator.settings
    intake = Intake(upload, settings.granularity, keep_partial=settings.keep_partial)
    async for data in call.request.stream():
        intake.take(data)
    intake.finish(last=last)


def _finalize(upload: Upload) -> None:
    if upload.declared_size is not None and upload.declared_size != upload.received:
        message = f"Upload has {upload.received} bytes, {upload.declared_size} were declared."
        raise errors.TextError(400, message, "active")
    upload.status = "final"
    try:
        upload.result = upload.complete(upload)
    except errors.ServiceError as error:
        # A refusal at the end is final: the same bytes would be refused again.
        error.headers["x-goog-upload-status"] = "final"
        upload.rejection = error
        raise
    finally:
        upload.content = bytearray()


def _status(upload: Upload) -> Response:
    if upload.rejection:
        raise upload.rejection
    if upload.status == "cancelled":
        raise errors.TextError(410, "Upload was cancelled.", "cancelled")
    if upload.status == "terminated":
        raise errors.terminated()
    headers = {"x-goog-upload-status": upload.status, "x-goog-upload-size-received": str(upload.received)}
    if upload.result is None:
        return Response(b"", headers=headers, media_type="text/plain")
    return JSONResponse(upload.result(), headers=headers, media_type="application/json; charset=UTF-8")


def read_metadata(body: bytes) -> dict[str, Any]:
    """
    Read the body of a start request; single quotes are accepted, as Google's own curl sample sends them.

    :raises ApiError: 400 if it is not an object.
    """
    text = body.decode("utf-8", "replace").strip()
    if not text:
        return {}
    try:
        data = parse_json(text)
    except ValueError:
        try:
            data = ast.literal_eval(text)
            json.dumps(data, ensure_ascii=False).encode()
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise errors.invalid("Invalid JSON payload received.") from None
    if not isinstance(data, dict):
        raise errors.invalid("Invalid JSON payload received. Expected an object.")
    return data
