"""The trigger that waits for free space in a project's storage."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.triggers.base import TriggerEvent

from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.files.events import error_event, usage_event
from airflow_provider_gemini_files.files.free_space import FreeSpaceWait
from airflow_provider_gemini_files.files.storage_usage import StorageUsage
from airflow_provider_gemini_files.triggers.base import LOG_EVERY, GeminiTrigger
from airflow_provider_gemini_files.triggers.usage_reader import UsageReader, usage_reader


class GeminiStorageCapacityTrigger(GeminiTrigger):
    """
    Wait until a project's storage has free space.

    All triggers of a connection in one triggerer share their polls, and the free space of a poll is given out once. It
    ends with one event, read by :func:`~airflow_provider_gemini_files.files.events.usage_of`.

    :param needed_bytes: bytes that have to be free.
    :param version: of the arguments; rows of version 1 have none.
    """

    own_fields: ClassVar[tuple[str, ...]] = ("needed_bytes",)

    def __init__(self, *, needed_bytes: int, version: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.needed_bytes = needed_bytes

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and log now and then for what."""
        await self.settle()
        wait = FreeSpaceWait(self.needed_bytes, self.schedule)
        async with usage_reader(self.gemini_conn_id, self._clock) as reader:
            try:
                usage = await self._enough(reader, wait)
            except GeminiFilesError as error:
                yield TriggerEvent(error_event(error, self.resume))  # type: ignore[no-untyped-call]
                return
        self.log.info("Enough free space after %.0f s: %s", wait.schedule.waited(self._clock.now()), usage)
        yield TriggerEvent(usage_event(usage, self.resume))  # type: ignore[no-untyped-call]

    async def _enough(self, reader: UsageReader, wait: FreeSpaceWait) -> StorageUsage:
        logged = 0.0
        while True:
            usage: StorageUsage | None = None
            try:
                usage = await reader.read(wait.schedule.interval(self._clock.now()) / 2)
                seen: StorageUsage | GeminiFilesError = reader.unclaimed(usage)
            except GeminiFilesError as error:
                seen = error
            now = self._clock.now()
            wait.see(wait.name, seen, now)
            if wait.check(now) and usage:
                reader.claim(self.needed_bytes)
                return usage
            if now - logged >= LOG_EVERY:
                logged = now
                self.log.info(wait.describe(now))
            # Spread out, so that tasks which were deferred together do not poll together.
            await self._clock.sleep_async(wait.next_poll(now, self._clock.uniform(0.75, 1.0)) - now)
