"""The steps of a sync against the emulator: what they cost, and what they do with everything that goes wrong."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from support import API_KEY, FakeClock, logged_by

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.stores import Document, Store
from airflow_provider_gemini_files.file_search.events import documents_event
from airflow_provider_gemini_files.file_search.metadata import Origin, to_api
from airflow_provider_gemini_files.hooks.document_sync import DocumentSync
from airflow_provider_gemini_files.hooks.file_search import FileSearchCalls
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.hooks.wanted_documents import SyncSpec, WantedDocuments
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.file_search import (
    GeminiAddDocumentsOperator,
    GeminiSyncFileSearchStoreOperator,
)
from airflow_provider_gemini_files.transfer.document_upload import UploadedDocument
from airflow_provider_gemini_files.transfer.source import Source, bytes_source
from airflow_provider_gemini_files.transfer.sources import find_source

JOB_SECONDS = 20
OWNER = "tests/a_dag/sync"
MANY = 2000


@pytest.fixture
def hook(emulator: GeminiEmulator, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> GeminiFilesHook:
    emulator.settings.job_seconds = JOB_SECONDS
    monkeypatch.setattr(GeminiOperator, "clock", clock)
    return GeminiFilesHook(clock=clock)


@pytest.fixture
def store(emulator: GeminiEmulator, hook: GeminiFilesHook) -> str:
    name = hook.create_file_search_store("Handbook").name
    emulator.clear_journal()
    return name


@pytest.fixture
def new_sync(hook: GeminiFilesHook, store: str) -> Callable[..., DocumentSync]:
    def new(*sources: Source, **options: Any) -> DocumentSync:
        sync = hook.document_sync(SyncSpec(store, OWNER, **options))
        sync.want_sources(sources)
        return sync

    return new


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    folder.mkdir()
    for name in ("a.md", "b.md", "c.md"):
        (folder / name).write_text(f"Text of {name}.")
    return folder


@pytest.fixture
def run(store: str, folder: Path, ti: Any, context: dict[str, Any]) -> Callable[..., dict[str, int]]:
    """Return a function that runs a whole sync of the folder in the worker."""
    ti.task_id = "sync"

    def run(**options: Any) -> dict[str, int]:
        arguments = {"source": str(folder), "deferrable": False, **options}
        operator = GeminiSyncFileSearchStoreOperator(task_id="sync", store=store, **arguments)
        return operator.execute(context)

    return run


def source(name: str, text: str = "words", **fields: Any) -> Source:
    return replace(bytes_source(text.encode(), name), **fields)


def stored(emulator: GeminiEmulator) -> dict[str, Document]:
    """Return the emulator's own documents."""
    [store] = emulator.emulator.projects[API_KEY].resources(Store).values()
    return store.documents


def fill(emulator: GeminiEmulator, store: str, sources: list[Source], **fields: Any) -> None:
    """Put an ACTIVE document of each source into the store, as an earlier sync would have."""
    wanted = WantedDocuments(None, None, SyncSpec(store, OWNER), None, None)
    now = emulator.clock.now()
    for number, one in enumerate(sources):
        entries = to_api(Origin(one.uri, wanted.of_source(one).fingerprint, OWNER).entries())
        given = {"created": now, "ready": now, "custom_metadata": entries, **fields}
        document = Document(f"d{number}", store, one.name, "text/plain", one.size, **given)
        stored(emulator)[document.id] = document


def calls(emulator: GeminiEmulator) -> Counter[str]:
    return Counter(entry["call"] for entry in emulator.journal)


def titles(hook: GeminiFilesHook, store: str) -> list[str]:
    return sorted(str(document.display_name) for document in hook.list_documents(store))


class TestCost:
    @pytest.fixture
    def sources(self) -> list[Source]:
        def not_read(offset: int) -> Any:
            raise AssertionError("an unchanged source was read")

        return [source(f"{number:04}.md", open=not_read) for number in range(MANY)]

    def test_2000_unchanged_documents_cost_one_list_and_no_byte(self, emulator, new_sync, store, sources):
        fill(emulator, store, sources)
        sync = new_sync(*sources)

        planned = sync.plan()

        assert planned.is_done
        assert len(planned.unchanged) == MANY
        assert set(calls(emulator)) == {"list_documents"}
        assert len(emulator.journal) <= 1 + MANY / 20

    def test_one_changed_document_of_2000_costs_one_upload_and_one_deletion(self, emulator, new_sync, store, sources):
        fill(emulator, store, sources)
        sources[7] = source("0007.md", "other words")
        sync = new_sync(*sources)

        first = sync.plan()
        names = sync.advance(first)
        emulator.clock.advance(JOB_SECONDS)
        second = sync.plan()
        sync.advance(second)

        assert (first.uploads, first.replaced, first.deletions) == (["0007.md"], {"0007.md"}, [])
        assert [one.name for one in second.deletions] == [f"{store}/documents/d7"]
        made = calls(emulator)
        assert (made["start_document"], made["finalize"], made["delete_document"]) == (1, 1, 1)
        assert sync.plan().is_done
        assert sync.documents()["0007.md"] == names[0]

    def test_waiting_for_many_documents_reads_their_list(self, emulator, hook, run, store, folder):
        for number in range(37):
            (folder / f"{number}.md").write_text("words")

        assert run()["added"] == 40

        made = calls(emulator)
        assert made["get_document"] == 0
        assert made["list_documents"] <= 2 * 8


class TestConcurrency:
    @pytest.mark.parametrize("most", [1, 4])
    def test_no_more_uploads_than_allowed_are_under_way(self, new_sync, monkeypatch, hook, most):
        lock, at_once, highest = threading.Lock(), [0], [0]
        reached = threading.Event()

        def upload(self: Any, into: str, document: Any, **_: Any) -> UploadedDocument:
            with lock:
                at_once[0] += 1
                highest[0] = max(highest[0], at_once[0])
                if at_once[0] == most:
                    reached.set()
            reached.wait(5)
            with lock:
                at_once[0] -= 1
            name = document.source.name.removesuffix(".md")
            return UploadedDocument(f"{into}/documents/{name}", document.source.size)

        monkeypatch.setattr("airflow_provider_gemini_files.hooks.uploads.UploadCalls.upload_document", upload)
        sync = new_sync(*(source(f"{number}.md") for number in range(12)), max_concurrent=most)

        assert len(sync.advance(sync.plan())) == 12
        assert highest == [most]


class TestListLag:
    @pytest.fixture
    def lag(self, hook: GeminiFilesHook, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        """Return a function after which documents are listed so many seconds late, and deleted ones as long."""

        def late(seconds: float) -> None:
            listed: list[tuple[float, Any]] = []
            calls_of = hook.file_search
            list_documents = calls_of.list_documents

            def list_late(store: str) -> Any:
                now = hook.file_search._service.clock.now()
                listed.append((now, list_documents(store)))
                return next((documents for at, documents in reversed(listed) if at <= now - seconds), [])

            monkeypatch.setattr(calls_of, "list_documents", list_late)

        return late

    def test_document_that_is_not_listed_yet_is_not_uploaded_again(self, new_sync, emulator, clock, lag):
        lag(100)
        sync = new_sync(source("a.md"))

        sync.advance(sync.plan())
        seen = []
        for _ in range(12):
            planned = sync.plan()
            seen.append((len(planned.uploads), planned.unlisted, planned.is_done))
            clock.advance(20)

        assert calls(emulator)["start_document"] == 1
        assert seen[0] == (0, 1, False)
        assert seen[-1] == (0, 0, True)

    def test_document_that_is_never_listed_is_uploaded_again(self, new_sync, emulator, clock, lag):
        lag(10_000)
        sync = new_sync(source("a.md"))
        sync.advance(sync.plan())

        clock.advance(301)

        assert sync.plan().uploads == ["a.md"]

    def test_deleted_document_that_is_still_listed_is_not_deleted_again(self, new_sync, emulator, store, hook, clock):
        fill(emulator, store, [source("gone.md")])
        before = hook.list_documents(store)
        sync = new_sync(allow_empty=True)
        sync.advance(sync.plan())
        sync._calls.list_documents = lambda _: before

        assert sync.plan().is_done
        assert sync.deleted_missing == 1


class TestComparison:
    @pytest.mark.parametrize(("compare", "uploads"), [("fingerprint", ["a.md"]), ("sha256", [])])
    def test_bytes_decide_only_if_wanted(self, emulator, new_sync, store, compare, uploads):
        first = new_sync(source("a.md", fingerprint=("a.md", "5", "monday")), compare=compare)
        first.advance(first.plan())
        emulator.clock.advance(JOB_SECONDS)

        later = new_sync(source("a.md", fingerprint=("a.md", "5", "tuesday")), compare=compare)

        assert later.plan().uploads == uploads

    def test_other_bytes_under_the_same_fingerprint_are_seen_by_sha256(self, emulator, new_sync):
        same = ("a.md", "5", "monday")
        first = new_sync(source("a.md", "words", fingerprint=same), compare="sha256")
        first.advance(first.plan())

        assert new_sync(source("a.md", "WORDS", fingerprint=same), compare="sha256").plan().uploads == ["a.md"]

    @pytest.mark.parametrize(("etag", "uploads"), [('"v1"', 0), ("", 1)])
    def test_signature_of_a_url_is_no_change_if_the_file_has_a_version(self, new_sync, clock, etag, uploads):
        def signed(signature: str) -> Source:
            fingerprint = (f"https://files.example/a.md?signature={signature}", "5", etag)
            return source("a.md", uri="https://files.example/a.md", fingerprint=fingerprint)

        sync = new_sync(signed("monday"))
        sync.advance(sync.plan())
        clock.sleep(JOB_SECONDS)

        assert len(new_sync(signed("tuesday")).plan().uploads) == uploads

    def test_source_that_cannot_be_read_for_it_keeps_its_document(self, emulator, new_sync, store):
        first = new_sync(source("a.md"), compare="sha256")
        first.advance(first.plan())
        emulator.clock.advance(JOB_SECONDS)

        def broken(offset: int) -> Any:
            raise OSError("the disk is gone")

        sync = new_sync(source("a.md", open=broken), source("b.md"), compare="sha256")
        planned = sync.plan()

        assert (planned.uploads, planned.deletions) == (["b.md"], [])
        assert isinstance(sync.failures["a.md"], e.GeminiServiceError)

    @pytest.mark.parametrize(
        "options",
        [{"custom_metadata": {"team": "ops"}}, {"display_name": "Handbook"}, {"mime_type": "text/markdown"}],
        ids=lambda options: next(iter(options)),
    )
    def test_other_way_of_indexing_replaces_the_document(self, emulator, new_sync, options):
        first = new_sync(source("a.md"))
        first.advance(first.plan())
        emulator.clock.advance(JOB_SECONDS)

        planned = new_sync(source("a.md"), **options).plan()

        assert (planned.uploads, planned.replaced) == (["a.md"], {"a.md"})


class TestRefusals:
    def test_full_store_ends_the_sync_and_the_rest_is_not_tried(self, emulator, hook, run, store):
        emulator.faults.add("start_document", "store_full", nth=2)

        with pytest.raises(
            e.GeminiStorageFullError, match="file search stores of the key's project are full"
        ) as raised:
            run(max_concurrent=1)

        assert not isinstance(raised.value, e.GeminiPermanentError)
        assert calls(emulator)["start_document"] == 2
        assert titles(hook, store) == ["a.md"]

    def test_sync_goes_on_once_a_full_store_has_free_space_again(self, emulator, hook, run, store):
        emulator.settings.store_bytes = 100
        with pytest.raises(e.GeminiStorageFullError):
            run()

        emulator.settings.store_bytes = None

        assert run()["failed"] == 0
        assert titles(hook, store) == ["a.md", "b.md", "c.md"]

    def test_rate_limit_that_passes_is_not_seen(self, emulator, run):
        emulator.faults.add("start_document", "rate_limit", times=2, seconds=3)

        assert run() == {"added": 3, "replaced": 0, "deleted": 0, "unchanged": 0, "failed": 0}

    def test_rate_limit_that_stays_fails_the_attempt_and_not_the_task(self, emulator, hook, run, store):
        emulator.faults.add("start_document", "rate_limit", nth=3, times=None, seconds=3)

        with pytest.raises(e.GeminiRateLimitError) as raised:
            run(max_concurrent=1)

        assert not isinstance(raised.value, e.GeminiPermanentError)
        assert titles(hook, store) == ["a.md", "b.md"]
        emulator.faults.clear()
        assert run() == {"added": 1, "replaced": 0, "deleted": 0, "unchanged": 2, "failed": 0}

    def test_outage_fails_the_attempt_and_not_the_task(self, emulator, run):
        emulator.faults.add("start_document", "outage", times=None)

        with pytest.raises(e.GeminiServiceError) as raised:
            run()

        assert len(raised.value.errors) == 3

    @pytest.mark.parametrize("action", ["outage", "reset", "rate_limit"])
    def test_service_that_is_down_is_not_tried_for_each_of_many_sources(self, emulator, new_sync, action):
        sync = new_sync(*(source(f"{number}.md") for number in range(100)), max_concurrent=1)
        emulator.faults.add("start_document", action, times=None)

        with pytest.raises((e.GeminiServiceError, e.GeminiRateLimitError)):
            sync.advance(sync.plan())

        assert calls(emulator)["start_document"] == 20 * 2

    def test_sources_that_cannot_be_read_do_not_keep_the_others_out(self, new_sync):
        def broken(offset: int) -> Any:
            raise OSError("the disk is gone")

        unreadable = [source(f"{number:03}.txt", open=broken) for number in range(30)]
        sync = new_sync(*unreadable, source("z.md"), max_concurrent=1, mime_type="text/plain")

        assert len(sync.advance(sync.plan())) == 1

    def test_key_that_may_not_add_documents_ends_the_sync_at_once(self, emulator, run):
        emulator.faults.add("start_document", "forbidden")

        with pytest.raises(e.GeminiAuthError):
            run(max_concurrent=1)

        assert calls(emulator)["start_document"] == 1

    def test_refused_document_fails_after_the_others_are_in(self, emulator, hook, run, store, folder, tmp_path):
        report = tmp_path / "report.jsonl"
        refusal = {"error": {"code": 400, "message": "bad chunks", "status": "INVALID_ARGUMENT"}}
        emulator.faults.add("start_document", "status", status=400, body=refusal)

        with pytest.raises(e.GeminiInputError, match="bad chunks"):
            run(max_concurrent=1, report_path=str(report))

        assert titles(hook, store) == ["b.md", "c.md"]
        lines = {line["source"]: line for line in map(json.loads, report.read_text().splitlines())}
        assert lines[str(folder / "b.md")]["error"] is None
        assert "bad chunks" in lines[str(folder / "a.md")]["error"]

    def test_deletion_that_fails_is_an_error_and_the_next_sync_goes_on(self, emulator, hook, run, store, folder):
        run()
        (folder / "a.md").unlink()
        emulator.faults.add("delete_document", "internal", times=2)

        with pytest.raises(e.GeminiServiceError):
            run()

        assert run() == {"added": 0, "replaced": 0, "deleted": 1, "unchanged": 2, "failed": 0}

    def test_missing_store_is_a_permanent_error(self, run, hook, store):
        hook.delete_file_search_store(store)

        with pytest.raises(e.GeminiStoreGoneError, match=store):
            run()

    def test_store_that_is_deleted_meanwhile_is_a_permanent_error(self, run, hook, store, clock):
        clock.after(JOB_SECONDS / 2, lambda: hook.delete_file_search_store(store, force=True))

        with pytest.raises(e.GeminiStoreGoneError, match=f"{store} does not exist"):
            run()


class TestFailedDocuments:
    def test_documents_that_fail_one_after_the_other_do_not_use_up_each_others_repetitions(
        self, emulator, hook, run, store, folder, clock
    ):
        for name in "defgh":
            (folder / f"{name}.md").write_text("words")
        # Each fails at another time, so that each would begin a round of its own.
        apply_fault = Document.apply_fault

        def fail_first(document: Document, fault: Any) -> None:
            apply_fault(document, fault)
            if len(stored(emulator)) < 8:
                document.ready += 40 * len(stored(emulator))
                document.recovers = float("inf")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Document, "apply_fault", fail_first)
            clock.after(1, patch.undo)
            assert run(max_concurrent=1)["failed"] == 0

        assert calls(emulator)["start_document"] == 8 + 8
        assert len(titles(hook, store)) == 8

    def test_documents_that_failed_for_good_are_not_left_in_the_store(self, emulator, hook, run, store, folder):
        emulator.faults.add("start_document", "document_failed", times=None)

        with pytest.raises(e.GeminiDocumentFailedError):
            run()

        assert titles(hook, store) == []

    def test_former_document_stays_if_the_new_one_always_fails(self, emulator, hook, run, store, folder):
        run()
        former = {document.name for document in hook.list_documents(store)}
        (folder / "a.md").write_text("This cannot be indexed.")
        emulator.faults.add("start_document", "document_failed", times=3)

        with pytest.raises(e.GeminiDocumentFailedError, match=r"a\.md was added several times"):
            run()

        assert {document.name for document in hook.list_documents(store)} == former

    def test_document_whose_operation_failed_is_added_again(self, emulator, hook, run, store):
        emulator.faults.add("start_document", "operation_error")

        assert run()["added"] == 3
        assert titles(hook, store) == ["a.md", "b.md", "c.md"]
        assert calls(emulator)["start_document"] == 4

    def test_reason_of_a_document_whose_operation_always_fails_is_told(self, emulator, run):
        emulator.faults.add("start_document", "operation_error", times=None)

        with pytest.raises(e.GeminiDocumentFailedError, match=r"or lost it: Failed to count tokens\."):
            run()

    def test_document_that_another_sync_deletes_as_a_duplicate_is_not_missed(self, emulator, hook, run, store, clock):
        clock.after(5, lambda: stored(emulator).popitem())

        assert run()["failed"] == 0
        assert titles(hook, store) == ["a.md", "b.md", "c.md"]

    def test_document_that_is_pending_for_a_day_is_added_again(self, emulator, hook, run, store, clock):
        emulator.settings.job_seconds = 10**9
        with pytest.raises(e.GeminiWaitTimeoutError):
            run(timeout=100)
        emulator.settings.job_seconds = JOB_SECONDS

        with pytest.raises(e.GeminiWaitTimeoutError):
            run(timeout=100)
        clock.advance(24 * 3600)

        assert run(timeout=100)["added"] == 3
        assert titles(hook, store) == ["a.md", "b.md", "c.md"]

    def test_timeout_ends_the_attempt_and_the_next_one_goes_on(self, emulator, hook, run, store):
        emulator.settings.job_seconds = 500

        with pytest.raises(e.GeminiWaitTimeoutError):
            run(timeout=100)

        assert run(timeout=1000)["failed"] == 0
        assert calls(emulator)["start_document"] == 3


class TestChangingSources:
    def changing(self, path: Path, *changes: Callable[[], object]) -> Source:
        """Return a source that changes when it is sent."""
        found, left = find_source(path), list(changes)

        def open_at(offset: int) -> Any:
            stream = found.open(offset)
            if offset == 0 and opened:
                left.pop(0)() if left else None
            opened.append(offset)
            return stream

        opened: list[int] = []
        return replace(found, open=open_at)

    def test_source_that_changes_while_it_is_sent_leaves_no_document(self, emulator, hook, new_sync, store, folder):
        path = folder / "a.md"
        sync = new_sync(self.changing(path, lambda: path.write_text("TEXT of a.md.")))

        assert sync.advance(sync.plan()) == []

        assert hook.list_documents(store) == []
        assert sync.failures == {}

    def test_source_of_another_size_is_not_sent(self, emulator, new_sync, folder):
        sync = new_sync(find_source(folder / "a.md"))
        planned = sync.plan()
        (folder / "a.md").write_text("longer than before")

        sync.advance(planned)

        assert calls(emulator)["start_document"] == 0
        assert sync.failures == {}

    @pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("short")])
    def test_source_that_shrinks_or_goes_while_it_is_sent_fails_the_attempt_and_not_the_task(
        self, hook, new_sync, store, folder, change
    ):
        path = folder / "a.md"
        sync = new_sync(self.changing(path, lambda: change(path)))
        sync.advance(sync.plan())
        sync.give_up([str(path)])

        assert isinstance(sync.failures[str(path)], e.GeminiIntegrityError)
        assert hook.list_documents(store) == []

    def test_document_of_another_size_is_deleted(self, emulator, hook, new_sync, store, monkeypatch):
        operation = Document.operation

        def wrong(document: Document, now: float) -> dict[str, Any]:
            told = operation(document, now)
            return {**told, "response": {**told["response"], "sizeBytes": "4"}}

        monkeypatch.setattr(Document, "operation", wrong)
        sync = new_sync(source("a.md"))

        assert sync.advance(sync.plan()) == []
        assert hook.list_documents(store) == []


class TestOlderViews:
    """Two syncs of one task at once, of which one has looked at the sources before they changed."""

    @pytest.fixture
    def in_step(self, clock) -> Callable[[DocumentSync], DocumentSync]:
        def in_step(sync: DocumentSync) -> DocumentSync:
            while not (planned := sync.plan()).is_done:
                sync.advance(planned)
                clock.sleep(JOB_SECONDS)
            return sync

        return in_step

    @pytest.mark.parametrize("change", ["changed", "new"])
    def test_document_of_a_newer_state_stays(self, emulator, hook, new_sync, in_step, store, folder, clock, change):
        in_step(new_sync(find_source(folder / "a.md")))
        older = new_sync(find_source(folder / "a.md"))
        clock.sleep(10)
        path = folder / {"changed": "a.md", "new": "b.md"}[change]
        path.write_text("This is newer.")
        newer = in_step(new_sync(*(find_source(folder / name) for name in {"a.md", path.name})))
        emulator.clear_journal()

        in_step(older)

        assert set(calls(emulator)) == {"list_documents"}
        assert newer.plan().is_done
        assert len(newer.documents()) == len(hook.list_documents(store))
        assert older.documents() == {str(folder / "a.md"): newer.documents()[str(folder / "a.md")]}


class TestWrongDocuments:
    @pytest.fixture
    def cut(self, emulator, monkeypatch) -> None:
        """Let the service lose a part of the first document, and refuse to delete it."""
        operation = Document.operation

        def wrong(document: Document, now: float) -> dict[str, Any]:
            if document.id == next(iter(stored(emulator))):
                document.size = 4
            told = operation(document, now)
            return {**told, "response": {**told["response"], "sizeBytes": str(document.size)}}

        monkeypatch.setattr(Document, "operation", wrong)
        emulator.faults.add("delete_document", "forbidden", times=1)

    @pytest.mark.usefixtures("cut")
    def test_one_that_could_not_be_deleted_is_replaced(self, hook, run, store):
        assert run(max_concurrent=1)["failed"] == 0

        assert [document.size_bytes for document in hook.list_documents(store)] == [13, 13, 13]

    @pytest.mark.usefixtures("cut")
    def test_next_sync_replaces_it_after_a_kill(self, hook, new_sync, run, store, folder, clock):
        new_sync(find_source(folder / "a.md")).advance(new_sync(find_source(folder / "a.md")).plan())
        clock.sleep(JOB_SECONDS)
        assert [document.size_bytes for document in hook.list_documents(store)] == [4]
        sync = new_sync(find_source(folder / "a.md"))

        planned = sync.plan()

        assert (planned.uploads, len(planned.deletions)) == ([str(folder / "a.md")], 1)

    def test_source_that_changes_back_is_not_believed_to_be_what_was_sent(self, emulator, new_sync, folder, clock):
        path = folder / "a.md"
        sync = new_sync(find_source(path), compare="sha256")
        path.write_text("TEXT of a.md.")

        assert sync.advance(sync.plan()) == []
        assert len(sync.advance(sync.plan())) == 1

        path.write_text("Text of a.md.")
        assert new_sync(find_source(path), compare="sha256").plan().uploads == [str(path)]

    def test_source_that_has_changed_meanwhile_is_added_as_it_is_now(self, hook, new_sync, store, folder):
        path = folder / "a.md"
        sync = new_sync(find_source(path))
        path.write_text("longer than before")

        sync.advance(sync.plan())
        sync.advance(sync.plan())

        assert [document.size_bytes for document in hook.list_documents(store)] == [18]


class TestUnusableSources:
    def test_one_file_does_not_stop_the_others(self, hook, run, store, folder):
        run()
        (folder / "a.md").write_text("changed")
        with (folder / "b.md").open("wb") as file:
            file.truncate(3 * 1024**3)

        with pytest.raises(e.GeminiInputError, match="at most 2"):
            run()

        sizes = {document.display_name: document.size_bytes for document in hook.list_documents(store)}
        assert sizes == {"a.md": 7, "b.md": 13, "c.md": 13}

    def test_file_that_vanishes_while_it_is_found_does_not_stop_the_others(self, run, folder, mocker):
        real = os.path.isfile

        def vanishing(path: str) -> bool:
            found = real(path)
            if path == str(folder / "b.md"):
                os.unlink(path)
            return found

        mocker.patch("os.path.isfile", vanishing)

        with pytest.raises(e.GeminiInputError, match=r"b\.md"):
            run()

        mocker.stopall()
        assert run() == {"added": 0, "replaced": 0, "deleted": 0, "unchanged": 2, "failed": 0}

    def test_only_unusable_files_are_not_no_files(self, store, folder, context):
        for path in folder.iterdir():
            with path.open("wb") as file:
                file.truncate(3 * 1024**3)

        with pytest.raises(e.GeminiInputError, match="at most 2"):
            GeminiAddDocumentsOperator(task_id="add", store=store, source=str(folder)).execute(context)

    def test_same_file_twice_is_one_document(self, run, hook, store, folder):
        assert run(source=[str(folder), str(folder / "a.md")])["added"] == 3


class TestEmptySources:
    def test_empty_source_of_an_empty_store_is_in_step(self, run, folder):
        for path in folder.iterdir():
            path.unlink()

        assert set(run().values()) == {0}

    def test_source_that_has_nothing_deletes_nothing(self, hook, run, store, folder):
        run()
        for path in folder.iterdir():
            path.unlink()

        with pytest.raises(e.GeminiInputError, match="3 documents of it, which would all be deleted"):
            run()

        assert len(titles(hook, store)) == 3

    @pytest.mark.parametrize("pattern", ["", "/", "/*", "/*.txt", "/**/*.txt", "/**"])
    def test_part_of_a_source_that_has_nothing_deletes_nothing(self, hook, run, store, folder, tmp_path, pattern):
        part = tmp_path / "forms"
        part.mkdir()
        form = part / "form.txt"
        form.write_text("a form")
        source = [str(folder), f"{part}{pattern}"]
        run(source=source)
        form.unlink()

        with pytest.raises(e.GeminiInputError, match=r"forms.* is empty, but .* has 1 documents of it"):
            run(source=source)

        assert len(titles(hook, store)) == 4
        assert run(source=source, allow_empty=True)["deleted"] == 1

    @pytest.mark.parametrize("limit", [0, 1, "1"])
    def test_more_deletions_than_allowed_change_nothing(self, emulator, hook, run, store, folder, limit):
        run()
        (folder / "a.md").unlink()
        (folder / "b.md").unlink()
        (folder / "d.md").write_text("new")

        with pytest.raises(e.GeminiInputError, match=r"2 documents .* would be deleted .* such as .*[ab]\.md, but max"):
            run(max_deletions=limit)

        assert titles(hook, store) == ["a.md", "b.md", "c.md"]
        assert run(max_deletions=2) == {"added": 1, "replaced": 0, "deleted": 2, "unchanged": 1, "failed": 0}

    def test_former_documents_of_changed_sources_are_no_deletions_of_missing_ones(self, run, folder):
        run()
        for path in folder.iterdir():
            path.write_text("changed")

        assert run(max_deletions=0)["replaced"] == 3

    def test_other_part_of_a_source_may_be_empty(self, run, folder, tmp_path):
        (tmp_path / "forms").mkdir()
        source = [str(folder), str(tmp_path / "forms"), str(folder / "*.pdf")]
        run(source=source)
        (folder / "a.md").unlink()

        assert run(source=source)["deleted"] == 1

    def test_source_that_has_nothing_deletes_all_if_that_is_allowed(self, hook, run, store, folder):
        run()
        for path in folder.iterdir():
            path.unlink()

        assert run(allow_empty=True) == {"added": 0, "replaced": 0, "deleted": 3, "unchanged": 0, "failed": 0}
        assert titles(hook, store) == []

    def test_directory_that_does_not_exist_is_an_error_in_any_case(self, run, folder):
        with pytest.raises(e.GeminiInputError, match="does not exist on this worker"):
            run(source=str(folder / "mistyped"), allow_empty=True)

    def test_nothing_to_add_is_an_error(self, store, folder, context):
        for path in folder.iterdir():
            path.unlink()

        with pytest.raises(e.GeminiInputError, match="No file matches"):
            GeminiAddDocumentsOperator(task_id="add", store=store, source=str(folder)).execute(context)


class TestDryRun:
    def test_source_that_cannot_be_a_document_is_counted_as_failed_only(self, emulator, run, folder):
        run()
        (folder / "a.md").write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(100))
        (folder / "d.md").write_text("new")
        (folder / "b.md").write_text("changed")
        (folder / "c.md").unlink()
        emulator.clear_journal()

        counts = run(dry_run=True)

        assert counts == {"added": 1, "replaced": 1, "deleted": 1, "unchanged": 0, "failed": 1}
        assert set(calls(emulator)) == {"list_documents"}

    def test_failed_documents_do_not_count_as_deleted(self, emulator, run, store, folder, clock):
        fill(emulator, store, [find_source(folder / "a.md")], recovers=float("inf"))
        for document in stored(emulator).values():
            document.custom_metadata[2]["stringValue"] = OWNER
        clock.advance(400)

        assert run(dry_run=True) == {"added": 3, "replaced": 0, "deleted": 0, "unchanged": 0, "failed": 0}


class TestDeferral:
    def deferred(self, operator: Any, context: dict[str, Any]) -> TaskDeferred:
        with pytest.raises(TaskDeferred) as raised:
            operator.execute(context)
        return raised.value

    @pytest.fixture
    def operator(self, store, folder) -> GeminiSyncFileSearchStoreOperator:
        return GeminiSyncFileSearchStoreOperator(task_id="sync", store=store, source=str(folder), deferrable=True)

    def test_document_that_is_not_listed_after_the_deferral_is_not_added_again(
        self, emulator, hook, operator, store, context, clock, mocker
    ):
        names = self.deferred(operator, context).trigger.document_names
        clock.sleep(JOB_SECONDS)
        mocker.patch.object(FileSearchCalls, "list_documents", autospec=True, return_value=[])
        event = documents_event([hook.file_search.get_document(name) for name in names])

        counts = operator.execute_complete(context, event)

        assert (counts["failed"], calls(emulator)["start_document"]) == (0, 3)

    def test_trigger_has_a_bounded_number_of_names(self, operator, folder, context):
        for number in range(250):
            (folder / f"{number}.md").write_text("words")

        assert len(self.deferred(operator, context).trigger.document_names) == 200


class TestImportedFiles:
    @pytest.fixture
    def add(self, hook: GeminiFilesHook, store: str, context: dict[str, Any]) -> Callable[..., list[str]]:
        files = [hook.upload_bytes(b"Parcels return.", "returns.txt").name for _ in range(2)]

        def run(**options: Any) -> list[str]:
            operator = GeminiAddDocumentsOperator(
                task_id="add", store=store, file_name=files, deferrable=False, **options
            )
            return operator.execute(context)

        return run

    def test_files_are_imported_once(self, emulator, hook, store, add):
        assert sorted(add()) == sorted(document.name for document in hook.list_documents(store))
        assert calls(emulator)["import_file"] == 2

    def test_error_of_the_operation_is_the_reason_of_the_failure(self, emulator, hook, store, add):
        emulator.faults.add("import_file", "operation_error", nth=2, times=None)

        with pytest.raises(e.GeminiDocumentFailedError, match=r"cannot be added to .*: Failed to count tokens\. \["):
            add()

        assert len(hook.list_documents(store)) == 1
        assert calls(emulator)["import_file"] == 1 + 3

    def test_file_whose_operation_failed_is_added_again(self, emulator, hook, store, add):
        emulator.faults.add("import_file", "operation_error")

        assert len(add()) == 2
        assert calls(emulator)["import_file"] == 3

    def test_lost_answer_of_an_import_makes_no_second_document(self, emulator, hook, store, add):
        emulator.faults.add("import_file", "lose_answer")

        assert len(add()) == 2
        assert len(hook.list_documents(store)) == 2


class TestAccounting:
    def test_replacement_that_fails_is_not_counted_as_one(self, emulator, run, folder, ti):
        run()
        (folder / "a.md").write_text("changed")
        (folder / "d.md").write_text("new")
        refusal = {"error": {"code": 400, "message": "bad chunks", "status": "INVALID_ARGUMENT"}}
        emulator.faults.add("start_document", "status", status=400, body=refusal)

        with pytest.raises(e.GeminiInputError, match="bad chunks"):
            run(max_concurrent=1)

        assert ti.pushed["counts"] == {"added": 1, "replaced": 0, "deleted": 0, "unchanged": 2, "failed": 1}

    def test_sync_that_is_given_up_tells_what_was_done(self, emulator, run, folder, ti, tmp_path):
        report = tmp_path / "report.jsonl"
        run(source=str(folder / "a.md"))
        emulator.faults.add("start_document", "store_full", times=None)

        with pytest.raises(e.GeminiStorageFullError):
            run(max_concurrent=1, report_path=str(report))

        assert ti.pushed["counts"]["unchanged"] == 1
        lines = {line["source"]: line for line in map(json.loads, report.read_text().splitlines())}
        assert lines[str(folder / "a.md")]["error"] is None
        assert "full" in lines[str(folder / "b.md")]["error"]
        assert lines[str(folder / "c.md")]["error"] == "It was not added."

    def test_log_names_what_was_not_added(self, emulator, new_sync, hook, mocker):
        emulator.faults.add("start_document", "store_full")
        warning = mocker.spy(hook.log, "warning")
        sync = new_sync(*(source(f"{number}.md") for number in range(3)), max_concurrent=1)

        with pytest.raises(e.GeminiStorageFullError):
            sync.advance(sync.plan())

        assert "3 of 3 sources were not added." in logged_by(warning)
