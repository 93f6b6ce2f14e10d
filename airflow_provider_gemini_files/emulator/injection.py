"""Faults that change a request on its way: resets, stalls, errors, slow and incomplete responses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Message, Receive

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.call import Call, api_key
from airflow_provider_gemini_files.emulator.faults import Fault
from airflow_provider_gemini_files.emulator.session import Upload
from airflow_provider_gemini_files.emulator.wire import close_connection, reset_connection

Respond = Callable[[Call], Awaitable[Response]]


async def with_fault(call: Call, respond: Respond, upload: Upload | None) -> Response:
    """
    Respond to a call with its fault injected; a call without a fault gets its normal response.

    :param respond: gives the normal response; never raises a ServiceError.
    :param upload: the upload session of the request, if it has one.
    :raises ServiceError: the error of the fault.
    :raises ClientDisconnect: after a reset of the connection.
    """
    fault = call.fault
    if fault is None:
        return await respond(call)

    async def inject_now() -> None:
        await inject(call, fault, upload)

    if fault.after_bytes is not None and fault.action != "cut_body":
        body = InterruptedBody(call.request.receive, fault.after_bytes, inject_now)
        call.request = Request(call.request.scope, body)
        try:
            response = await respond(call)
        finally:
            # A request can be refused before any byte is read; the fault must happen all the same.
            await body.exhaust()
    else:
        await inject_now()
        response = await respond(call)
    return await change_response(call, fault, response)


async def inject(call: Call, fault: Fault, upload: Upload | None) -> None:
    """Do what the fault does to the request; nothing if it is one that changes the response."""
    if fault.action == "stall":
        await asyncio.sleep(fault.seconds or 0)
    elif fault.action == "reset":
        await reset_connection(call.request.scope)
        raise ClientDisconnect
    elif error := fault.exception(_key(call, upload)):
        if fault.action == "terminated" and upload:
            upload.terminate()
        # A client that is still sending would see a broken pipe instead of the response.
        async for _ in Request(call.request.scope, call.request.receive).stream():
            pass
        raise error


def _key(call: Call, upload: Upload | None) -> str:
    return api_key(call.request) or (upload.project.name if upload else "")


async def change_response(call: Call, fault: Fault, response: Response) -> Response:
    """
    Return the response as the fault changes it.

    :raises ServiceError: the error that replaces the response.
    :raises ClientDisconnect: after a reset of the connection.
    """
    if fault.action == "lose_answer":
        await reset_connection(call.request.scope)
        raise ClientDisconnect
    if fault.action == "created_then_internal" and response.status_code == 200:
        raise errors.internal()
    if fault.action == "drip":
        return _drip(response, fault.seconds or 0)
    if fault.action == "cut_body":
        return _cut(call, response, fault.after_bytes or 0)
    if fault.action == "no_upload_url" and "x-goog-upload-url" in response.headers:
        del response.headers["x-goog-upload-url"]
    elif fault.action == "no_upload_status" and "x-goog-upload-status" in response.headers:
        del response.headers["x-goog-upload-status"]
    elif fault.action == "no_file" and response.status_code == 200:
        kept = {name: value for name, value in response.headers.items() if name.startswith("x-goog-")}
        return JSONResponse({}, headers=kept)
    return response


def _drip(response: Response, seconds: float) -> Response:
    """Return the response with its body in single bytes, with a pause before each."""

    async def drops() -> AsyncIterator[bytes]:
        async for chunk in _chunks(response):
            for byte in chunk:
                await asyncio.sleep(seconds)
                yield bytes((byte,))

    slow = StreamingResponse(drops(), response.status_code)
    slow.raw_headers = response.raw_headers
    return slow


def _cut(call: Call, response: Response, after_bytes: int) -> Response:
    """Return the response with a connection that ends in its body, at the latest before its last byte."""

    async def beginning() -> AsyncIterator[bytes]:
        body = b"".join([chunk async for chunk in _chunks(response)])
        yield body[: min(after_bytes, len(body) - 1)]
        await close_connection(call.request.scope)

    short = StreamingResponse(beginning(), response.status_code)
    short.raw_headers = response.raw_headers
    return short


async def _chunks(response: Response) -> AsyncIterator[bytes]:
    if not isinstance(response, StreamingResponse):
        yield bytes(response.body)
        return
    async for chunk in response.body_iterator:
        yield chunk.encode() if isinstance(chunk, str) else bytes(chunk)


class InterruptedBody:
    """
    The body of a request with a fault in it.

    :param receive: the channel of the body.
    :param after_bytes: the fault happens after so many bytes, at the latest at the end of the body.
    :param inject_now: makes the fault happen.
    """

    def __init__(self, receive: Receive, after_bytes: int, inject_now: Callable[[], Awaitable[None]]) -> None:
        self._receive = receive
        self._left = after_bytes
        self._inject_now = inject_now
        self._rest: Message | None = None
        self._injected = False

    async def exhaust(self) -> None:
        """Read until the fault has happened."""
        while not self._injected and (await self())["type"] != "http.disconnect":
            pass

    async def __call__(self) -> Message:
        """Return the next message of the body."""
        if self._rest is not None and not self._injected:
            self._injected = True
            await self._inject_now()
        if self._injected:
            rest, self._rest = self._rest, None
            return rest or await self._receive()
        message = await self._receive()
        body = message.get("body", b"")
        if message["type"] != "http.request" or (len(body) < self._left and message.get("more_body")):
            self._left -= len(body)
            return message
        self._rest = {**message, "body": body[self._left :]}
        return {"type": "http.request", "body": body[: self._left], "more_body": True}
