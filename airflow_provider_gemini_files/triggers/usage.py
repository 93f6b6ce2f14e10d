"""
The usage of a connection's storage, read once for all who wait for room in one event loop.

The room that a reading shows is given out once: of forty who wait where five fit, five go on.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from airflow_provider_gemini_files.files.usage import StorageUsage
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

_readers: dict[tuple[asyncio.AbstractEventLoop, str], UsageReader] = {}


@asynccontextmanager
async def usage_reader(gemini_conn_id: str) -> AsyncIterator[UsageReader]:
    """Give the reader that all share who wait over a connection in this event loop; it lives as long as one does."""
    key = (asyncio.get_running_loop(), gemini_conn_id)
    reader = _readers.setdefault(key, UsageReader(gemini_conn_id))
    reader.users += 1
    try:
        yield reader
    finally:
        reader.users -= 1
        if not reader.users:
            del _readers[key]
            await reader.close()


class UsageReader:
    """
    The usage of one connection.

    :param gemini_conn_id: a connection of type ``gemini``.
    """

    def __init__(self, gemini_conn_id: str) -> None:
        self.users = 0
        self._hook = GeminiFilesHook(gemini_conn_id)
        self._reading: asyncio.Task[StorageUsage] | None = None
        self._began = 0.0
        self._claimed = 0

    async def read(self, max_age: float) -> StorageUsage:
        """
        Return the usage.

        :param max_age: seconds; a reading that is so old, or under way, will do, also where it failed.
        :raises GeminiFilesError: where it cannot be read.
        """
        if self._reading is None or (self._reading.done() and time.monotonic() - self._began >= max_age):
            self._began = time.monotonic()
            # An empty context: what is logged here belongs to no single task of those who wait.
            self._reading = asyncio.get_running_loop().create_task(self._read(), context=contextvars.Context())
        # One who gives up must not take the others' reading with them.
        return await asyncio.shield(self._reading)

    def unclaimed(self, usage: StorageUsage) -> StorageUsage:
        """Return the usage as it will be when all who were given room since it was read have used it."""
        return replace(usage, used_bytes=usage.used_bytes + self._claimed)

    def claim(self, needed_bytes: int) -> None:
        """Take room from the last reading, so that it is given to nobody else."""
        self._claimed += needed_bytes

    async def close(self) -> None:
        """End what is under way."""
        if self._reading and not self._reading.done():
            self._reading.cancel()
        await self._hook.aclose()

    async def _read(self) -> StorageUsage:
        if "client" not in self._hook.__dict__:
            await self._hook.aconnect()
        usage = await self._hook.ausage()
        self._claimed = 0
        return usage
