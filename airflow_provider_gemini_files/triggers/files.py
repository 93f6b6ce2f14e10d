"""The trigger that waits for files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.files.state import FileWaits, failed_event, ready_event
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

#: The trigger ends a wait by itself at its deadline; Airflow's own timeout comes after it, as a net.
_NET_SECONDS = 60


class GeminiFileStateTrigger(BaseTrigger):
    """
    Wait until files are ACTIVE; it only looks, so it can be run again by another triggerer at any time.

    Ends with one event, read by :func:`~airflow_provider_gemini_files.files.state.files_of_event`.

    :param gemini_conn_id: a connection of type ``gemini``.
    :param file_names: ``files/...``.
    :param poll_interval: seconds between two looks.
    :param deadline: seconds since the epoch, so that a restart grants no new time.
    """

    def __init__(self, *, gemini_conn_id: str, file_names: list[str], poll_interval: float, deadline: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.gemini_conn_id = gemini_conn_id
        self.file_names = file_names
        self.poll_interval = poll_interval
        self.deadline = deadline

    @classmethod
    def deferral(
        cls, *, gemini_conn_id: str, file_names: list[str], poll_interval: float, seconds: float
    ) -> dict[str, Any]:
        """Return the arguments with which an operator defers itself for so many seconds at the most."""
        trigger = cls(
            gemini_conn_id=gemini_conn_id,
            file_names=file_names,
            poll_interval=poll_interval,
            deadline=time.time() + seconds,
        )
        return {
            "trigger": trigger,
            "method_name": "execute_complete",
            "timeout": timedelta(seconds=seconds + _NET_SECONDS),
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments; the key is not among them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "gemini_conn_id": self.gemini_conn_id,
                "file_names": self.file_names,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the wait is over."""
        hook = GeminiFilesHook(self.gemini_conn_id)
        waits = FileWaits(self.file_names, self.deadline)
        try:
            await hook.aconnect()
            while not await hook.alook(waits):
                self.log.info("Waiting for %s to become ACTIVE", ", ".join(waits.pending))
                await asyncio.sleep(self.poll_interval)
        except GeminiFilesError as error:
            yield TriggerEvent(failed_event(error))  # type: ignore[no-untyped-call]
            return
        finally:
            await hook.aclose()
        yield TriggerEvent(ready_event(waits.ready()))  # type: ignore[no-untyped-call]
