"""TCP relay that adds a round-trip time and resets connections on request; runs in its own process."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections import deque

_BLOCK = 1024 * 1024
#: Bytes per second that the simulated network carries at any round-trip time, which sizes the queue of bytes in flight.
_RATE = 1e9
_NO_LINGER = struct.pack("ii", 1, 0)


class Relay:
    """
    Relay to a local port that delivers each byte after half a round trip.

    :param round_trip: seconds.
    :param resets: total uploaded bytes, over all connections, at which the current connection is reset.
    """

    def __init__(self, target: int, round_trip: float, resets: list[int]) -> None:
        self._target = target
        self._delay = round_trip / 2
        self._resets = deque(sorted(resets))
        #: Uploaded bytes, including those lost in a reset.
        self.uploaded = 0

    async def serve(self) -> None:
        """Listen on a free port and print it; for each line on stdin, print the bytes uploaded since the last one."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=_BLOCK)
        print(server.sockets[0].getsockname()[1], flush=True)
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(self.uploaded, flush=True)
            self.uploaded = 0

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # TCP's handshake takes a round trip.
        await asyncio.sleep(2 * self._delay)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=_BLOCK)
        await asyncio.gather(
            self._forward(reader, up_writer, writer), self._forward(up_reader, writer, None), return_exceptions=True
        )

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter | None
    ) -> None:
        """Forward one direction; ``client`` is the client's writer for uploads, and None for downloads."""
        in_flight: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(4 + round(_RATE * self._delay / _BLOCK))
        delivery = asyncio.create_task(self._deliver(in_flight, writer))
        try:
            while data := await reader.read(_BLOCK):
                if client is not None:
                    self.uploaded += len(data)
                    if self._resets and self.uploaded >= self._resets[0]:
                        self._resets.popleft()
                        for end in (client, writer):
                            _reset(end)
                        break
                await in_flight.put((time.monotonic() + self._delay, data))
        except ConnectionError:
            pass
        await in_flight.put((0.0, b""))
        await delivery

    @staticmethod
    async def _deliver(in_flight: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                due, data = await in_flight.get()
                if not data:
                    break
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()


if __name__ == "__main__":
    port, milliseconds, *resets = sys.argv[1:]
    asyncio.run(Relay(int(port), float(milliseconds) / 1000, [int(reset) for reset in resets]).serve())
