"""The HTTP protocol of the emulator's server: uvicorn's, with the connection in reach of the application."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_SCOPE_KEY = "gemini_emulator.transport"
#: SO_LINGER on, zero seconds: closing then sends RST instead of FIN.
_NO_LINGER = struct.pack("ii", 1, 0)


class EmulatorProtocol(HttpToolsProtocol):
    """uvicorn's protocol that puts the transport into the ASGI scope, so that a fault can reset the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Send small answers at once: held back for the client's acknowledgement, each would take 40 ms."""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope[_SCOPE_KEY] = self.transport  # type: ignore[literal-required]


async def reset_connection(scope: Any) -> None:
    """Break the connection of a request with a TCP reset, dropping what was not sent yet."""
    transport: asyncio.Transport = scope[_SCOPE_KEY]
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
    # The loop closes the socket in its next rounds; until then an answer would still be written.
    while not transport.is_closing() or connection.fileno() != -1:
        await asyncio.sleep(0.001)
