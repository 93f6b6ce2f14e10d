"""The batch operators against the emulator, on a clock that passes at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.sdk.exceptions import TaskDeferred
from pydantic import BaseModel
from support import API_KEY, FakeClock, sent_to_models

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator

JOB_SECONDS = 600


class Count(BaseModel):
    """What is asked for."""

    crates: int


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
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "answers.jsonl"


@pytest.fixture
def batch(output: Path):
    def operator(**arguments: Any) -> GeminiBatchGenerateContentOperator:
        arguments = {"task_id": "extract", "output_path": str(output), "deferrable": False, **arguments}
        return GeminiBatchGenerateContentOperator(**arguments)

    return operator


@pytest.fixture
def files(hook: GeminiFilesHook, tmp_path: Path) -> list[str]:
    names = []
    for number in range(3):
        path = tmp_path / f"note{number}.txt"
        path.write_text(f"note {number}")
        names.append(hook.upload_file(path).name)
    return names


def rows(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text().splitlines()]


def jobs(emulator: GeminiEmulator) -> list[dict[str, Any]]:
    response = httpx.get(f"{emulator.base_url}/v1beta/batches", headers={"x-goog-api-key": API_KEY})
    return response.json().get("operations", [])


def test_one_request_for_each_file_is_answered_in_order(emulator, batch, files, output, context, ti):
    uri = batch(files=files, prompt="what?").execute(context)

    assert uri == f"file://{output}"
    written = rows(output)
    assert [row["key"] for row in written] == ["note0.txt", "note1.txt", "note2.txt"]
    assert [row["files"] for row in written] == [[name] for name in files]
    for row, name in zip(written, files, strict=True):
        assert name in row["value"]
        assert row["error"] is None
        assert row["finish_reason"] == "STOP"
        assert row["usage"]["total"] > 0
    [job] = jobs(emulator)
    assert ti.pushed["batch_name"] == job["name"]
    manifest = ti.pushed["batch"]
    assert manifest["name"] == job["name"]
    assert manifest["state"] == "SUCCEEDED"
    assert manifest["counts"] == {
        "total": 3, "success": 3, "error": 0, "invalid": 0, "blocked": 0, "cut": 0, "missing": 0,
    }  # fmt: skip
