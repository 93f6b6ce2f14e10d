"""The trigger that waits for room in a project's storage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.files.room import RoomWait, room_event
from airflow_provider_gemini_files.files.state import failed_event
from airflow_provider_gemini_files.files.usage import StorageUsage
from airflow_provider_gemini_files.triggers.files import SETTLE_SECONDS
from airflow_provider_gemini_files.triggers.usage import UsageReader, usage_reader

#: The trigger ends a wait by itself at its deadline; Airflow's own timeout comes after it, as a net.
_NET_SECONDS = 60
#: Seconds between two lines in the log.
_SAY_EVERY = 60.0


class GeminiStorageCapacityTrigger(BaseTrigger):
    """
    Wait until a project's storage has room; it only looks, so it can be run again by another triggerer at any time.

    All triggers of a connection in one triggerer share their looks, and a look's room is given out once. It ends with
    one event, read by :func:`~airflow_provider_gemini_files.files.room.usage_of_event`.

    :param gemini_conn_id: a connection of type ``gemini``.
    :param needed_bytes: what has to be free.
    :param began: when the wait began, in seconds since the epoch; a restart grants no new time.
    :param deadline: when the wait fails, in seconds since the epoch.
    :param not_before: when to look first, in seconds since the epoch.
    :param poll_interval: seconds between two looks, the least; it grows with the time waited.
    :param max_poll_interval: seconds between two looks, the most.
    """

    def __init__(
        self,
        *,
        gemini_conn_id: str,
        needed_bytes: int,
        began: float,
        deadline: float,
        not_before: float = 0.0,
        poll_interval: float = 5,
        max_poll_interval: float = 30,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.gemini_conn_id = gemini_conn_id
        self.needed_bytes = needed_bytes
        self.began = began
        self.deadline = deadline
        self.not_before = not_before
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval

    def deferral(self, method_name: str = "execute_complete", **kept: Any) -> dict[str, Any]:
        """
        Return the arguments with which an operator defers itself.

        :param kept: what the operator's method is given back, beside the event.
        """
        self.not_before = max(self.not_before, time.time() + SETTLE_SECONDS)
        return {
            "trigger": self,
            "method_name": method_name,
            "kwargs": kept,
            "timeout": timedelta(seconds=max(self.deadline - time.time(), 0) + _NET_SECONDS),
        }

    def wait(self) -> RoomWait:
        """Return the wait, for whoever does it: the trigger, or a worker."""
        return RoomWait(
            self.needed_bytes,
            began=self.began,
            deadline=self.deadline,
            poll_interval=self.poll_interval,
            max_poll_interval=self.max_poll_interval,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments; the key is not among them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "gemini_conn_id": self.gemini_conn_id,
                "needed_bytes": self.needed_bytes,
                "began": self.began,
                "deadline": self.deadline,
                "not_before": self.not_before,
                "poll_interval": self.poll_interval,
                "max_poll_interval": self.max_poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and say now and then for what."""
        wait = self.wait()
        await asyncio.sleep(max(min(self.not_before, self.deadline) - time.time(), 0))
        async with usage_reader(self.gemini_conn_id) as reader:
            try:
                usage = await self._room(reader, wait)
            except GeminiFilesError as error:
                yield TriggerEvent(failed_event(error))  # type: ignore[no-untyped-call]
                return
        self.log.info("There is room after %.0f s: %s", time.time() - self.began, usage)
        yield TriggerEvent(room_event(usage))  # type: ignore[no-untyped-call]

    async def _room(self, reader: UsageReader, wait: RoomWait) -> StorageUsage:
        said = 0.0
        while True:
            usage: StorageUsage | None = None
            try:
                usage = await reader.read(wait.interval(time.time()) / 2)
                seen: StorageUsage | GeminiFilesError = reader.unclaimed(usage)
            except GeminiFilesError as error:
                seen = error
            now = time.time()
            if wait.see(seen, now) and usage:
                reader.claim(self.needed_bytes)
                return usage
            if now - said >= _SAY_EVERY:
                said = now
                self.log.info(wait.describe(now))
            await asyncio.sleep(wait.pause(now))
