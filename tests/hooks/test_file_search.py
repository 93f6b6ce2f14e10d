"""The calls for file search stores and documents against the emulator."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from support import API_KEY, FakeClock, logged_by, seed

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

JOB_SECONDS = 20


@pytest.fixture
def hook(emulator: GeminiEmulator, clock: FakeClock) -> GeminiFilesHook:
    emulator.settings.job_seconds = JOB_SECONDS
    return GeminiFilesHook(clock=clock)


@pytest.fixture
def store(emulator: GeminiEmulator, hook: GeminiFilesHook) -> str:
    name = hook.create_file_search_store("Handbook").name
    emulator.clear_journal()
    return name


def calls(emulator: GeminiEmulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def create_without_the_hook(emulator: GeminiEmulator, display_name: str = "Handbook") -> str:
    response = httpx.post(
        f"{emulator.base_url}/v1beta/fileSearchStores",
        json={"displayName": display_name},
        headers={"x-goog-api-key": API_KEY},
    )
    return str(response.json()["name"])


def before_first(client: object, call: str, action: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call something before the first request of one kind."""
    send, left = client.send, [action]

    def send_later(request):
        if request.doing.startswith(call) and left:
            left.pop()()
        return send(request)

    monkeypatch.setattr(client, "send", send_later)


class TestCreation:
    def test_store_is_created_once_with_its_embedding_model(self, emulator, hook):
        store = hook.create_file_search_store("Handbook", "gemini-embedding-2")

        assert store.embedding_model == "models/gemini-embedding-2"
        assert hook.create_file_search_store("Handbook", "models/gemini-embedding-2") == store
        assert calls(emulator).count("create_store") == 1

    def test_other_display_name_is_another_store(self, hook, store):
        assert hook.create_file_search_store("handbook").name != store

    def test_store_created_by_another_task_meanwhile_is_used_and_the_own_one_deleted(self, emulator, hook, monkeypatch):
        others: list[str] = []
        before_first(
            hook.file_search._service.files_client,
            "create",
            lambda: others.append(create_without_the_hook(emulator)),
            monkeypatch,
        )

        assert hook.create_file_search_store("Handbook").name == others[0]
        assert [store.name for store in hook.list_file_search_stores()] == others

    def test_many_tasks_at_once_end_with_one_store(self, hook, emulator):
        hooks = [GeminiFilesHook(clock=FakeClock(emulator)) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            names = {store.name for store in pool.map(lambda one: one.create_file_search_store("Handbook"), hooks)}

        assert [store.name for store in hook.list_file_search_stores()] == list(names)

    def test_own_store_that_cannot_be_deleted_after_a_race_is_not_used(self, emulator, hook, mocker, monkeypatch):
        other: list[str] = []
        service = hook.file_search._service
        before_first(
            service.files_client, "create", lambda: other.append(create_without_the_hook(emulator)), monkeypatch
        )
        warning = mocker.spy(hook.log, "warning")
        emulator.faults.add("delete_store", "internal", times=2)

        assert hook.create_file_search_store("Handbook").name == other[0]
        assert "It stays, and is not used." in logged_by(warning)[-1]

    def test_lost_answer_makes_no_second_store(self, emulator, hook):
        emulator.faults.add("create_store", "lose_answer")

        name = hook.create_file_search_store("Handbook").name

        assert [store.name for store in hook.list_file_search_stores()] == [name]

    def test_creation_that_was_not_carried_out_is_an_error(self, emulator, hook):
        emulator.faults.add("create_store", "outage")

        with pytest.raises(e.GeminiServiceError):
            hook.create_file_search_store("Handbook")

        assert hook.list_file_search_stores() == []
        assert calls(emulator).count("create_store") == 1

    def test_rate_limit_that_passes_is_not_seen(self, emulator, hook, clock):
        emulator.faults.add("create_store", "rate_limit", seconds=3)

        hook.create_file_search_store("Handbook")

        assert calls(emulator).count("create_store") == 2
        assert clock.slept == [3.0]
        assert len(hook.list_file_search_stores()) == 1

    @pytest.mark.parametrize("name", [" Handbook", "Handbook\n", "\tHandbook "])
    def test_white_space_around_a_display_name_makes_no_second_store(self, hook, store, name):
        assert hook.create_file_search_store(name).name == store

    def test_store_whose_embedding_model_is_not_told_is_used(self, emulator, hook, store):
        listed = {"fileSearchStores": [{"name": store, "displayName": "Handbook"}]}
        emulator.faults.add("list_stores", "status", status=200, body=listed)

        assert hook.create_file_search_store("Handbook", "gemini-embedding-2").name == store

    def test_new_store_that_the_list_does_not_have_yet_is_returned(self, emulator, hook, monkeypatch):
        calls_of = hook.file_search
        monkeypatch.setattr(calls_of, "list_stores", list)

        assert calls_of.create_store("Handbook").display_name == "Handbook"

    def test_other_embedding_model_is_refused_and_nothing_created(self, emulator, hook, store):
        with pytest.raises(e.GeminiInputError, match=f"exists as {store} with the embedding model"):
            hook.create_file_search_store("Handbook", "gemini-embedding-2")

        assert "create_store" not in calls(emulator)

    @pytest.mark.parametrize("name", ["", "  ", None, 1, "x" * 513, "a\0b", "a\nb", "\ud800"])
    def test_display_name_that_the_service_refuses_is_not_sent(self, emulator, hook, name):
        with pytest.raises(e.GeminiInputError, match="1 to 512 characters"):
            hook.create_file_search_store(name)

        assert emulator.journal == []


class TestLists:
    def test_all_pages_of_stores_are_read_and_the_oldest_of_a_name_is_found(self, emulator, hook):
        names = []
        for _ in range(25):
            names.append(create_without_the_hook(emulator))
            emulator.clock.advance(1)
        emulator.clear_journal()

        assert [store.name for store in hook.list_file_search_stores()] == names[::-1]
        assert calls(emulator) == ["list_stores"] * 2
        assert hook.create_file_search_store("Handbook").name == names[0]

    def test_all_pages_of_documents_are_read(self, emulator, hook):
        seed(emulator.base_url, *({"name": f"fileSearchStores/s/documents/d{n}"} for n in range(41)))

        documents = hook.list_documents("fileSearchStores/s")

        assert {document.name for document in documents} == {f"fileSearchStores/s/documents/d{n}" for n in range(41)}
        assert calls(emulator) == ["list_documents"] * 3

    def test_store_counts_its_documents(self, emulator, hook):
        seed(emulator.base_url, {"name": "fileSearchStores/s/documents/d"})

        store = hook.file_search.get_store("s")

        assert store.documents == {"active": 1, "pending": 0, "failed": 0}
        assert store.size_bytes > 0

    def test_list_that_never_ends_is_an_error(self, emulator, hook):
        seed(emulator.base_url, *({"name": f"fileSearchStores/s/documents/d{n}"} for n in range(41)))
        emulator.faults.add("list_documents", "same_page_token", times=None)

        with pytest.raises(e.GeminiServiceError, match="same page token twice"):
            hook.list_documents("s")

    @pytest.mark.parametrize("page", [{"status": "ok"}, {"items": []}, {"documents": {}}, {"documents": ""}])
    def test_page_of_a_gateway_is_no_empty_list_of_documents(self, emulator, hook, page):
        seed(emulator.base_url, {"name": "fileSearchStores/s/documents/d"})
        emulator.faults.add("list_documents", "status", status=200, body=page, times=2)

        with pytest.raises(e.GeminiServiceError, match="Cannot list fileSearchStores/s/documents"):
            hook.list_documents("s")

    def test_documents_that_cannot_be_read_are_left_out_and_reported(self, emulator, hook, mocker):
        page = {"documents": [{"name": "x"}, "y", {"name": "fileSearchStores/s/documents/d"}]}
        emulator.faults.add("list_documents", "status", status=200, body=page)
        warning = mocker.spy(hook.log, "warning")

        assert [document.name for document in hook.list_documents("s")] == ["fileSearchStores/s/documents/d"]
        assert "2 fileSearchStores/s/documents of the project cannot be read" in logged_by(warning)[0]


class TestMissing:
    @pytest.mark.parametrize(
        ("read", "what"),
        [
            (lambda hook: hook.file_search.get_store("nothing"), "fileSearchStores/nothing"),
            (lambda hook: hook.list_documents("nothing"), "fileSearchStores/nothing"),
            (lambda hook: hook.file_search.get_document("fileSearchStores/nothing/documents/d"), "documents/d"),
            (
                lambda hook: hook.delete_file_search_store("nothing", ignore_missing=False),
                "fileSearchStores/nothing",
            ),
            (
                lambda hook: hook.delete_document("fileSearchStores/nothing/documents/d", ignore_missing=False),
                "documents/d",
            ),
        ],
    )
    def test_store_that_does_not_exist_is_named(self, hook, read, what):
        with pytest.raises(e.GeminiStoreGoneError, match=f"{what} does not exist: it was deleted, or belongs to"):
            read(hook)

    def test_document_that_does_not_exist_is_named(self, hook, store):
        with pytest.raises(e.GeminiStoreGoneError, match="documents/d does not exist"):
            hook.file_search.get_document(f"{store}/documents/d")

    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_document_that_does_not_exist_is_known_by_the_words(self, emulator, hook, store, status):
        refusal = {"error": {"code": status, "message": "Documents does not exist.", "status": "INVALID_ARGUMENT"}}
        emulator.faults.add("delete_document", "status", status=status, body=refusal)
        emulator.faults.add("get_document", "status", status=status, body=refusal)

        assert hook.delete_document(f"{store}/documents/d") is False
        with pytest.raises(e.GeminiStoreGoneError, match="documents/d does not exist"):
            hook.file_search.get_document(f"{store}/documents/d")

    @pytest.mark.parametrize("status", [404, 502])
    def test_page_of_a_gateway_does_not_mean_that_a_store_is_gone(self, emulator, hook, store, status):
        emulator.faults.add("get_store", "status", status=status, body="<html>", times=2)

        with pytest.raises(e.GeminiServiceError):
            hook.file_search.get_store(store)

    def test_key_that_is_not_allowed_does_not_mean_that_a_store_is_gone(self, emulator, hook, store):
        emulator.faults.add("delete_store", "forbidden")

        with pytest.raises(e.GeminiAuthError):
            hook.delete_file_search_store(store)


class TestDeletion:
    def test_deletion_of_what_is_gone_returns_false(self, hook, store):
        assert hook.delete_file_search_store(store) is True
        assert hook.delete_file_search_store(store) is False
        assert hook.delete_document(f"{store}/documents/d") is False

    @pytest.mark.parametrize("ignore_missing", [True, False])
    def test_deletion_whose_answer_was_lost_counts(self, emulator, hook, store, ignore_missing):
        emulator.faults.add("delete_store", "lose_answer")

        assert hook.delete_file_search_store(store, ignore_missing=ignore_missing) is True

    def test_store_with_documents_is_deleted_by_force_only(self, emulator, hook):
        seed(emulator.base_url, {"name": "fileSearchStores/s/documents/d"})

        with pytest.raises(e.GeminiInputError, match="non-empty"):
            hook.delete_file_search_store("s")
        assert hook.delete_file_search_store("s", force=True) is True
        assert hook.list_file_search_stores() == []

    def test_document_is_deleted_with_its_chunks(self, emulator, hook):
        seed(emulator.base_url, {"name": "fileSearchStores/s/documents/d"})

        assert hook.delete_document("fileSearchStores/s/documents/d") is True
        assert hook.list_documents("s") == []


class TestImports:
    @pytest.fixture
    def file(self, hook: GeminiFilesHook) -> str:
        return hook.upload_bytes(b"Parcels return.", "returns.txt").name

    def test_import_returns_its_operation_which_is_no_document(self, emulator, hook, store, file):
        operation = hook.file_search.import_file(store, file, {})

        assert "/operations/" in operation
        with pytest.raises(e.GeminiInputError):
            hook.file_search.get_document(operation)
        assert hook.file_search.operation_error(operation) is None

    def test_error_of_an_operation_is_read(self, emulator, hook, store, file, clock):
        emulator.faults.add("import_file", "operation_error")
        operation = hook.file_search.import_file(store, file, {})
        assert hook.file_search.operation_error(operation) is None

        clock.advance(JOB_SECONDS)

        assert hook.file_search.operation_error(operation) == "Failed to count tokens."
        assert hook.list_documents(store) == []

    def test_error_of_an_operation_is_told_without_the_key(self, emulator, hook, store, file):
        body = {
            "name": f"{store}/operations/x",
            "done": True,
            "error": {"code": 13, "message": f"key {API_KEY} is bad"},
        }
        emulator.faults.add("get_operation", "status", status=200, body=body)
        operation = hook.file_search.import_file(store, file, {})

        assert hook.file_search.operation_error(operation) == "key *** is bad"

    def test_operation_that_does_not_exist_any_more_has_no_error(self, hook, store):
        assert hook.file_search.operation_error(f"{store}/operations/gone-1") is None
        assert hook.file_search.operation_error("fileSearchStores/gone/operations/gone-1") is None

    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_operation_that_may_not_be_seen_has_no_error(self, emulator, hook, store, status):
        message = "You do not have permission to access the Operation a or it may not exist."
        refusal = {"error": {"code": status, "message": message, "status": "PERMISSION_DENIED"}}
        emulator.faults.add("get_operation", "status", status=status, body=refusal)

        assert hook.file_search.operation_error(f"{store}/operations/a") is None

    @pytest.mark.parametrize("body", [{}, {"done": True}, {"name": None}])
    def test_import_without_an_operation_is_a_service_error(self, emulator, hook, store, file, body):
        emulator.faults.add("import_file", "status", status=200, body=body)

        with pytest.raises(e.GeminiServiceError, match="named no operation"):
            hook.file_search.import_file(store, file, {})

    def test_import_is_repeated_after_a_rate_limit(self, emulator, hook, store, file, clock):
        emulator.faults.add("import_file", "rate_limit", seconds=30)

        hook.file_search.import_file(store, file, {})

        assert clock.slept == [30.0]
        assert len(hook.list_documents(store)) == 1

    def test_lost_answer_of_an_import_is_not_repeated(self, emulator, hook, store, file):
        emulator.faults.add("import_file", "lose_answer")

        with pytest.raises(e.GeminiServiceError):
            hook.file_search.import_file(store, file, {})

        assert calls(emulator).count("import_file") == 1

    def test_missing_file_is_told_apart_from_a_missing_store(self, hook, store, file):
        with pytest.raises(e.GeminiFileGoneError, match="files/gone"):
            hook.file_search.import_file(store, "files/gone", {})
        with pytest.raises(e.GeminiStoreGoneError, match="fileSearchStores/gone"):
            hook.file_search.import_file("fileSearchStores/gone", file, {})
