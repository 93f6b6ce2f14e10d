"""The trigger that waits for documents: its row in Airflow's database, its event, and what its polls cost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from stored_rows import DOCUMENTS_V2
from support import API_KEY, FakeClock, logged_by, seed

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.stores import Document, Store
from airflow_provider_gemini_files.file_search.events import documents_of_event
from airflow_provider_gemini_files.files.events import error_of, resume_of
from airflow_provider_gemini_files.triggers.base import SETTLE_SECONDS
from airflow_provider_gemini_files.triggers.file_search import GeminiDocumentStateTrigger

STORE = "fileSearchStores/handbook"
RESUME = {"version": 1, "rounds": 1}


@pytest.fixture
def clock(emulator: GeminiEmulator) -> FakeClock:
    return FakeClock(emulator)


@pytest.fixture
def documents(emulator: GeminiEmulator):
    """Return a function that adds documents which are PENDING for a minute, and returns their names."""

    def add(count: int, store: str = STORE, **fields: Any) -> list[str]:
        names = [f"{store}/documents/d{number}" for number in range(count)]
        seed(emulator.base_url, *({"name": name} for name in names))
        for document in stored(emulator, store).values():
            document.ready = document.created + 60
            for field, value in fields.items():
                setattr(document, field, value)
        emulator.clear_journal()
        return names

    return add


def stored(emulator: GeminiEmulator, store: str = STORE) -> dict[str, Document]:
    stores = emulator.emulator.projects[API_KEY].resources(Store)
    return stores[store.rpartition("/")[2]].documents


def new_trigger(clock: FakeClock, *names: str, **arguments: Any) -> GeminiDocumentStateTrigger:
    defaults = {
        "gemini_conn_id": "gemini_default",
        "document_names": list(names),
        "began": clock.now(),
        "deadline": clock.now() + 900,
    }
    return GeminiDocumentStateTrigger(**{**defaults, **arguments}, clock=clock)


def run(trigger: GeminiDocumentStateTrigger) -> dict[str, Any]:
    """Return the payload of the only event, as it comes back from the database."""

    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    [event] = asyncio.run(events())
    return json.loads(json.dumps(event))


def calls(emulator: GeminiEmulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


class TestRow:
    def test_row_is_written_as_it_was_read(self):
        path, row = GeminiDocumentStateTrigger(**DOCUMENTS_V2).serialize()

        assert path == "airflow_provider_gemini_files.triggers.file_search.GeminiDocumentStateTrigger"
        assert row == json.loads(json.dumps(row)) == DOCUMENTS_V2

    def test_row_waits_for_its_documents(self, emulator, clock, documents):
        names = documents(2)
        times = {"began": clock.now(), "deadline": clock.now() + 600, "not_before": 0.0}

        event = run(GeminiDocumentStateTrigger(**{**DOCUMENTS_V2, **times, "document_names": names}, clock=clock))

        assert documents_of_event(event) == names
        assert resume_of(event) == DOCUMENTS_V2["resume"]

    def test_key_is_not_in_the_row(self, emulator, clock):
        assert API_KEY not in json.dumps(new_trigger(clock, f"{STORE}/documents/a").serialize())


class TestDeferral:
    def test_first_poll_is_after_the_worker_has_ended_and_airflows_timeout_after_the_deadline(self, clock):
        deferral = new_trigger(clock, f"{STORE}/documents/a").deferral()

        assert deferral["method_name"] == "execute_complete"
        assert deferral["trigger"].not_before == clock.now() + SETTLE_SECONDS
        assert deferral["timeout"].total_seconds() == 960

    def test_no_poll_before_its_time(self, emulator, clock, documents):
        names = documents(1)
        seen: list[int] = []
        clock.after(39, lambda: seen.append(len(emulator.journal)))

        run(new_trigger(clock, *names, not_before=clock.now() + 40))

        assert seen == [0]


class TestEvent:
    def test_documents_are_in_the_order_asked_for(self, emulator, clock, documents):
        names = documents(3)[::-1]

        event = run(new_trigger(clock, *names, resume=RESUME))

        assert documents_of_event(event) == names
        assert resume_of(event) == RESUME

    def test_failed_document_that_recovers_is_waited_for(self, emulator, clock, documents):
        names = documents(2, recovers=emulator.clock.now() + 170)

        assert documents_of_event(run(new_trigger(clock, *names))) == names
        assert clock.passed >= 170

    def test_document_that_stays_failed_is_an_error_after_the_grace(self, emulator, clock, documents):
        names = documents(1, recovers=float("inf"))

        event = run(new_trigger(clock, *names, failed_grace=100, resume=RESUME))

        assert isinstance(error_of(event), e.GeminiDocumentFailedError)
        assert resume_of(event) == RESUME
        assert 160 <= clock.passed <= 200

    def test_gone_document_is_an_error_at_once(self, emulator, clock, documents):
        names = documents(1)

        event = run(new_trigger(clock, *names, f"{STORE}/documents/gone"))

        assert isinstance(error_of(event), e.GeminiStoreGoneError)
        assert "documents/gone" in str(error_of(event))
        assert clock.passed < 60

    def test_gone_store_is_an_error_at_once(self, emulator, clock):
        assert isinstance(error_of(run(new_trigger(clock, f"{STORE}/documents/a"))), e.GeminiStoreGoneError)

    def test_passed_deadline_is_an_error(self, emulator, clock, documents):
        error = error_of(run(new_trigger(clock, *documents(1), deadline=clock.now() + 30)))

        assert isinstance(error, e.GeminiWaitTimeoutError)
        assert str(error).startswith("Waited 30 s for ")

    def test_documents_of_several_stores_are_refused(self, clock):
        trigger = new_trigger(clock, f"{STORE}/documents/a", "fileSearchStores/b/documents/a")

        assert isinstance(error_of(run(trigger)), e.GeminiInputError)

    def test_number_of_documents_is_logged_and_not_their_names(self, emulator, clock, documents, mocker):
        trigger = new_trigger(clock, *documents(30))
        info = mocker.spy(trigger.log, "info")

        run(trigger)

        assert logged_by(info)[-1] == f"ACTIVE after {clock.passed:.0f} s: 30 documents"
        assert max(map(len, logged_by(info))) < 300


class TestPolls:
    def test_20_documents_cost_one_list_call_a_poll(self, emulator, clock, documents):
        run(new_trigger(clock, *documents(20)))

        assert set(calls(emulator)) == {"list_documents"}
        assert len(emulator.journal) <= 14

    def test_triggers_of_a_store_share_their_polls(self, emulator, clock, documents):
        names = documents(20)

        async def all_events() -> list[Any]:
            return await asyncio.gather(*(anext(new_trigger(clock, name).run()) for name in names))

        events = asyncio.run(all_events())

        assert [documents_of_event(event.payload) for event in events] == [[name] for name in names]
        assert set(calls(emulator)) == {"list_documents"}
        assert len(emulator.journal) <= 14

    def test_triggers_of_different_stores_poll_their_own(self, emulator, clock, documents):
        first, second = documents(2), documents(2, store="fileSearchStores/other")

        async def all_events() -> list[Any]:
            return await asyncio.gather(*(anext(new_trigger(clock, *names).run()) for names in (first, second)))

        assert [documents_of_event(event.payload) for event in asyncio.run(all_events())] == [first, second]

    def test_failing_service_is_waited_out(self, emulator, clock, documents):
        emulator.faults.add("list_documents", "overloaded", times=3)

        names = documents(3)

        assert documents_of_event(run(new_trigger(clock, *names))) == names


class TestEnd:
    def test_cancelled_trigger_keeps_its_documents(self, emulator, clock, documents):
        names = documents(1)

        async def work() -> set[asyncio.Task]:
            running = asyncio.ensure_future(anext(new_trigger(clock, *names).run()))
            clock.after(20, running.cancel)
            await asyncio.wait([running])
            for _ in range(100):
                await asyncio.sleep(0)
            return asyncio.all_tasks() - {asyncio.current_task()}

        assert asyncio.run(work()) == set()
        assert len(stored(emulator)) == 1
        assert "delete_document" not in calls(emulator)
