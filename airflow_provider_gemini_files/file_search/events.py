"""The events of the trigger for documents; see ``files/events.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_gemini_files.file_search.resources import Document
from airflow_provider_gemini_files.files.events import Event, error_of, event_of


def documents_event(documents: Sequence[Document], resume: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the event of documents that are ACTIVE; only their names, as there can be thousands."""
    return event_of("documents", [document.name for document in documents], resume)


def documents_of_event(event: Event | None) -> list[str]:
    """
    Return the names of the documents of an event, in the order they were asked for.

    :raises GeminiFilesError: the error that ended the wait, of its own class.
    """
    if event and isinstance(event.get("documents"), list):
        return [str(name) for name in event["documents"]]
    raise error_of(event)
