"""Batches whose requests use a cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from support import FakeClock, logged_by

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.batch import Batch
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator
from airflow_provider_gemini_files.operators.caches import GeminiCreateCacheOperator

MODEL = "gemini-3.5-flash"
HOUR = 3600.0


@pytest.fixture(autouse=True)
def clock(emulator: GeminiEmulator, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    emulator.settings.job_seconds = 60
    clock = FakeClock(emulator)
    monkeypatch.setattr(GeminiOperator, "clock", clock)
    return clock


@pytest.fixture
def context(context: dict[str, Any]) -> dict[str, Any]:
    with DAG("a_dag") as dag:
        create = GeminiCreateCacheOperator(task_id="cache", contents=["x"])
        create >> EmptyOperator(task_id="extract")
    return context | {"task": dag.get_task("extract")}


@pytest.fixture
def manual(hook: GeminiFilesHook, tmp_path: Path) -> GeminiFile:
    path = tmp_path / "manual.txt"
    path.write_text("The crane lifts a load of 2,400 kg. " * 200)
    return hook.upload_file(path)


@pytest.fixture
def create(context: dict[str, Any], ti: Any, manual: GeminiFile) -> Callable[..., Any]:
    """Return a function that runs the task that creates the cache of a manual."""

    def run(**arguments: Any) -> Any:
        ti.task_id = "cache"
        given = {"files": manual.name, "model": MODEL, "ttl": 27 * HOUR, **arguments}
        name = GeminiCreateCacheOperator(task_id="cache", **given).execute(context)
        ti.upstream["cache", "cache"] = [ti.pushed["cache"]]
        ti.task_id = "extract"
        return name

    return run


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "answers.jsonl"


@pytest.fixture
def batch(output: Path) -> Callable[..., GeminiBatchGenerateContentOperator]:
    def operator(**arguments: Any) -> GeminiBatchGenerateContentOperator:
        given = {"output_path": str(output), "deferrable": False, "requests": ["What?", "When?"], **arguments}
        return GeminiBatchGenerateContentOperator(task_id="extract", **given)

    return operator


def rows(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text().splitlines()]


def requests(emulator: GeminiEmulator) -> list[dict[str, Any]]:
    """Return the requests of all jobs, as they were sent."""
    batches = [one for project in emulator.emulator.projects.values() for one in project.resources(Batch).values()]
    return [item["request"] for one in batches for item in one.rows]


def calls(emulator: GeminiEmulator, call: str) -> int:
    return [entry["call"] for entry in emulator.journal].count(call)


def test_each_request_names_the_cache_and_is_answered_from_it(emulator, batch, create, manual, output, context, ti):
    name = create()
    tokens = ti.pushed["cache"]["tokens"]

    batch(cached_content=name, files=manual.name).execute(context)

    assert [request["cachedContent"] for request in requests(emulator)] == [name, name]
    assert [request["contents"] for request in requests(emulator)] == [
        [{"role": "user", "parts": [{"text": text}]}] for text in ("What?", "When?")
    ]
    assert ti.pushed["batch"]["model"].removeprefix("models/") == MODEL
    assert [row["usage"]["cached"] for row in rows(output)] == [tokens, tokens]
    assert [row["files"] for row in rows(output)] == [[manual.name]] * 2


def test_requests_of_a_skipped_cache_send_what_it_would_hold(
    emulator, hook, batch, create, text_file, output, context, ti
):
    note = hook.upload_file(text_file)
    assert create(files=note.name, system_instruction="Be short.") is None

    batch(cached_content=ti.pushed["cache"]).execute(context)

    for request in requests(emulator):
        assert "cachedContent" not in request
        assert request["contents"][0]["parts"][0]["fileData"]["fileUri"] == note.uri
        assert request["systemInstruction"]["parts"] == [{"text": "Be short."}]
    assert [row["error"] for row in rows(output)] == [None, None]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"model": "gemini-3.8-flash"}, "gemini-3.8-flash"),
        ({"system_instruction": "Be short."}, r"requests\[0\]: .*system_instruction"),
        ({"requests": ["What?", {"prompt": "x", "system_instruction": "y"}]}, r"requests\[1\]: .*system_instruction"),
        ({"file_search": {"stores": ["fileSearchStores/x"]}}, "file_search"),
        ({"generation_config": {"tools": [{"google_search": {}}]}}, "tools"),
        ({"gemini_conn_id": "other"}, "'gemini_default'.*'other'"),
    ],
)
def test_what_the_service_refuses_is_refused_before_a_job_is_submitted(
    emulator, batch, create, context, arguments, told
):
    name = create()
    emulator.clear_journal()

    with pytest.raises(e.GeminiInputError, match=told):
        batch(cached_content=name, **arguments).execute(context)

    assert emulator.journal == []


def test_cache_that_a_job_may_outlive_is_refused_before_a_job_is_submitted(emulator, batch, create, context):
    name = create(ttl=25 * HOUR)

    with pytest.raises(e.GeminiInputError, match=rf"{name} expires at .*26 hours"):
        batch(cached_content=name).execute(context)

    assert (calls(emulator, "start"), calls(emulator, "create_batch")) == (1, 0)
    batch(cached_content=name, min_remaining_ttl=24 * HOUR).execute(context)


def test_cache_that_is_gone_is_an_error_before_a_job_is_submitted(emulator, hook, batch, create, context):
    name = create()
    hook.delete_cache(name)

    with pytest.raises(e.GeminiCacheGoneError, match=f"{name}.*Nothing was submitted. Clear the task that created it"):
        batch(cached_content=name).execute(context)

    assert calls(emulator, "create_batch") == 0


def test_job_of_an_earlier_attempt_is_found_although_its_cache_is_gone(
    emulator, hook, batch, create, output, context, ti
):
    name = create()
    batch(cached_content=name).execute(context)
    hook.delete_cache(name)
    output.unlink()
    ti.try_number = 2

    batch(cached_content=name).execute(context)

    assert calls(emulator, "create_batch") == 1
    assert len(rows(output)) == 2


def test_job_is_found_after_its_cache_was_recreated(emulator, hook, batch, create, output, context):
    first = create()
    batch(cached_content=first).execute(context)
    hook.delete_cache(first)
    second = create()

    batch(cached_content=second).execute(context)

    assert first != second
    assert calls(emulator, "create_batch") == 1


def test_other_cache_is_another_job(emulator, batch, create, context):
    batch(cached_content=create()).execute(context)

    batch(cached_content=create(contents=["In English."])).execute(context)

    assert calls(emulator, "create_batch") == 2


class TestCacheOfWhichOnlyTheNameIsKnown:
    def test_must_be_of_the_model_of_the_job(self, emulator, batch, create, context, ti):
        name = create()
        ti.upstream.clear()

        with pytest.raises(e.GeminiInputError, match=f"set model='{MODEL}'"):
            batch(cached_content=name).execute(context)

        assert calls(emulator, "create_batch") == 0
        batch(cached_content=name, model=MODEL).execute(context)

    def test_does_not_keep_files_from_being_sent_with_a_warning(
        self, emulator, batch, create, manual, context, ti, mocker
    ):
        name = create()
        ti.upstream.clear()
        operator = batch(cached_content=name, model=MODEL, files=manual.name)
        warning = mocker.spy(operator.log, "warning")

        operator.execute(context)

        assert any("billed twice" in line for line in logged_by(warning))
        assert all("fileData" in str(request) for request in requests(emulator))
