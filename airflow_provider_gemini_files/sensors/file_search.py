"""The sensor that waits for documents of a file search store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import PokeReturnValue

from airflow_provider_gemini_files.common.durations import Duration, seconds_of
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.file_search.events import documents_of_event
from airflow_provider_gemini_files.file_search.resources import (
    DocumentLike,
    is_many_documents,
    parse_documents,
    store_of,
)
from airflow_provider_gemini_files.file_search.state import FAILED_GRACE, DocumentWait
from airflow_provider_gemini_files.files.events import Event
from airflow_provider_gemini_files.links import GeminiFileSearchStoreLink
from airflow_provider_gemini_files.operators.base import lasting
from airflow_provider_gemini_files.sensors.base import GeminiSensor
from airflow_provider_gemini_files.triggers.file_search import GeminiDocumentStateTrigger


class GeminiDocumentStateSensor(GeminiSensor):
    """
    Wait until documents of one file search store are ACTIVE, and return the name, or a list of names for a list.

    A FAILED document can still become ACTIVE, so the task fails only if it stays FAILED for a while. A document that
    does not exist fails the task at once.

    :param document: a document (``fileSearchStores/.../documents/...``, or a dict with ``name``), or a list of them
        (templated).
    :param failed_grace: seconds for which a document may be FAILED.
    :param poke_interval: seconds between two polls; in the triggerer they grow to a tenth of the time waited, up to
        ``max_wait`` (30 seconds if that is None).
    :param timeout: seconds until the wait fails.
    """

    template_fields: Sequence[str] = ("document", "gemini_conn_id")
    operator_extra_links = (GeminiFileSearchStoreLink(),)

    def __init__(
        self,
        *,
        document: DocumentLike | Sequence[DocumentLike],
        failed_grace: Duration = FAILED_GRACE,
        poke_interval: Duration = 5,
        timeout: Duration = 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.document = lasting(document)
        self.failed_grace = seconds_of(failed_grace, "failed_grace")

    def new_wait(self, schedule: Schedule) -> DocumentWait:
        """Return the wait for the documents."""
        return DocumentWait(self._names(), schedule, self.failed_grace)

    def poll(self, wait: DocumentWait) -> PokeReturnValue:
        """Poll each document that is not ACTIVE yet, once."""
        is_done = self.hook.file_search.poll(store_of(self._names()), wait)
        return PokeReturnValue(is_done, self._result() if is_done else None)

    def trigger(self, **common: Any) -> GeminiDocumentStateTrigger:
        """Return the trigger that continues the wait."""
        return GeminiDocumentStateTrigger(document_names=self._names(), failed_grace=self.failed_grace, **common)

    def result_of(self, event: Event | None) -> str | list[str]:
        """Return the names of the documents of an event."""
        documents_of_event(event)
        return self._result()

    def _names(self) -> list[str]:
        return parse_documents(self.document)

    def _result(self) -> str | list[str]:
        names = self._names()
        return names if is_many_documents(self.document) else names[0]
