"""The trigger that waits for documents of a file search store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.triggers.base import TriggerEvent

from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.file_search.events import documents_event
from airflow_provider_gemini_files.file_search.resources import Document, store_of
from airflow_provider_gemini_files.file_search.state import FAILED_GRACE, DocumentWait
from airflow_provider_gemini_files.files.events import error_event
from airflow_provider_gemini_files.hooks.file_search_requests import documents_of
from airflow_provider_gemini_files.triggers.base import LOG_EVERY, GeminiTrigger
from airflow_provider_gemini_files.triggers.poller import wait_until_ready


class GeminiDocumentStateTrigger(GeminiTrigger):
    """
    Wait until documents of one store are ACTIVE.

    All triggers of a store in one triggerer share their polls. It ends with one event, read by
    :func:`~airflow_provider_gemini_files.file_search.events.documents_of_event`.

    :param document_names: ``fileSearchStores/.../documents/...``.
    :param failed_grace: seconds for which a document may be FAILED and still become ACTIVE.
    :param version: of the arguments.
    """

    own_fields: ClassVar[tuple[str, ...]] = ("document_names", "failed_grace")

    def __init__(
        self, *, document_names: list[str], failed_grace: float = FAILED_GRACE, version: int = 2, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.document_names = document_names
        self.failed_grace = failed_grace

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and log now and then for what."""
        await self.settle()
        wait = DocumentWait(self.document_names, self.schedule, self.failed_grace)
        waiting = asyncio.ensure_future(self._wait_until_ready(wait))
        try:
            documents = await self._result(waiting, wait)
        except GeminiFilesError as error:
            yield TriggerEvent(error_event(error, self.resume))  # type: ignore[no-untyped-call]
            return
        finally:
            waiting.cancel()
        self.log.info("ACTIVE after %.0f s: %d documents", wait.schedule.waited(self._clock.now()), len(documents))
        yield TriggerEvent(documents_event(documents, self.resume))  # type: ignore[no-untyped-call]

    async def _wait_until_ready(self, wait: DocumentWait) -> list[Document]:
        resource = documents_of(store_of(self.document_names))
        return await wait_until_ready(resource, self.gemini_conn_id, wait, self._clock)

    async def _result(self, waiting: asyncio.Future[list[Document]], wait: DocumentWait) -> list[Document]:
        while True:
            done, _ = await asyncio.wait([waiting], timeout=LOG_EVERY)
            if done:
                return waiting.result()
            self.log.info(wait.describe(self._clock.now()))
