"""The page's listings of file search stores and their documents."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support import seed

from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.file_search.metadata import TaskOwner
from airflow_provider_gemini_files.file_search.resources import FileSearchStore
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.hooks.wanted_documents import SyncSpec
from airflow_provider_gemini_files.transfer.sources import find_sources
from airflow_provider_gemini_files.ui.stores import MAX_DOCUMENTS, DocumentListing, StoreListing

pytestmark = pytest.mark.usefixtures("airflow_db")

OWNER = TaskOwner("tests", "a_dag", "sync")


@pytest.fixture
def store(emulator: GeminiEmulator, hook: GeminiFilesHook, text_file: Path) -> FileSearchStore:
    """Return a store with a document that a task keeps."""
    emulator.settings.job_seconds = 0
    created = hook.create_file_search_store("Handbook")
    sync = hook.document_sync(SyncSpec(created.name, OWNER.to_text()))
    sync.want_sources(find_sources(str(text_file)).sources, {})
    sync.advance(sync.plan())
    return hook.list_file_search_stores()[0]


def listed(hook: GeminiFilesHook, previous: StoreListing | None = None) -> StoreListing:
    return StoreListing.read(hook, time.time(), previous)


def calls(emulator: GeminiEmulator) -> list[str]:
    called = [entry["call"] for entry in emulator.journal]
    emulator.clear_journal()
    return called


def test_row_has_counts_and_the_task_that_keeps_the_documents(store, hook):
    [row] = json.loads(listed(hook).rows)

    assert row == [
        store.name, "Handbook", [1, 0, 0], 20, "gemini-embedding-001",
        round(store.created_at()), round(store.updated_at()), [["a_dag", "sync", -1, True]],
    ]  # fmt: skip


def test_documents_of_other_tools_and_deployments_are_told_from_ours(emulator, store, hook, text_file):
    elsewhere = SyncSpec(store.name, TaskOwner("staging", "b_dag", "sync", 3).to_text())
    sync = hook.document_sync(elsewhere)
    sync.want_sources(find_sources(str(text_file)).sources, {})
    sync.advance(sync.plan())
    seed(emulator.base_url, *({"name": f"{store.name}/documents/other-{number}"} for number in range(3)))
    [row] = json.loads(listed(hook).rows)

    # The owner of the most documents comes first; the order of the others does not matter.
    assert row[-1][0] is None
    assert sorted(row[-1][1:]) == [["a_dag", "sync", -1, True], ["b_dag", "sync", 3, False]]


def test_documents_are_read_only_of_stores_that_have_changed(emulator, store, hook):
    seed(emulator.base_url, {"name": "fileSearchStores/second/documents/a"}, {"name": "fileSearchStores/empty"})
    calls(emulator)
    first = listed(hook)
    assert calls(emulator).count("list_documents") == 2

    again = listed(hook, first)
    assert calls(emulator) == ["list_stores"]
    assert json.loads(again.rows) == json.loads(first.rows)

    seed(emulator.base_url, {"name": "fileSearchStores/second/documents/b"})
    listed(hook, again)
    assert calls(emulator) == ["list_stores", "list_documents"]


def test_stores_are_listed_though_the_documents_of_one_cannot_be_read(emulator, store, hook):
    emulator.faults.add("list_documents", "internal", times=2)
    failed = listed(hook)
    assert json.loads(failed.rows)[0][-1] == []

    # The next listing reads them again.
    assert json.loads(listed(hook, failed).rows)[0][-1] == [["a_dag", "sync", -1, True]]


def test_documents_are_read_up_to_a_limit_and_the_others_counted(emulator, store, hook):
    seed(emulator.base_url, *({"name": f"{store.name}/documents/d{number}"} for number in range(MAX_DOCUMENTS + 30)))
    calls(emulator)
    documents = DocumentListing.read(hook, time.time(), None, store.name)

    assert len(json.loads(documents.rows)) == MAX_DOCUMENTS
    assert calls(emulator).count("list_documents") == MAX_DOCUMENTS // 20
    [now] = hook.list_file_search_stores()
    assert documents.more(now) == 31
    # The count of the store may be late.
    assert documents.more(store) == 1


def test_document_row_has_its_source_and_owner(store, hook, text_file):
    documents = DocumentListing.read(hook, time.time(), None, store.name)
    [row] = json.loads(documents.rows)

    [document] = hook.list_documents(store.name)
    assert row == [
        document.name, "note.txt", "ACTIVE", 20, "text/plain", str(text_file), round(document.changed_at()),
        ["a_dag", "sync", -1, True],
    ]  # fmt: skip
    assert documents.more(store) == 0


def test_rows_of_many_stores_are_small(emulator, hook):
    seed(emulator.base_url, *({"name": f"fileSearchStores/a-store-of-{number:020}"} for number in range(1000)))

    assert len(listed(hook).rows) < 150_000
