"""The event of documents: from the trigger through Airflow's database to the task."""

from __future__ import annotations

import json

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.file_search.events import documents_event, documents_of_event
from airflow_provider_gemini_files.file_search.resources import Document
from airflow_provider_gemini_files.files.events import error_event, resume_of

NAMES = [f"fileSearchStores/a/documents/{number}" for number in (2, 1)]


def stored(event: dict) -> dict:
    return json.loads(json.dumps(event))


def test_names_come_back_in_their_order_with_the_past_of_the_task():
    documents = [Document(name, "ACTIVE", metadata={"a": "b"}) for name in NAMES]

    event = stored(documents_event(documents, {"rounds": 2}))

    assert documents_of_event(event) == NAMES
    assert resume_of(event) == {"rounds": 2}


def test_event_has_names_only_as_there_can_be_thousands():
    event = documents_event([Document(f"fileSearchStores/a/documents/{n}", "ACTIVE", "x" * 500) for n in range(2000)])

    assert len(json.dumps(event)) < 2000 * 50


@pytest.mark.parametrize("kind", [e.GeminiDocumentFailedError, e.GeminiStoreGoneError, e.GeminiWaitTimeoutError])
def test_error_keeps_its_class_and_its_text(kind):
    with pytest.raises(kind, match="the reason"):
        documents_of_event(stored(error_event(kind("the reason"))))


@pytest.mark.parametrize("event", [None, {}, {"documents": "fileSearchStores/a"}, {"other": 1}])
def test_event_that_cannot_be_read_is_an_error(event):
    with pytest.raises(e.GeminiFilesError):
        documents_of_event(event)
