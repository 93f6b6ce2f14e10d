"""Batches that show sources themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support import FakeClock

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.hooks import shown_sources
from airflow_provider_gemini_files.hooks.registration import Registration
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator


@pytest.fixture
def emulator(emulator: GeminiEmulator, monkeypatch: pytest.MonkeyPatch) -> GeminiEmulator:
    emulator.settings.job_seconds = 60
    monkeypatch.setattr(GeminiOperator, "clock", FakeClock(emulator))
    return emulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (folder / name).write_text(f"note {name}")
    return folder


@pytest.fixture
def batch(tmp_path: Path):
    def operator(**arguments: Any) -> GeminiBatchGenerateContentOperator:
        given = {"output_path": str(tmp_path / "answers.jsonl"), "deferrable": False, "prompt": "what?", **arguments}
        return GeminiBatchGenerateContentOperator(task_id="extract", **given)

    return operator


def rows(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(urlsplit(path).path).read_text().splitlines()]


def count(emulator: GeminiEmulator, call: str) -> int:
    return sum(entry["call"] == call for entry in emulator.journal)


@pytest.mark.parametrize("via", ["inline", "upload"])
def test_each_file_of_a_folder_is_a_request(emulator, hook, batch, context, folder, via):
    answers = rows(batch(files=[{"source": str(folder)}], via=via).execute(context))

    assert [row["key"] for row in answers] == ["a.txt", "b.txt", "c.txt"]
    assert all(row["error"] is None for row in answers)
    uris = [[str(folder / row["key"])] for row in answers]
    assert [row["files"] for row in answers] == (uris if via == "upload" else [[], [], []])
    # The results of a batch cannot be deleted.
    assert [file.source for file in hook.list_files()] == ["GENERATED"]
    assert count(emulator, "finalize") == (4 if via == "upload" else 1)


def test_source_shown_by_many_requests_is_uploaded_once(emulator, batch, context, folder):
    path = batch(files=[{"source": str(folder / "a.txt")}], requests=["one?", "two?"]).execute(context)

    assert [row["files"] for row in rows(path)] == [[str(folder / "a.txt")]] * 2
    assert count(emulator, "finalize") == 2


def test_sources_of_many_requests_are_found_once(emulator, batch, context, folder, mocker):
    find = mocker.spy(shown_sources, "find_sources")

    batch(files=[{"source": str(folder)}], requests=["one?", "two?", "three?"]).execute(context)

    assert find.call_count == 1


def test_kept_files_belong_to_the_task(emulator, hook, batch, context, folder):
    batch(files=[{"source": str(folder)}], via="upload", keep_files=True).execute(context)

    kept = [file for file in hook.list_files() if file.source == "UPLOADED"]
    assert [file.owner.task_id for file in kept] == ["upload"] * 3


def test_cleared_task_finds_its_job_although_its_files_are_gone(emulator, batch, context, folder):
    batch(files=[{"source": str(folder)}], via="upload").execute(context)

    batch(files=[{"source": str(folder)}], via="upload").execute(context)

    assert count(emulator, "create_batch") == 1


def test_sources_that_are_small_alone_are_uploaded_if_the_batch_would_be_too_large(
    emulator, batch, context, folder, monkeypatch
):
    monkeypatch.setattr("airflow_provider_gemini_files.content.ways.MAX_BATCH_INLINE_BYTES", 20)

    answers = rows(batch(files=[{"source": str(folder)}]).execute(context))

    assert [len(row["files"]) for row in answers] == [0, 0, 1]


@pytest.mark.parametrize("as_file", [True, False])
def test_source_that_data_names_is_refused(emulator, batch, context, tmp_path, as_file):
    requests = [{"files": [{"source": "/etc/passwd"}], "prompt": "what?"}]
    if as_file:
        lines = tmp_path / "requests.jsonl"
        lines.write_text(json.dumps(requests[0]))
        operator = batch(source=str(lines))
    else:
        operator = batch(requests="{{ ti.xcom_pull('made') }}")
        operator.requests = requests

    with pytest.raises(
        e.GeminiInputError, match=r"(files\[0\]|requests) is a source that comes from a template, an XCom or a file"
    ):
        operator.execute(context)

    assert emulator.journal == []


def test_missing_source_is_refused_before_anything_is_sent(emulator, batch, context):
    with pytest.raises(e.GeminiInputError, match="does not exist"):
        batch(requests=[{"files": [{"source": "/nowhere/a.pdf"}]}]).execute(context)

    assert emulator.journal == []


def test_hook_is_not_asked_for_credentials_without_a_cloud(emulator, batch, context, folder, mocker):
    asked = mocker.patch.object(Registration, "has_credentials", autospec=True)

    batch(files=[{"source": str(folder)}]).execute(context)

    assert not asked.called


def test_request_that_shows_only_a_source_uses_a_cache(emulator, hook, batch, context, folder):
    (folder / "manual.txt").write_text("manual " * 2000)
    manual = hook.upload_file(folder / "manual.txt")
    cache = hook.create_cache(manual.name, ttl=200_000)
    requests = [{"contents": [{"source": str(folder / "a.txt")}]}]

    answers = rows(batch(requests=requests, prompt=None, cached_content=cache.name).execute(context))

    assert answers[0]["error"] is None


def test_sources_beside_a_file_of_requests_are_refused(emulator, batch, context, folder, tmp_path):
    lines = tmp_path / "requests.jsonl"
    lines.write_text('{"prompt": "what?"}')

    with pytest.raises(e.GeminiInputError, match="cannot contain sources if the requests are read from a file"):
        batch(source=str(lines), contents=[{"source": str(folder / "a.txt")}]).execute(context)


def test_files_of_a_job_that_failed_are_deleted(emulator, hook, batch, context, folder):
    emulator.faults.add("create_batch", "batch_failed", error={"code": 3, "message": "Bad request."})

    with pytest.raises(e.GeminiBatchFailedError):
        batch(files=[{"source": str(folder)}], via="upload").execute(context)

    assert hook.list_files() == []


def test_source_that_cannot_be_read_for_a_moment_is_left_to_a_retry(batch, context, folder, emulator, mocker):
    operator = batch(files=[{"source": str(folder)}])
    broken = mocker.patch.object(shown_sources, "find_sources", autospec=True, side_effect=e.GeminiServiceError("503"))
    resume = operator._new_resume()
    resume.rounds.append({"0" * 24: "batches/a"})

    with pytest.raises(e.GeminiServiceError, match="503"):
        operator._batch_task(context, resume)

    assert broken.called
