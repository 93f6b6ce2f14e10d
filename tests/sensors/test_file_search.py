"""The sensor that waits for documents, in the worker and in the triggerer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from support import API_KEY, seed

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.stores import Store
from airflow_provider_gemini_files.file_search.events import documents_event
from airflow_provider_gemini_files.file_search.resources import Document
from airflow_provider_gemini_files.files.events import error_event
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.sensors.file_search import GeminiDocumentStateSensor
from airflow_provider_gemini_files.triggers.base import SETTLE_SECONDS

STORE = "fileSearchStores/handbook"


@pytest.fixture
def documents(emulator: GeminiEmulator):
    """Return a function that adds documents, which are PENDING for some seconds, and returns their names."""

    def add(count: int, pending: float = 0, failed: float = 0) -> list[str]:
        names = [f"{STORE}/documents/d{number}" for number in range(count)]
        seed(emulator.base_url, *({"name": name} for name in names))
        [store] = emulator.emulator.projects[API_KEY].resources(Store).values()
        for document in store.documents.values():
            document.ready = document.created + pending
            document.recovers = document.ready + failed
        emulator.clear_journal()
        return names

    return add


def sensor(document: object, **arguments: object) -> GeminiDocumentStateSensor:
    return GeminiDocumentStateSensor(task_id="wait", document=document, **arguments)


def calls(emulator: GeminiEmulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


@pytest.mark.parametrize("deferrable", [True, False])
def test_active_documents_are_returned_at_once_one_for_one_and_a_list_for_a_list(documents, context, deferrable):
    [name] = documents(1)

    assert sensor(name, deferrable=deferrable).execute(context) == name
    assert sensor({"name": name}, deferrable=deferrable).execute(context) == name
    assert sensor([{"name": name}], deferrable=deferrable).execute(context) == [name]


def test_one_document_as_an_object_is_returned_as_one_name(documents, hook, context):
    [name] = documents(1)

    assert sensor(hook.file_search.get_document(name)).execute(context) == name


@pytest.mark.parametrize("deferrable", [True, False])
def test_documents_of_an_iterator_are_waited_for(documents, context, deferrable):
    names = documents(2)

    assert sensor(iter(names), deferrable=deferrable).execute(context) == names


def test_documents_are_waited_for_in_the_worker(documents, context, clock):
    names = documents(3, pending=60)

    assert sensor(names).execute(context) == names
    assert 60 <= clock.passed <= 70


def test_documents_are_waited_for_in_the_triggerer(documents, context):
    names = documents(3, pending=60)

    with pytest.raises(TaskDeferred) as deferred:
        sensor(names, deferrable=True, timeout=100, failed_grace=timedelta(seconds=50)).execute(context)

    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_provider_gemini_files.triggers.file_search.GeminiDocumentStateTrigger"
    assert (arguments["document_names"], arguments["failed_grace"]) == (names, 50)
    assert arguments["deadline"] - arguments["began"] == 100
    assert arguments["not_before"] - arguments["began"] == pytest.approx(SETTLE_SECONDS, abs=1)
    assert API_KEY not in json.dumps(arguments)
    assert deferred.value.timeout.total_seconds() == pytest.approx(160, abs=1)


def test_20_documents_are_polled_with_one_call(emulator, documents, context):
    names = documents(20, pending=60)

    assert not sensor(names).poke(context).is_done

    assert calls(emulator) == ["list_documents"]


def test_document_that_recovers_is_waited_for(documents, context, clock):
    [name] = documents(1, pending=10, failed=110)

    assert sensor(name).execute(context) == name
    assert clock.passed >= 120


def test_document_that_stays_failed_fails_the_task_after_the_grace(documents, context, clock):
    [name] = documents(1, pending=10, failed=10_000)

    waiting = sensor(name, failed_grace=100)
    waiting.__dict__["hook"] = GeminiFilesHook(clock=clock)

    with pytest.raises(e.GeminiDocumentFailedError, match=name):
        waiting.execute(context)

    assert 110 <= clock.passed <= 120


@pytest.mark.parametrize("deferrable", [True, False])
def test_gone_document_fails_at_once(documents, context, deferrable):
    documents(1)

    with pytest.raises(e.GeminiStoreGoneError, match="documents/gone does not exist"):
        sensor(f"{STORE}/documents/gone", deferrable=deferrable).execute(context)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "the list is empty"),
        (None, "not the name of a document"),
        (f"{STORE}/upload/operations/a", "not the name of a document"),
        ([f"{STORE}/documents/a", "fileSearchStores/b/documents/a"], "belong to several stores"),
    ],
)
def test_anything_but_documents_of_one_store_is_refused_before_anything_is_sent(emulator, context, document, told):
    with pytest.raises(e.GeminiInputError, match=told):
        sensor(document).execute(context)

    assert emulator.journal == []


def test_timeout_is_a_sensor_timeout_in_both_modes(documents, context):
    [name] = documents(1, pending=60)

    with pytest.raises(AirflowSensorTimeout):
        sensor(name, timeout=30).execute(context)
    with pytest.raises(AirflowSensorTimeout, match="last seen: PENDING"):
        sensor(name).execute_complete(context, error_event(e.GeminiWaitTimeoutError("last seen: PENDING")))


def test_event_of_the_trigger_gives_the_names_back(context):
    names = [f"{STORE}/documents/{name}" for name in "ba"]
    event = documents_event([Document(name, "ACTIVE") for name in names])

    assert sensor(names).execute_complete(context, event) == names
    assert sensor(names[0]).execute_complete(context, documents_event([Document(names[0], "ACTIVE")])) == names[0]


@pytest.mark.parametrize("kind", [e.GeminiDocumentFailedError, e.GeminiStoreGoneError, e.GeminiServiceError])
def test_error_of_the_trigger_keeps_its_class(context, kind):
    with pytest.raises(kind, match="reason"):
        sensor(f"{STORE}/documents/a").execute_complete(context, error_event(kind("reason")))


def test_permanent_error_skips_the_task_if_wanted(documents, context):
    documents(1)

    with pytest.raises(AirflowSkipException):
        sensor(f"{STORE}/documents/gone", soft_fail=True).execute(context)


@pytest.mark.parametrize("value", ["soon", -1, True, float("nan"), None])
def test_grace_that_is_no_duration_is_refused_when_the_dag_is_parsed(value: Any):
    with pytest.raises(e.GeminiInputError, match="failed_grace is a duration in seconds"):
        sensor(f"{STORE}/documents/a", failed_grace=value)
