"""
The usage of a connection's storage, read once for all waits for free space in one event loop.

The free space that a poll shows is given out once: of forty waiting tasks where five fit, five continue.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from airflow_provider_gemini_files.common.backoff import MAX_WAIT_PAUSE
from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.storage_usage import StorageUsage
from airflow_provider_gemini_files.hooks.requests import FILES, Listing
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.triggers.connections import PatientConnection

_readers: dict[tuple[asyncio.AbstractEventLoop, str], UsageReader] = {}


@asynccontextmanager
async def usage_reader(gemini_conn_id: str, clock: Clock = SYSTEM_CLOCK) -> AsyncIterator[UsageReader]:
    """Yield the usage reader shared by all waits of this connection in this event loop (reference-counted)."""
    key = (asyncio.get_running_loop(), gemini_conn_id)
    reader = _readers.setdefault(key, UsageReader(gemini_conn_id, clock))
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

    def __init__(self, gemini_conn_id: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self.users = 0
        self._service = GeminiService(gemini_conn_id)
        self._patience = PatientConnection(self._service)
        self._clock = clock
        self._reading: asyncio.Task[StorageUsage] | None = None
        self._began = 0.0
        #: Until when the service wants no calls, by the monotonic clock.
        self._paused_until = 0.0
        self._claimed = 0

    async def read(self, max_age: float) -> StorageUsage:
        """
        Return the usage.

        :param max_age: seconds; a result that is younger, or that is under way, is shared, also if it failed. So is a
            failure for as long as the service has asked to wait.
        :raises GeminiFilesError: if it cannot be read.
        """
        now = self._clock.monotonic()
        is_due = now >= max(self._began + max_age, self._paused_until)
        if self._reading is None or (self._reading.done() and is_due):
            self._began = now
            # An empty context: what is logged here belongs to no single waiting task.
            self._reading = asyncio.get_running_loop().create_task(self._read(), context=contextvars.Context())
        # A task that is cancelled must not cancel the others' read.
        return await asyncio.shield(self._reading)

    def unclaimed(self, usage: StorageUsage) -> StorageUsage:
        """Return the usage as it will be when every task that was given free space since the read has used it."""
        return replace(usage, used_bytes=usage.used_bytes + self._claimed)

    def claim(self, needed_bytes: int) -> None:
        """Take free space from the last read, so that it is given to no other task."""
        self._claimed += needed_bytes

    async def close(self) -> None:
        """End a read that is under way, and close the connections."""
        if self._reading and not self._reading.done():
            self._reading.cancel()
        await self._service.close_async()

    async def _read(self) -> StorageUsage:
        try:
            usage = await self._usage()
        except GeminiFilesError as error:
            asked = min(error.retry_after or 0.0, MAX_WAIT_PAUSE)
            self._paused_until = self._clock.monotonic() + asked
            raise await self._patience.failed(error) from error
        self._patience.succeeded()
        self._claimed = 0
        return usage

    async def _usage(self) -> StorageUsage:
        client = await self._service.connect_async()
        listing = Listing(FILES, client.connection)
        files: list[GeminiFile] = []
        while not listing.is_done:
            files += await client.read_page(listing)
        return StorageUsage.of(files, client.connection.quota_bytes)
