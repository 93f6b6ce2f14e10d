"""The upload of a document: resumed as that of a file, within an attempt and over attempts of a task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import API_KEY, FakeClock, logged_by, numbered_lines
from transfer_store import AirflowFernet
from transfer_store import Store as TaskStore

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.stores import Document, Store
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.transfer.document_upload import NewDocument, UploadedDocument
from airflow_provider_gemini_files.transfer.source import bytes_source
from airflow_provider_gemini_files.transfer.sources import find_source

MIB = 1024**2
FIELDS = {"displayName": "large.txt", "customMetadata": [{"key": "team", "stringValue": "ops"}]}


@pytest.fixture
def hook(emulator: GeminiEmulator) -> GeminiFilesHook:
    return GeminiFilesHook(clock=FakeClock(emulator))


@pytest.fixture
def into(emulator: GeminiEmulator, hook: GeminiFilesHook) -> str:
    emulator.settings.granularity = MIB
    name = hook.create_file_search_store("Handbook").name
    emulator.clear_journal()
    return name


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return a file of 10 MiB in which no two blocks are equal."""
    path = tmp_path / "large.txt"
    path.write_bytes(numbered_lines(10 * MIB))
    return path


def upload(hook: GeminiFilesHook, into: str, path: Path, store: Any = None, **fields: Any) -> UploadedDocument:
    document = NewDocument(find_source(path), "text/plain", {**FIELDS, **fields})
    return hook.uploads.upload_document(into, document, store=store)


def stored(emulator: GeminiEmulator) -> list[Document]:
    [store] = emulator.emulator.projects[API_KEY].resources(Store).values()
    return list(store.documents.values())


def sends(emulator: GeminiEmulator) -> list[tuple[str, str | None]]:
    return [(entry["call"], entry.get("offset")) for entry in emulator.journal]


class TestOneAttempt:
    def test_document_has_the_bytes_the_type_and_the_fields(self, emulator, hook, into, text_file):
        uploaded = upload(hook, into, text_file, displayName="note.txt", chunkingConfig={})

        [document] = stored(emulator)
        operation = document.operation(emulator.clock.now())["name"]
        assert uploaded == UploadedDocument(document.name, text_file.stat().st_size, operation)
        assert document.content == text_file.read_bytes()
        assert (document.display_name, document.mime_type) == ("note.txt", "text/plain")
        assert document.metadata() == {"team": "ops"}
        assert sends(emulator) == [("start_document", None), ("finalize", "0")]

    def test_fields_are_not_wrapped_as_those_of_a_file_are(self, emulator, hook, into, text_file):
        upload(hook, into, text_file)

        assert emulator.journal[0]["body"] == {**FIELDS, "mimeType": "text/plain"}

    def test_upload_resumes_after_a_dropped_connection(self, emulator, hook, into, large):
        emulator.faults.add("upload", "reset", after_bytes=6 * MIB + 5)

        upload(hook, into, large)

        [document] = stored(emulator)
        assert document.size == 10 * MIB
        assert sends(emulator)[1:] == [("finalize", "0"), ("query", None), ("finalize", str(6 * MIB))]

    @pytest.mark.parametrize("action", ["lose_answer", "overloaded", "rate_limit", "no_upload_status"])
    def test_failure_at_the_end_makes_no_second_document(self, emulator, hook, into, text_file, action):
        emulator.faults.add("finalize", action)

        uploaded = upload(hook, into, text_file)

        assert [document.name for document in stored(emulator)] == [uploaded.name]

    def test_response_without_a_document_is_asked_for_again(self, emulator, hook, into, text_file):
        emulator.faults.add("finalize", "no_file")

        uploaded = upload(hook, into, text_file)

        assert sends(emulator)[2:] == [("query", None)]
        assert [document.name for document in stored(emulator)] == [uploaded.name]

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ({"name": "o", "done": True, "error": {"code": 13, "message": "Failed to count tokens."}}, ": Failed to"),
            ({"name": "o", "error": "no room"}, ": no room"),
            ({"name": "o", "response": {"documentName": None}}, r"\."),
        ],
    )
    def test_reason_is_told_if_no_document_was_made(self, emulator, hook, into, text_file, body, told):
        final = {"x-goog-upload-status": "final"}
        emulator.faults.add("finalize", "status", status=200, body=body, headers=final)
        emulator.faults.add("query", "status", status=200, body=body, headers=final, times=None)

        with pytest.raises(e.GeminiServiceError, match=f"named no document{told}"):
            upload(hook, into, text_file)

    def test_error_that_a_gateway_hands_on_as_a_success_is_told(self, emulator, hook, into, text_file):
        error = {"code": 429, "message": "Too many documents.", "status": "RESOURCE_EXHAUSTED"}
        emulator.faults.add("start_document", "status", status=200, body={"error": error}, times=None)

        with pytest.raises(e.GeminiRateLimitError, match="Too many documents"):
            upload(hook, into, text_file)

    def test_lost_start_opens_another_session_and_makes_one_document(self, emulator, hook, into, text_file):
        emulator.faults.add("start_document", "lose_answer")

        upload(hook, into, text_file)

        assert len(stored(emulator)) == 1

    def test_full_stores_end_the_upload_at_once(self, emulator, hook, into, text_file):
        emulator.faults.add("finalize", "store_full")

        with pytest.raises(e.GeminiStorageFullError, match="Documents do not expire"):
            upload(hook, into, text_file)

        assert sends(emulator) == [("start_document", None), ("finalize", "0")]

    def test_missing_store_ends_the_upload_at_once(self, emulator, hook, text_file):
        with pytest.raises(e.GeminiPermanentError, match="FileSearchStore gone"):
            upload(hook, "fileSearchStores/gone", text_file)

        assert len(emulator.journal) == 1

    def test_host_that_removes_the_header_of_the_session_is_named(self, emulator, hook, into, text_file):
        emulator.faults.add("start_document", "no_upload_url", times=None)

        with pytest.raises(e.GeminiServiceError, match="does a proxy or gateway remove response headers"):
            upload(hook, into, text_file)

    @pytest.mark.parametrize(("told", "size"), [("3", 3), (None, 20), ("many", 20)])
    def test_size_that_the_service_has_received_is_returned(
        self, emulator, hook, into, text_file, monkeypatch, told, size
    ):
        operation = Document.operation

        def with_other_size(document: Document, now: float) -> dict[str, Any]:
            body = operation(document, now)
            response = {key: value for key, value in body["response"].items() if key != "sizeBytes"}
            return {**body, "response": response | ({} if told is None else {"sizeBytes": told})}

        monkeypatch.setattr(Document, "operation", with_other_size)

        assert upload(hook, into, text_file).size_bytes == size

    def test_address_of_the_session_is_not_logged(self, hook, into, text_file, mocker):
        info = mocker.spy(hook.log, "info")

        upload(hook, into, text_file)

        assert not [line for line in logged_by(info) if "upload_id" in line]


class TestNextAttempt:
    @pytest.fixture
    def store(self, emulator: GeminiEmulator, into: str, large: Path, connect: Any, mocker: Any) -> TaskStore:
        """Return what a first attempt has left that broke off after 6 MiB, without retries."""
        crypto = pytest.importorskip("airflow.sdk.crypto", reason="Airflow keeps no task state before 3.3")
        mocker.patch.object(crypto, "get_fernet", autospec=True, return_value=AirflowFernet())
        connect(host=emulator.base_url, extra={"max_retries": 0})
        emulator.faults.add("upload", "reset", after_bytes=6 * MIB + 5)
        store = TaskStore()
        with pytest.raises(e.GeminiServiceError):
            upload(GeminiFilesHook(clock=FakeClock(emulator)), into, large, store)
        assert len(store.kept) == 1
        emulator.clear_journal()
        return store

    def test_only_the_rest_is_sent(self, emulator, hook, into, large, store):
        upload(hook, into, large, store)

        assert sends(emulator) == [("query", None), ("finalize", str(6 * MIB))]
        assert [document.size for document in stored(emulator)] == [10 * MIB]
        assert store.kept == {}

    def test_changed_source_is_sent_as_a_whole(self, emulator, hook, into, large, store):
        large.write_bytes(large.read_bytes()[::-1])

        upload(hook, into, large, store)

        assert sends(emulator) == [("start_document", None), ("finalize", "0")]

    def test_document_with_other_fields_is_sent_as_a_whole(self, emulator, hook, into, large, store):
        upload(hook, into, large, store, customMetadata=[])

        assert sends(emulator) == [("start_document", None), ("finalize", "0")]

    def test_session_of_one_store_is_not_used_for_another(self, emulator, hook, large, store):
        other = hook.create_file_search_store("Other").name
        emulator.clear_journal()

        uploaded = upload(hook, other, large, store)

        assert uploaded.name.startswith(f"{other}/documents/")
        assert sends(emulator) == [("start_document", None), ("finalize", "0")]

    def test_attempt_killed_after_the_last_response_makes_no_second_document(self, emulator, hook, into, large, store):
        kept = dict(store.kept)
        first = upload(hook, into, large, store)
        store.kept = kept
        emulator.clear_journal()

        assert upload(hook, into, large, store) == first
        assert sends(emulator) == [("query", None)]
        assert len(stored(emulator)) == 1

    def test_expired_session_is_replaced(self, emulator, hook, into, large, store):
        emulator.clock.advance(8 * 24 * 3600)

        upload(hook, into, large, store)

        assert [call for call, _ in sends(emulator)] == ["query", "start_document", "finalize"]

    def test_small_documents_are_not_remembered(self, hook, into):
        store = TaskStore(broken=True)
        document = NewDocument(replace(bytes_source(b"words", "a.txt")), "text/plain", FIELDS)

        assert hook.uploads.upload_document(into, document, store=store).size_bytes == 5
