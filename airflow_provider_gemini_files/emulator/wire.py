"""HTTP details of the emulator's server: reset connections, header names, the Date header."""

from __future__ import annotations

import asyncio
import socket
import struct
from email.utils import formatdate
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from airflow_provider_gemini_files.emulator.clock import Clock

_SCOPE_KEY = "gemini_emulator.transport"
#: SO_LINGER on, zero seconds: closing then sends RST instead of FIN.
_NO_LINGER = struct.pack("ii", 1, 0)


class EmulatorProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the transport in the ASGI scope, so that a fault can reset the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start a connection without Nagle's delay, which asyncio does not turn off for sockets it is given."""
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self.scope[_SCOPE_KEY] = self.transport  # type: ignore[literal-required]


class HeaderName(bytes):
    """A header name that keeps its capitals: uvicorn calls ``lower()``, and some clients need the capitals."""

    def lower(self) -> bytes:
        """Return the name unchanged."""
        return self


class DateHeader:
    """
    ASGI middleware that adds the ``Date`` header by the emulator's clock, if a response has none.

    :param app: the application.
    :param clock: the emulator's clock.
    """

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if all(bytes(name).lower() != b"date" for name, _ in headers):
                    headers.append((HeaderName(b"Date"), formatdate(self._clock.now(), usegmt=True).encode()))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_dated)


def capitalise(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers with the service's capitals, except for the length, which uvicorn itself looks up."""
    return [(name if name == b"content-length" else HeaderName(_title(name)), value) for name, value in headers]


def _title(name: bytes) -> bytes:
    return name.title().replace(b"-Url", b"-URL")


async def reset_connection(scope: Any) -> None:
    """Break the connection of a request with a TCP reset; unsent data is dropped."""
    transport: asyncio.Transport = scope[_SCOPE_KEY]
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
    await _closed(transport)


async def close_connection(scope: Any) -> None:
    """Close the connection of a request after the data so far has been sent."""
    transport: asyncio.Transport = scope[_SCOPE_KEY]
    transport.close()
    await _closed(transport)


async def _closed(transport: asyncio.Transport) -> None:
    """Wait until the event loop has closed the socket; until then, a response would still be written."""
    while transport.get_extra_info("socket").fileno() != -1:
        await asyncio.sleep(0.001)
