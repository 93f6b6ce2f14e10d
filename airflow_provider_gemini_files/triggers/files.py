"""The trigger that waits for files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.triggers.base import TriggerEvent

from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.files.events import error_event, files_event
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.state import FileWait
from airflow_provider_gemini_files.hooks.requests import FILES
from airflow_provider_gemini_files.triggers.base import LOG_EVERY, GeminiTrigger
from airflow_provider_gemini_files.triggers.poller import wait_until_ready


class GeminiFileStateTrigger(GeminiTrigger):
    """
    Wait until files are ACTIVE.

    All triggers of a connection in one triggerer share their polls. It ends with one event, read by
    :func:`~airflow_provider_gemini_files.files.events.files_of`.

    :param file_names: ``files/...``.
    :param version: of the arguments; rows of version 1 have none.
    :param delete_on_kill: of rows of version 1; ignored, because Airflow also ends a trigger that another triggerer
        has taken over, while the task still waits.
    """

    own_fields: ClassVar[tuple[str, ...]] = ("file_names",)

    def __init__(self, *, file_names: list[str], version: int = 1, delete_on_kill: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.file_names = file_names

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and log now and then for what."""
        await self.settle()
        wait = FileWait(self.file_names, self.schedule)
        waiting = asyncio.ensure_future(wait_until_ready(FILES, self.gemini_conn_id, wait, self._clock))
        try:
            files = await self._result(waiting, wait)
        except GeminiFilesError as error:
            yield TriggerEvent(error_event(error, self.resume))  # type: ignore[no-untyped-call]
            return
        finally:
            waiting.cancel()
        self.log.info("ACTIVE after %.0f s: %s", wait.schedule.waited(self._clock.now()), ", ".join(self.file_names))
        yield TriggerEvent(files_event(files, self.resume))  # type: ignore[no-untyped-call]

    async def _result(self, waiting: asyncio.Future[list[GeminiFile]], wait: FileWait) -> list[GeminiFile]:
        while True:
            done, _ = await asyncio.wait([waiting], timeout=LOG_EVERY)
            if done:
                return waiting.result()
            self.log.info(wait.describe(self._clock.now()))
