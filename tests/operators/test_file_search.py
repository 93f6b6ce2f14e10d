"""The operators of file search against the emulator, on a clock that passes at once."""

from __future__ import annotations

import asyncio
import functools
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Stats, TaskDeferred
from support import FakeClock

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.file_search import (
    GeminiAddDocumentsOperator,
    GeminiCreateFileSearchStoreOperator,
    GeminiDeleteDocumentsOperator,
    GeminiDeleteFileSearchStoreOperator,
    GeminiListDocumentsOperator,
    GeminiListFileSearchStoresOperator,
    GeminiSyncFileSearchStoreOperator,
)

JOB_SECONDS = 20


@pytest.fixture
def emulator(emulator: GeminiEmulator) -> GeminiEmulator:
    emulator.settings.job_seconds = JOB_SECONDS
    return emulator


@pytest.fixture(autouse=True)
def clock(emulator: GeminiEmulator, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock(emulator)
    monkeypatch.setattr(GeminiOperator, "clock", clock)
    return clock


@pytest.fixture
def store(hook: GeminiFilesHook) -> str:
    return hook.create_file_search_store("Handbook").name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    folder.mkdir()
    for name, text in (("returns.md", "Parcels return within thirty days."), ("travel.md", "Trains before planes.")):
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def sync(store: str, folder: Path):
    def operator(**arguments: Any) -> GeminiSyncFileSearchStoreOperator:
        arguments = {"task_id": "sync", "store": store, "source": str(folder), "deferrable": False, **arguments}
        return GeminiSyncFileSearchStoreOperator(**arguments)

    return operator


def counts(**told: int) -> dict[str, int]:
    return {"added": 0, "replaced": 0, "deleted": 0, "unchanged": 0, "failed": 0, **told}


def titles(hook: GeminiFilesHook, store: str) -> list[str]:
    return sorted(str(document.display_name) for document in hook.list_documents(store))


def uploads(emulator: GeminiEmulator) -> int:
    return sum(entry["call"] == "start_document" for entry in emulator.journal)


def finished(operator: Any, context: dict[str, Any]) -> Any:
    """Run a task to its end, over all of its deferrals."""

    async def first_event(deferred: TaskDeferred) -> Any:
        async for event in deferred.trigger.run():
            return json.loads(json.dumps(event.payload))
        return None

    run = operator.execute
    while True:
        try:
            return run(context)
        except TaskDeferred as deferred:
            event = asyncio.run(first_event(deferred))
            run = functools.partial(getattr(operator, deferred.method_name), event=event)


class TestSync:
    @pytest.mark.parametrize("deferrable", [False, True])
    def test_store_holds_the_documents_of_the_source(self, hook, sync, store, folder, context, ti, deferrable):
        assert finished(sync(deferrable=deferrable), context) == counts(added=2)

        assert titles(hook, store) == ["returns.md", "travel.md"]
        documents = hook.list_documents(store)
        assert {document.state for document in documents} == {"ACTIVE"}
        assert {document.origin.source for document in documents} == {str(path) for path in folder.iterdir()}
        assert sorted(ti.pushed["documents"]) == sorted(document.name for document in documents)

    def test_sync_with_nothing_to_do_costs_one_call(self, emulator, sync, context):
        sync().execute(context)
        emulator.clear_journal()

        assert sync().execute(context) == counts(unchanged=2)

        assert [entry["call"] for entry in emulator.journal] == ["list_documents"]

    def test_changed_source_is_replaced_and_a_gone_one_deleted(self, emulator, hook, sync, store, folder, context):
        sync().execute(context)
        (folder / "returns.md").write_text("Parcels return within sixty days, no longer thirty.")
        (folder / "travel.md").unlink()
        (folder / "new.md").write_text("New.")
        emulator.clear_journal()

        assert sync().execute(context) == counts(added=1, replaced=1, deleted=1)

        assert titles(hook, store) == ["new.md", "returns.md"]
        assert uploads(emulator) == 2

    def test_former_document_goes_only_after_the_new_one_is_active(self, emulator, hook, sync, store, folder, context):
        sync().execute(context)
        [former] = [one for one in hook.list_documents(store) if one.display_name == "returns.md"]
        (folder / "returns.md").write_text("Parcels return within sixty days, no longer thirty.")
        emulator.clear_journal()

        sync().execute(context)

        calls = [entry["call"] for entry in emulator.journal]
        deletion = calls.index("delete_document")
        assert "finalize" in calls[:deletion][-100:]
        assert former.name not in {one.name for one in hook.list_documents(store)}
        assert emulator.journal[deletion]["path"].endswith(former.name.rpartition("/")[2])

    def test_documents_of_others_are_left_alone(self, hook, sync, store, context, ti):
        sync().execute(context)
        ti.task_id = "another"

        assert sync(allow_empty=True).execute(context) == counts(added=2)
        assert titles(hook, store) == ["returns.md", "returns.md", "travel.md", "travel.md"]

    def test_source_that_has_nothing_deletes_nothing_unless_allowed(self, hook, sync, store, folder, context):
        sync().execute(context)
        for path in folder.iterdir():
            path.unlink()

        with pytest.raises(e.GeminiInputError):
            sync().execute(context)

        assert len(hook.list_documents(store)) == 2

    def test_dry_run_does_nothing(self, emulator, hook, sync, store, folder, context):
        sync().execute(context)
        (folder / "travel.md").unlink()
        (folder / "new.md").write_text("New.")
        emulator.clear_journal()

        assert sync(dry_run="True").execute(context) == counts(added=1, deleted=1, unchanged=1)

        assert {entry["method"] for entry in emulator.journal} == {"GET"}

    def test_document_that_recovers_is_waited_for(self, emulator, hook, sync, store, context):
        emulator.faults.add("start_document", "document_failed", seconds=110)

        assert sync().execute(context) == counts(added=2)

        assert uploads(emulator) == 2

    def test_document_that_stays_failed_is_added_once_more(self, emulator, hook, sync, store, context):
        emulator.faults.add("start_document", "document_failed")

        assert sync().execute(context) == counts(added=2)

        assert uploads(emulator) == 3
        assert titles(hook, store) == ["returns.md", "travel.md"]

    def test_source_that_always_fails_fails_the_task_after_the_others_are_in(
        self, emulator, hook, sync, store, context, tmp_path
    ):
        emulator.faults.add("start_document", "document_failed", times=None)
        report = tmp_path / "report.jsonl"

        with pytest.raises(e.GeminiDocumentFailedError):
            sync(report_path=str(report)).execute(context)

        lines = [json.loads(line) for line in report.read_text().splitlines()]
        assert all("could not index it" in line["error"] for line in lines)

    def test_lost_answer_makes_no_second_document(self, emulator, hook, sync, store, context):
        emulator.faults.add("finalize", "lose_answer")

        assert sync().execute(context) == counts(added=2)

        assert titles(hook, store) == ["returns.md", "travel.md"]

    def test_video_and_large_files_are_refused_and_the_others_added(self, hook, sync, store, folder, context):
        (folder / "talk.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(100))

        with pytest.raises(e.GeminiInputError, match="neither audio nor video"):
            sync().execute(context)

        assert titles(hook, store) == ["returns.md", "travel.md"]

    @pytest.mark.parametrize("model", ["gemini-embedding-001", "gemini-embedding-2"])
    def test_image_needs_a_store_that_takes_images(self, emulator, hook, sync, folder, context, model):
        store = hook.create_file_search_store("Pictures", model).name
        (folder / "crane.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))

        if model == "gemini-embedding-2":
            assert sync(store=store).execute(context) == counts(added=3)
            return
        with pytest.raises(e.GeminiInputError, match=r"crane\.png is image/png, .* which takes no images"):
            sync(store=store).execute(context)

        assert titles(hook, store) == ["returns.md", "travel.md"]
        assert sum(entry["call"] == "get_store" for entry in emulator.journal) == 1

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({"store": "x y"}, "not the name of a file search store"),
            ({"source": ""}, "source is empty"),
            ({"custom_metadata": {"airflow_x": 1}}, "does not begin with"),
            ({"custom_metadata": {str(number): 1 for number in range(18)}}, "at most 20"),
            ({"custom_metadata": {"a": True}}, "a text, a number or a list"),
            ({"mime_type": "pdf"}, "^mime_type is a type like"),
            ({"mime_type": "video/mp4"}, "^'mime_type' is video/mp4: file search supports neither"),
        ],
    )
    def test_bad_input_is_refused_before_anything_is_sent(self, emulator, sync, context, arguments, told):
        emulator.clear_journal()

        with pytest.raises(e.GeminiInputError, match=told):
            sync(**arguments).execute(context)

        assert emulator.journal == []

    @pytest.mark.parametrize("name", ["delete_missing", "allow_empty", "deferrable"])
    @pytest.mark.parametrize("value", ["{{ params.switch }}", None, 2])
    def test_switch_is_true_or_false_when_the_dag_is_parsed(self, sync, name, value):
        with pytest.raises(e.GeminiInputError, match=f"{name} must be true or false"):
            sync(**{name: value})

    @pytest.mark.parametrize("path", [5, "/", "{}"])
    def test_report_that_cannot_be_written_is_named_before_anything_is_sent(
        self, emulator, sync, context, tmp_path, path
    ):
        emulator.clear_journal()

        with pytest.raises(e.GeminiInputError, match=r"^report_path "):
            sync(report_path=path.format(tmp_path) if isinstance(path, str) else path).execute(context)

        assert emulator.journal == []

    def test_chunking_is_checked_when_the_dag_is_parsed(self, sync):
        with pytest.raises(e.GeminiInputError, match="max_tokens_per_chunk"):
            sync(max_tokens_per_chunk=513)


class TestAccounting:
    """XCom ``indexed``, from which the costs are known as far as they can be."""

    def indexed(self, ti: Any) -> tuple[int, int]:
        told = ti.pushed["indexed"]
        assert (told["conn_id"], told["store"].split("/")[0]) == ("gemini_default", "fileSearchStores")
        return told["documents"], told["bytes"]

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_documents_that_were_sent_are_counted_with_their_bytes(self, sync, folder, context, ti, deferrable):
        files = [path for path in folder.rglob("*") if path.is_file()]
        finished(sync(deferrable=deferrable), context)
        assert self.indexed(ti) == (len(files), sum(path.stat().st_size for path in files))

        files[0].write_text("Another text.")
        finished(sync(deferrable=deferrable), context)
        assert self.indexed(ti) == (1, len("Another text."))
        finished(sync(deferrable=deferrable), context)
        assert self.indexed(ti) == (0, 0)

    def test_document_that_was_sent_twice_is_counted_twice(self, emulator, sync, folder, context, ti):
        emulator.faults.add("start_document", "document_failed")
        files = [path for path in folder.rglob("*") if path.is_file()]
        finished(sync(), context)

        assert self.indexed(ti)[0] == len(files) + 1

    def test_failed_task_has_paid_for_what_was_sent(self, sync, folder, context, ti):
        (folder / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
        sent = len([path for path in folder.rglob("*") if path.is_file()]) - 1
        with pytest.raises(e.GeminiFilesError):
            finished(sync(), context)

        assert self.indexed(ti)[0] == sent

    def test_copied_files_are_counted(self, hook, store, text_file, context, ti, mocker):
        file = hook.upload_file(text_file)
        incr = mocker.patch.object(Stats, "incr", autospec=True)
        operator = GeminiAddDocumentsOperator(task_id="add", store=store, file_name=file.name, deferrable=False)
        finished(operator, context)

        assert self.indexed(ti) == (1, file.size_bytes)
        incr.assert_called_once_with("gemini_files.documents.added", 1)


class TestAdding:
    def test_files_are_copied_by_the_service(self, hook, store, text_file, context, ti):
        file = hook.upload_file(text_file)
        add = GeminiAddDocumentsOperator(task_id="add", store=store, file_name=file.name)

        [name] = add.execute(context)

        assert name == hook.list_documents(store)[0].name
        assert ti.pushed["imported"] == {"conn_id": "gemini_default", "files": [file.name]}
        assert add.execute(context) == [name]
        assert len(hook.list_documents(store)) == 1

    def test_retry_sends_nothing_again(self, emulator, hook, store, folder, context):
        add = GeminiAddDocumentsOperator(
            task_id="add", store=store, source=str(folder), custom_metadata={"team": "ops"}
        )
        names = add.execute(context)

        assert add.execute(context) == names
        assert uploads(emulator) == 2
        assert {document.metadata["team"] for document in hook.list_documents(store)} == {"ops"}

    def test_source_or_file_is_required(self, store):
        with pytest.raises(e.GeminiInputError, match="either source or file_name"):
            GeminiAddDocumentsOperator(task_id="add", store=store)


class TestStores:
    def test_store_is_created_once(self, hook, context, ti):
        create = GeminiCreateFileSearchStoreOperator(task_id="store", display_name="Handbook")

        name = create.execute(context)

        assert create.execute(context) == name
        assert ti.pushed["store"]["display_name"] == "Handbook"
        assert len(hook.list_file_search_stores()) == 1

    def test_lost_answer_makes_no_second_store(self, emulator, hook, context):
        emulator.faults.add("create_store", "lose_answer")

        GeminiCreateFileSearchStoreOperator(task_id="store", display_name="Handbook").execute(context)

        assert len(hook.list_file_search_stores()) == 1

    def test_other_embedding_model_is_refused(self, store, context):
        create = GeminiCreateFileSearchStoreOperator(
            task_id="store", display_name="Handbook", embedding_model="models/gemini-embedding-2"
        )

        with pytest.raises(e.GeminiInputError, match="cannot change it"):
            create.execute(context)

    def test_store_with_documents_is_deleted_only_by_force(self, sync, store, context, hook):
        sync().execute(context)
        with pytest.raises(e.GeminiInputError):
            GeminiDeleteFileSearchStoreOperator(task_id="delete", store=store).execute(context)

        assert GeminiDeleteFileSearchStoreOperator(task_id="delete", store=store, force=True).execute(context) is True
        assert GeminiDeleteFileSearchStoreOperator(task_id="delete", store=store).execute(context) is False
        with pytest.raises(e.GeminiStoreGoneError):
            hook.list_documents(store)

    @pytest.mark.parametrize("force", ["False", "false", False])
    def test_store_with_documents_stays_if_force_is_the_text_of_false(self, sync, store, context, hook, force):
        sync().execute(context)

        with pytest.raises(e.GeminiInputError, match="non-empty"):
            GeminiDeleteFileSearchStoreOperator(task_id="delete", store=store, force=force).execute(context)

        assert len(hook.list_documents(store)) == 2

    def test_lists_filter(self, sync, store, context):
        sync().execute(context)

        assert GeminiListFileSearchStoresOperator(task_id="list", display_name="Hand").execute(context) == [store]
        assert GeminiListFileSearchStoresOperator(task_id="list", display_name="x").execute(context) == []
        assert len(GeminiListDocumentsOperator(task_id="list", store=store, state="active").execute(context)) == 2

    @pytest.mark.parametrize(("state", "count"), [("STATE_ACTIVE", 2), (" active", 2), ("failed", 0), ("None", 2)])
    def test_state_is_taken_in_the_services_spelling_too(self, sync, store, context, state, count):
        sync().execute(context)

        assert len(GeminiListDocumentsOperator(task_id="list", store=store, state=state).execute(context)) == count

    def test_state_that_no_document_has_is_refused_before_anything_is_sent(self, emulator, store, context):
        emulator.clear_journal()

        with pytest.raises(e.GeminiInputError, match="state must be one of PENDING, ACTIVE, FAILED; got 'ready'"):
            GeminiListDocumentsOperator(task_id="list", store=store, state="ready").execute(context)

        assert emulator.journal == []

    @pytest.mark.parametrize("document", [5, 1.5, True, b"documents"])
    def test_anything_but_documents_is_not_deleted(self, emulator, context, document):
        with pytest.raises(e.GeminiInputError, match="is not the name of a document"):
            GeminiDeleteDocumentsOperator(task_id="delete", document=document).execute(context)

        assert emulator.journal == []

    def test_documents_are_deleted(self, sync, store, context, ti):
        sync().execute(context)
        first, _ = ti.pushed["documents"]
        delete = GeminiDeleteDocumentsOperator(task_id="delete", document=[first, None])

        assert delete.execute(context) == {"deleted": [first], "missing": []}
        assert delete.execute(context) == {"deleted": [], "missing": [first]}

    def test_document_that_is_missing_does_not_keep_the_others(self, hook, sync, store, context, ti):
        sync().execute(context)
        first, second = ti.pushed["documents"]
        hook.delete_document(first)
        delete = GeminiDeleteDocumentsOperator(task_id="delete", document=[first, second], ignore_missing=False)

        with pytest.raises(e.GeminiStoreGoneError, match=r"1 documents do not exist: .* The other 1 were deleted\."):
            delete.execute(context)

        assert hook.list_documents(store) == []

    def test_mapped_tasks_that_add_share_their_documents(self, hook, store, folder, context, ti):
        for index, name in ((0, "returns.md"), (1, "returns.md")):
            ti.map_index = index
            GeminiAddDocumentsOperator(task_id="add", store=store, source=str(folder / name), deferrable=False).execute(
                context
            )

        assert titles(hook, store) == ["returns.md"]


class TestAsking:
    def ask(self, store: str, **arguments: Any) -> GeminiGenerateContentOperator:
        arguments = {"prompt": "When may parcels return?", "file_search": {"stores": [store]}, **arguments}
        return GeminiGenerateContentOperator(task_id="ask", **arguments)

    def test_answer_cites_the_document_with_its_source(self, sync, store, folder, context, ti):
        sync(custom_metadata={"team": "ops"}).execute(context)

        self.ask(store, require_citations=True).execute(context)

        assert ti.pushed["response"]["citations"] == [
            {
                "title": "returns.md",
                "store": store,
                "metadata": {"team": "ops"},
                "source": str(folder / "returns.md"),
            }
        ]

    def test_answer_without_citations_can_be_refused(self, sync, store, context):
        sync().execute(context)

        with pytest.raises(e.GeminiNoAnswerError, match="own knowledge"):
            self.ask(store, prompt="Quantum?", require_citations=True).execute(context)

    def test_filter_and_top_k_are_sent(self, sync, store, context, ti):
        sync(custom_metadata={"team": "ops"}).execute(context)
        search = {"stores": store, "metadata_filter": 'team = "sales"', "top_k": "1"}

        self.ask(store, file_search=search).execute(context)

        assert "citations" not in ti.pushed["response"]

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({"file_search": {"stores": []}}, "stores is empty"),
            ({"file_search": {"stores": ["x y"]}}, "not the name of a file search store"),
            ({"file_search": "None"}, "file_search is empty"),
            ({"file_search": {"store": "x"}}, "unknown store"),
            ({"model": "gemini-2.5-pro"}, "does not support file search"),
            ({"generation_config": {"tools": [{"google_search": {}}]}}, "cannot be combined with google_search"),
        ],
    )
    def test_bad_search_is_refused_before_anything_is_sent(self, emulator, store, context, arguments, told):
        emulator.clear_journal()

        with pytest.raises(e.GeminiInputError, match=told):
            self.ask(store, **arguments).execute(context)

        assert emulator.journal == []

    def test_store_that_is_gone_is_named_and_not_asked_again(self, emulator, hook, store, context):
        hook.delete_file_search_store(store)
        emulator.clear_journal()

        with pytest.raises(e.GeminiStoreGoneError, match=store.rpartition("/")[2]):
            self.ask(store).execute(context)

        assert [entry["call"] for entry in emulator.journal] == ["generate"]
