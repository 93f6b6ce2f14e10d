"""Batches whose requests search file search stores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from support import API_KEY, FakeClock

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.batch import Batch
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator
from airflow_provider_gemini_files.operators.file_search import GeminiSyncFileSearchStoreOperator

TEXTS = {"returns.md": "Parcels return within thirty days.", "travel.md": "Trains before planes."}


class Days(BaseModel):
    """What is asked for."""

    days: int


@pytest.fixture
def emulator(emulator: GeminiEmulator, monkeypatch: pytest.MonkeyPatch) -> GeminiEmulator:
    emulator.settings.job_seconds = 60
    monkeypatch.setattr(GeminiOperator, "clock", FakeClock(emulator))
    return emulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def store(emulator: GeminiEmulator, hook: GeminiFilesHook, folder: Path, context: dict[str, Any]) -> str:
    name = hook.create_file_search_store("Handbook").name
    GeminiSyncFileSearchStoreOperator(
        task_id="sync", store=name, source=str(folder), custom_metadata={"team": "ops"}, deferrable=False
    ).execute(context)
    emulator.clear_journal()
    return name


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "answers.jsonl"


@pytest.fixture
def batch(output: Path, store: str):
    def operator(**arguments: Any) -> GeminiBatchGenerateContentOperator:
        given = {"output_path": str(output), "deferrable": False, "file_search": {"stores": [store]}, **arguments}
        return GeminiBatchGenerateContentOperator(task_id="extract", **given)

    return operator


def rows(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text().splitlines()]


def jobs(emulator: GeminiEmulator) -> int:
    response = httpx.get(f"{emulator.base_url}/v1beta/batches", headers={"x-goog-api-key": API_KEY})
    return len(response.json().get("operations", []))


def searches(emulator: GeminiEmulator) -> list[Any]:
    """Return the file search of each request that was sent."""
    batches = [one for project in emulator.emulator.projects.values() for one in project.resources(Batch).values()]
    requests = [item["request"] for one in batches for item in one.rows]
    return [tool.get("fileSearch") for request in requests for tool in request.get("tools", [])]


RETURNS, TRAVEL, NOTHING = "When may parcels return?", "Are trains taken?", "Quantum?"


class TestRows:
    def test_each_row_cites_the_document_that_it_is_based_on(self, batch, store, folder, output, context):
        batch(requests=[RETURNS, TRAVEL]).execute(context)

        first, second = rows(output)
        assert first["citations"] == [
            {
                "title": "returns.md",
                "store": store,
                "metadata": {"team": "ops"},
                "source": str(folder / "returns.md"),
            }
        ]
        assert [citation["title"] for citation in second["citations"]] == ["travel.md"]

    def test_row_that_cites_nothing_has_no_citations(self, batch, output, context):
        batch(requests=[NOTHING]).execute(context)

        [row] = rows(output)
        assert "citations" not in row
        assert row["error"] is None

    def test_required_citations_make_it_a_row_without_a_value(self, batch, output, context):
        with pytest.raises(e.GeminiBatchRowsError):
            batch(requests=[RETURNS, NOTHING], require_citations=True).execute(context)

        first, second = rows(output)
        assert (first["error"], first["value"] is not None) == (None, True)
        assert (second["value"], second["error"]["kind"]) == (None, "blocked")
        assert "own knowledge" in second["error"]["message"]
        assert second["error"]["text"]

    def test_rows_without_required_citations_can_be_kept(self, batch, output, context, ti):
        batch(requests=[RETURNS, NOTHING], require_citations=True, on_row_error="keep").execute(context)

        counts = ti.pushed["batch"]["counts"]
        assert (counts["success"], counts["blocked"]) == (1, 1)

    def test_citations_are_required_of_answers_that_follow_a_schema_too(self, emulator, batch, output, context):
        emulator.answers.add('{"days": 30}', prompt=RETURNS)
        emulator.answers.add('{"days": 7}', prompt=NOTHING)

        with pytest.raises(e.GeminiBatchRowsError):
            batch(requests=[RETURNS, NOTHING], require_citations=True, response_schema=Days).execute(context)

        first, second = rows(output)
        assert (first["value"], second["value"]) == ({"days": 30}, None)


class TestRequests:
    def test_every_request_searches_with_every_option(self, emulator, batch, store, context):
        search = {"stores": [store], "metadata_filter": 'team = "ops"', "top_k": "2"}

        batch(requests=[RETURNS, TRAVEL], file_search=search).execute(context)

        sent = {"fileSearchStoreNames": [store], "metadataFilter": 'team = "ops"', "topK": 2}
        assert searches(emulator) == [sent, sent]

    def test_request_has_a_search_of_its_own(self, emulator, batch, store, output, context):
        own = {"prompt": RETURNS, "file_search": {"stores": [store], "metadata_filter": 'team = "sales"'}}

        batch(requests=[own, RETURNS]).execute(context)

        first, second = rows(output)
        assert "citations" not in first
        assert second["citations"]

    def test_citations_can_be_required_of_requests_with_their_own_search(self, batch, store, output, context):
        own = {"prompt": RETURNS, "file_search": {"stores": [store]}}

        batch(requests=[own], file_search=None, require_citations=True).execute(context)

        assert rows(output)[0]["citations"]

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({"file_search": {"stores": []}}, "stores is empty"),
            ({"file_search": {"stores": ["files/x"]}}, "'files/x' is not"),
            ({"file_search": {"store": "x"}}, "unknown store"),
            ({"requests": [{"prompt": "x", "file_search": {"stores": []}}]}, r"requests\[0\]: .*stores is empty"),
            ({"generation_config": {"tools": [{"google_search": {}}]}}, "cannot be combined with google_search"),
            ({"model": "gemini-2.5-flash-lite"}, "does not support file search"),
        ],
    )
    def test_bad_search_is_refused_before_anything_is_sent(self, emulator, batch, context, arguments, told):
        with pytest.raises(e.GeminiInputError, match=told):
            batch(**{"requests": [RETURNS], **arguments}).execute(context)

        assert emulator.journal == []

    def test_required_citations_of_a_request_without_a_search_are_refused_before_anything_is_sent(
        self, emulator, batch, context
    ):
        with pytest.raises(e.GeminiInputError, match=r"Request 'r1' has no file_search: require_citations"):
            batch(requests=[{"key": "r1", "prompt": RETURNS}], file_search=None, require_citations=True).execute(
                context
            )

        assert emulator.journal == []

    def test_required_citations_without_a_search_are_refused_when_the_dag_is_parsed(self, batch):
        with pytest.raises(e.GeminiInputError, match="require_citations needs file_search"):
            batch(prompt="x", files=["files/a"], file_search=None, require_citations=True)


class TestSubmittedOnce:
    def test_cleared_task_uses_the_finished_job_again(self, emulator, batch, context):
        batch(requests=[RETURNS]).execute(context)
        batch(requests=[RETURNS]).execute(context)

        assert jobs(emulator) == 1

    @pytest.mark.parametrize(
        "changed",
        [{"metadata_filter": 'team = "ops"'}, {"top_k": 1}, None],
        ids=["filter", "number of chunks", "no search"],
    )
    def test_other_search_is_another_job(self, emulator, batch, store, context, changed):
        batch(requests=[RETURNS]).execute(context)

        batch(requests=[RETURNS], file_search=changed and {"stores": [store], **changed}).execute(context)

        assert jobs(emulator) == 2

    def test_same_search_in_another_form_is_the_same_job(self, emulator, batch, store, context):
        batch(requests=[RETURNS], file_search={"stores": store, "top_k": "3"}).execute(context)
        batch(requests=[RETURNS], file_search={"stores": [{"name": store}], "top_k": 3}).execute(context)

        assert jobs(emulator) == 1

    def test_required_citations_are_judged_on_the_finished_job_again(self, emulator, batch, output, context):
        batch(requests=[NOTHING]).execute(context)

        with pytest.raises(e.GeminiBatchRowsError):
            batch(requests=[NOTHING], require_citations=True).execute(context)

        assert jobs(emulator) == 1
