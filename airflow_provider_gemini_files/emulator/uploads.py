"""The resumable upload protocol: start, upload, query, finalize, cancel."""

from __future__ import annotations

import ast
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.faults import Fault
from airflow_provider_gemini_files.emulator.file import KEPT_BYTES
from airflow_provider_gemini_files.emulator.projects import MAX_FILE_BYTES, Project

if TYPE_CHECKING:
    from airflow_provider_gemini_files.emulator.dispatch import Call

#: How long a session can be continued; the service's own figure is not published.
SESSION_SECONDS = 7 * 86400
#: How many sessions are remembered; the oldest are forgotten, as nobody asks for them any more.
MAX_SESSIONS = 10_000

Answer = Callable[[], dict[str, Any]]


@dataclass
class Upload:
    """
    A session: what of the bytes is safe, and what became of it.

    :param complete: called once with the whole upload; returns what answers from then on.
    :param status: ``active``, ``final``, ``cancelled`` or ``terminated``.
    :param content: the first bytes, for the models to look at.
    :param fault: what befalls the request that completes it.
    """

    id: str
    project: Project
    mime_type: str
    display_name: str | None
    declared_size: int | None
    expires: float
    complete: Callable[[Upload], Answer]
    received: int = 0
    hasher: Any = field(default_factory=hashlib.sha256)
    content: bytearray = field(default_factory=bytearray)
    status: str = "active"
    answer: Answer | None = None
    rejection: errors.ServiceError | None = None
    intake: Intake | None = None
    fault: Fault | None = None

    def terminate(self) -> None:
        """End the session; nothing continues it."""
        self.status = "terminated"
        self.intake = None


class Intake:
    """
    The bytes of one request, which join the upload only when they are safe.

    A newer request takes the session over: what an older, broken one still brings is dropped.
    """

    def __init__(self, upload: Upload, granularity: int, *, keep_partial: bool) -> None:
        self._upload = upload
        self._granularity = granularity
        self._keep_partial = keep_partial
        self._received = upload.received
        self._hasher = upload.hasher.copy()
        self._content = bytearray()
        upload.intake = self

    def take(self, data: bytes) -> None:
        """Take the next bytes; at each granularity boundary they become safe, if partial chunks are kept."""
        limit = MAX_FILE_BYTES if self._upload.declared_size is None else self._upload.declared_size
        if self._received + len(data) > limit:
            self._refuse(len(data), limit)
        view = memoryview(data)
        while view:
            part = view[: self._granularity - self._received % self._granularity]
            view = view[len(part) :]
            self._hasher.update(part)
            self._received += len(part)
            room = KEPT_BYTES - len(self._upload.content) - len(self._content)
            if room > 0:
                self._content += part[:room]
            if self._keep_partial and self._received % self._granularity == 0:
                self._commit()

    def finish(self, *, last: bool) -> None:
        """End the request: its bytes are safe now, unless it is neither the last nor a whole chunk."""
        if not last and self._received % self._granularity:
            raise errors.TextError(400, f"Chunk size must be a multiple of {self._granularity} bytes.", "active")
        self._commit()
        self._upload.intake = None

    def _commit(self) -> None:
        upload = self._upload
        if upload.intake is not self:
            raise errors.TextError(409, "Another request has taken this upload over.")
        upload.received = self._received
        upload.hasher = self._hasher.copy()
        if self._content:
            upload.content += self._content
            self._content.clear()

    def _refuse(self, more: int, limit: int) -> None:
        if self._upload.declared_size is not None:
            raise errors.TextError(400, f"Upload has more than the {limit} bytes that were declared.", "active")
        self._upload.terminate()
        raise errors.too_large(self._received + more, limit)


@dataclass(frozen=True)
class Declared:
    """What a start request says of the bytes to come."""

    mime_type: str
    size: int | None


def declared(request: Request, metadata: dict[str, Any]) -> Declared:
    """
    Read what a start request declares.

    :raises TextError: 400 when it is no start of a resumable upload.
    """
    headers = request.headers
    commands = _commands(request)
    if headers.get("x-goog-upload-protocol", "").lower() != "resumable" or "start" not in commands:
        raise errors.TextError(400, "Expected X-Goog-Upload-Protocol: resumable and X-Goog-Upload-Command: start.")
    length = headers.get("x-goog-upload-header-content-length")
    if length and not length.isdigit():
        raise errors.TextError(400, f"Invalid X-Goog-Upload-Header-Content-Length: {length}")
    given = metadata.get("mimeType") or metadata.get("mime_type")
    mime_type = str(headers.get("x-goog-upload-header-content-type") or given or "application/octet-stream")
    return Declared(mime_type, int(length) if length else None)


def open_session(
    call: Call, told: Declared, display_name: str | None, complete: Callable[[Upload], Answer]
) -> Response:
    """Open a session and answer with its URL, on the host the client used."""
    upload = Upload(
        id=secrets.token_urlsafe(24),
        project=call.project,
        mime_type=told.mime_type,
        display_name=display_name,
        declared_size=told.size,
        expires=call.now + SESSION_SECONDS,
        complete=complete,
    )
    sessions = call.emulator.uploads
    sessions[upload.id] = upload
    while len(sessions) > MAX_SESSIONS:
        del sessions[next(iter(sessions))]
    # A key that came in the query is in the returned URL, too: the service does that.
    url = str(call.request.url.include_query_params(upload_id=upload.id, upload_protocol="resumable"))
    headers = {
        "x-goog-upload-status": "active",
        "x-goog-upload-url": url,
        "x-goog-upload-control-url": url,
        "x-goog-upload-chunk-granularity": str(call.emulator.settings.granularity),
    }
    return Response(b"", headers=headers, media_type="text/plain")


def upload_names(request: Request) -> tuple[str, ...]:
    """Name a request to an upload URL by its command; ``upload, finalize`` is both, anything else a query."""
    commands = _commands(request)
    return tuple(name for name in ("upload", "finalize", "cancel") if name in commands) or ("query",)


async def proceed(call: Call) -> Response:
    """Take one command on a session; the id in the URL authorises it, no key does."""
    upload = call.emulator.uploads.get(call.query["upload_id"])
    if upload is None:
        raise errors.TextError(404, "Upload not found.")
    if upload.expires <= call.now and upload.status == "active":
        raise errors.TextError(410, "Upload has expired.")
    commands = _commands(call.request)
    if commands == {"query"}:
        return _report(upload)
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
    return _report(upload)


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
        upload.answer = upload.complete(upload)
    except errors.ServiceError as error:
        # A refusal at the end is final: sending again would be refused again.
        error.headers["x-goog-upload-status"] = "final"
        upload.rejection = error
        raise
    finally:
        upload.content = bytearray()


def _report(upload: Upload) -> Response:
    if upload.rejection:
        raise upload.rejection
    if upload.status == "cancelled":
        raise errors.TextError(410, "Upload was cancelled.", "cancelled")
    if upload.status == "terminated":
        raise errors.terminated()
    headers = {"x-goog-upload-status": upload.status, "x-goog-upload-size-received": str(upload.received)}
    if upload.answer is None:
        return Response(b"", headers=headers, media_type="text/plain")
    return JSONResponse(upload.answer(), headers=headers, media_type="application/json; charset=UTF-8")


def read_metadata(body: bytes) -> dict[str, Any]:
    """
    Read the body of a start request; Google's own curl sample sends single quotes, which the service takes.

    :raises ApiError: 400 for anything but an object.
    """
    text = body.decode("utf-8", "replace").strip()
    if not text:
        return {}
    try:
        data = json.loads(text)
    except ValueError:
        try:
            data = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise errors.invalid("Invalid JSON payload received.") from None
    if not isinstance(data, dict):
        raise errors.invalid("Invalid JSON payload received. Expected an object.")
    return data
