"""A TCP relay that adds a round trip, and cuts connections when told to; run in a process of its own."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections import deque

_BLOCK = 1024 * 1024
#: Bytes a second that a line of any length can carry; so much more is under way on a longer one.

_RATE = 1e9
_NO_LINGER = struct.pack("ii", 1, 0)


class Relay:
    """
    Passes bytes on to a port of this machine, each after half a round trip.

    :param cuts: bytes sent up, all connections together, after which the connection in use is reset.
    """

    def __init__(self, target: int, round_trip: float, cuts: list[int]) -> None:
        self._target = target
        self._delay = round_trip / 2
        self._cuts = deque(sorted(cuts))
        #: Bytes that came up, cut ones included.
        self.up = 0

    async def serve(self) -> None:
        """Listen on a free port, print it, and answer each line of stdin with the bytes that came up since."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=_BLOCK)
        print(server.sockets[0].getsockname()[1], flush=True)
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(self.up, flush=True)
            self.up = 0

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The handshake of TCP is a round trip, too.
        await asyncio.sleep(2 * self._delay)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=_BLOCK)
        await asyncio.gather(
            self._pass_on(reader, up_writer, writer), self._pass_on(up_reader, writer, None), return_exceptions=True
        )

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter | None
    ) -> None:
        """Pass on one direction; ``client`` is the client's end where it is the way up."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(4 + round(_RATE * self._delay / _BLOCK))
        delivery = asyncio.create_task(self._deliver(under_way, writer))
        try:
            while data := await reader.read(_BLOCK):
                if client is not None:
                    self.up += len(data)
                    if self._cuts and self.up >= self._cuts[0]:
                        self._cuts.popleft()
                        for end in (client, writer):
                            _reset(end)
                        break
                await under_way.put((time.monotonic() + self._delay, data))
        except ConnectionError:
            pass
        await under_way.put((0.0, b""))
        await delivery

    @staticmethod
    async def _deliver(under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                due, data = await under_way.get()
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
    port, milliseconds, *places = sys.argv[1:]
    asyncio.run(Relay(int(port), float(milliseconds) / 1000, [int(place) for place in places]).serve())
