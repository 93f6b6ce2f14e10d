"""How a request becomes a call: named, journalled, struck by a fault, answered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.faults import Fault
from airflow_provider_gemini_files.emulator.projects import Project
from airflow_provider_gemini_files.emulator.service import Emulator
from airflow_provider_gemini_files.emulator.uploads import Upload
from airflow_provider_gemini_files.emulator.wire import capitalise, reset_connection

_log = logging.getLogger(__name__)
#: What a journal says of a request whose client never got an answer.
_NO_ANSWER = 499
#: Seconds; less in X-Server-Timeout is refused.
_SHORTEST_DEADLINE = 10


class Call:
    """
    A request of one method of the service, while it is answered.

    :param fault: what befalls it, if anything.
    """

    def __init__(self, emulator: Emulator, request: Request, fault: Fault | None = None) -> None:
        self.emulator = emulator
        self.request = request
        self.fault = fault
        self.params: dict[str, Any] = request.path_params
        self.query = request.query_params

    @property
    def now(self) -> float:
        """Return the emulator's time."""
        return self.emulator.clock.now()

    @property
    def version(self) -> str:
        """Return the API version in the path."""
        parts = self.request.url.path.split("/")
        return parts[2] if parts[1] in ("upload", "download") else parts[1]

    @property
    def bearer(self) -> str | None:
        """Return the OAuth token."""
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" and token else None

    @cached_property
    def project(self) -> Project:
        """
        Return the project of the credentials.

        :raises ApiError: when they are missing or not valid.
        """
        user_project = self.request.headers.get("x-goog-user-project")
        return self.emulator.authenticate(api_key(self.request), self.bearer, user_project)

    def authenticate(self) -> None:
        """Refuse credentials that are missing or not valid, where the project itself does not matter."""
        _ = self.project

    async def json(self) -> dict[str, Any]:
        """
        Return the body.

        :raises ApiError: 400 for anything but a JSON object; nothing at all is an empty one.
        """
        body = await self.request.body()
        try:
            data = json.loads(body) if body.strip() else {}
        except ValueError:
            raise errors.invalid("Invalid JSON payload received.") from None
        if not isinstance(data, dict):
            raise errors.invalid("Invalid JSON payload received. Expected an object.")
        return data


Handler = Callable[[Call], Awaitable[Response | dict[str, Any]]]


@dataclass(frozen=True)
class Method:
    """
    A route of the service.

    :param names: what its requests can be called, for faults and the journal.
    :param verbs: HTTP methods.
    :param path: what follows the API version.
    :param prefix: what stands before it: nothing, ``/upload`` or ``/download``.
    :param name_of: which of the names one request has; without it, all of them.
    """

    names: tuple[str, ...]
    verbs: tuple[str, ...]
    path: str
    handler: Handler
    prefix: str = ""
    name_of: Callable[[Request], tuple[str, ...]] | None = None

    async def __call__(self, request: Request) -> Response:
        """Answer a request, and write a line of it: never a key, never an upload id."""
        emulator: Emulator = request.app.state.emulator
        names = self.name_of(request) if self.name_of else self.names
        upload = emulator.uploads.get(request.query_params.get("upload_id", ""))
        fault = emulator.faults.take(names, upload.project.name if upload else api_key(request))
        entry = _entry(request, names, fault)
        emulator.journal.append(entry)
        call = Call(emulator, request, fault)
        try:
            response = await _befall(call, self.handler, fault, upload) if fault else await _plain(call, self.handler)
        except errors.ServiceError as error:
            response = error_response(error)
        except ClientDisconnect:
            response = Response(status_code=_NO_ANSWER)
        except Exception as error:
            # Left to the server, it would also break the connection, and look like a fault that nobody asked for.
            _log.exception("The emulator failed on %s %s", request.method, request.url.path)
            response = error_response(errors.failed(error))
        entry["status"] = response.status_code
        response.raw_headers = capitalise(response.raw_headers)
        return response


def api_key(request: Request) -> str | None:
    """Return the key of a request, from its header or its query."""
    return request.headers.get("x-goog-api-key") or request.query_params.get("key")


def error_response(error: errors.ServiceError) -> Response:
    """Write an error as the service does."""
    if isinstance(error, errors.ApiError):
        return JSONResponse(error.body(), error.code, error.headers, "application/json; charset=UTF-8")
    if isinstance(error, errors.RawError) and not isinstance(error.content, str | None):
        return JSONResponse(error.content, error.code)
    return Response(error.message, error.code, error.headers, "text/plain")


def _entry(request: Request, names: tuple[str, ...], fault: Fault | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"call": names[-1], "method": request.method, "path": request.url.path, "status": None}
    if command := request.headers.get("x-goog-upload-command"):
        entry |= {"command": command, "offset": request.headers.get("x-goog-upload-offset")}
    if fault:
        entry["fault"] = fault.action
    return entry


async def _plain(call: Call, handler: Handler) -> Response:
    _check_deadline(call.request)
    answer = await handler(call)
    if isinstance(answer, Response):
        return answer
    return JSONResponse(answer, media_type="application/json; charset=UTF-8")


def _check_deadline(request: Request) -> None:
    """Refuse a client that gives the service less time than it takes; uploads may set any."""
    if request.url.path.startswith("/upload/"):
        return
    given = request.headers.get("x-server-timeout", "")
    if given.replace(".", "", 1).isdigit() and float(given) < _SHORTEST_DEADLINE:
        raise errors.short_deadline(float(given))


async def _befall(call: Call, handler: Handler, fault: Fault, upload: Upload | None) -> Response:
    """Answer a call that a fault befalls."""

    async def strike() -> None:
        await _strike(call, fault, upload)

    if fault.after_bytes is not None:
        body = _InterruptedBody(call.request.receive, fault.after_bytes, strike)
        call.request = Request(call.request.scope, body)
        try:
            response = await _plain(call, handler)
        finally:
            # A refusal may come before any byte is read: the fault was promised all the same.
            await body.exhaust()
    else:
        await strike()
        response = await _plain(call, handler)
    if fault.action == "lose_answer":
        await reset_connection(call.request.scope)
        raise ClientDisconnect
    if fault.action == "no_upload_url":
        del response.headers["x-goog-upload-url"]
    elif fault.action == "no_upload_status" and "x-goog-upload-status" in response.headers:
        del response.headers["x-goog-upload-status"]
    elif fault.action == "no_file":
        kept = {name: value for name, value in response.headers.items() if name.startswith("x-goog-")}
        return JSONResponse({}, headers=kept)
    return response


async def _strike(call: Call, fault: Fault, upload: Upload | None) -> None:
    """Let what interrupts a request happen now; other faults wait for the answer."""
    if fault.action == "stall":
        await asyncio.sleep(fault.seconds or 0)
    elif fault.action == "reset":
        await reset_connection(call.request.scope)
        raise ClientDisconnect
    elif error := fault.exception():
        if fault.action == "terminated" and upload:
            upload.terminate()
        # A client that is still sending would see a broken pipe instead of the answer.
        async for _ in Request(call.request.scope, call.request.receive).stream():
            pass
        raise error


class _InterruptedBody:
    """The body of a request in which something happens after some bytes, at the latest at its end."""

    def __init__(self, receive: Receive, after_bytes: int, strike: Callable[[], Awaitable[None]]) -> None:
        self._receive = receive
        self._left = after_bytes
        self._strike = strike
        self._rest: Message | None = None
        self._struck = False

    async def exhaust(self) -> None:
        """Read on until it has happened."""
        while not self._struck and (await self())["type"] != "http.disconnect":
            pass

    async def __call__(self) -> Message:
        if self._rest is not None and not self._struck:
            self._struck = True
            await self._strike()
        if self._struck:
            rest, self._rest = self._rest, None
            return rest or await self._receive()
        message = await self._receive()
        body = message.get("body", b"")
        if message["type"] != "http.request" or (len(body) < self._left and message.get("more_body")):
            self._left -= len(body)
            return message
        self._rest = {**message, "body": body[self._left :]}
        return {"type": "http.request", "body": body[: self._left], "more_body": True}
