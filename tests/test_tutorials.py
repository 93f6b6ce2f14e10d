"""The Dags of the first page, the tutorials, the cookbook and the page about maintenance run as they are shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from support import API_KEY, EXAMPLE_DAGS

from airflow_provider_gemini_files.emulator.service import Emulator
from airflow_provider_gemini_files.triggers import base as triggers

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [DOCS / "start.md", *sorted((DOCS / "tutorials").glob("*.md")), DOCS / "cookbook.md", DOCS / "maintenance.md"]
BLOCKS = [block for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]
DAGS = {dag_id: block for block in BLOCKS for dag_id in re.findall(r"^@dag.*?^def (\w+)", block, re.DOTALL | re.M)}
[TESTS] = [block for block in BLOCKS if "def test_" in block]
OWN_CODE = re.findall(r"```python\n(.*?)```", (DOCS / "own_code.md").read_text(), re.DOTALL)
EXCERPTS = [block for block in BLOCKS if block != TESTS and "@dag" not in block]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that the Dags read from and write to."""
    media = EXAMPLE_DAGS / "media"
    for name in ("invoices", "handbook"):
        shutil.copytree(media / name, tmp_path / name)
    shutil.copy(media / "unloading.mp4", tmp_path / "clip.mp4")
    for name in ("report.pdf", "contract.pdf"):
        shutil.copy(media / "invoice.pdf", tmp_path / name)
    (tmp_path / "calls").mkdir()
    for name in ("a.mp3", "b.mp3"):
        (tmp_path / "calls" / name).write_bytes(b"ID3\x04" + name.encode() * 100)
    (tmp_path / "reports").mkdir()
    for name in ("one.txt", "two.txt", "three.txt"):
        (tmp_path / "reports" / name).write_text(f"Report {name}.")
    # No process has to end before a deferred task is resumed.
    monkeypatch.setattr(triggers, "SETTLE_SECONDS", 0)
    return tmp_path


@pytest.fixture
def run(run_dag, emulator):
    """Return a function that runs a Dag by its id."""
    emulator.settings.job_seconds = 0
    emulator.settings.video_seconds = 0
    return lambda dag_id, **params: run_dag(DAGS[dag_id], dag_id, **params)


def result_of(run: Any, task_id: str, key: str = "return_value") -> Any:
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == task_id]
    return ti.xcom_pull(task_ids=task_id, key=key)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def calls(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def test_each_dag_is_run_here():
    in_airflow = (Path(__file__).parent / "in_airflow" / "test_quickstart.py").read_text()
    source = Path(__file__).read_text() + TESTS + in_airflow

    assert len(DAGS) > 10
    uses = ('run("{}"', 'DAGS["{}"]', "{}().test", '"{}"]')
    assert [dag_id for dag_id in DAGS if not any(use.format(dag_id) in source for use in uses)] == []


def test_first_dag_asks_about_a_file(run, emulator):
    assert run("summarize").state == "success"
    assert calls(emulator) == ["generate"]


def test_recordings_are_transcribed_into_files(run, emulator, data):
    emulator.answers.add("Hello.")
    emulator.answers.add("Goodbye.")

    done = run("transcribe_calls")

    assert done.state == "success"
    transcripts = result_of(done, "contents")
    assert sorted(transcripts) == ["a.mp3", "b.mp3"]
    # The tasks may run in any order.
    texts = {Path(path.removeprefix("file://")).read_text() for path in transcripts.values()}
    assert texts == {"Hello.", "Goodbye."}
    assert emulator.usage()["files"] == 0


def test_invoices_become_lines_of_json(run, data):
    states = [run("invoices_live").state, run("invoices_batch").state]

    assert states == ["success", "success"]
    live, batch = sorted((data / "out").iterdir(), key=lambda path: path.stat().st_mtime)
    names = sorted(path.name for path in (data / "invoices").iterdir())
    assert [row["file"] for row in lines_of(live)] == names
    assert [row["key"] for row in lines_of(batch)] == names
    assert {tuple(row["value"]) for row in lines_of(batch)} == {tuple(row)[1:] for row in lines_of(live)}


def test_handbook_is_kept_and_asked(run, data):
    kept = run("handbook_sync")
    assert result_of(kept, "sync")["added"] == len(list((data / "handbook").iterdir()))

    done = run("handbook_ask")

    assert done.state == "success"
    assert "Sources: " in result_of(done, "with_sources")


def test_dag_with_the_sdk_and_its_successors_return_the_same(run, emulator, monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.base_url)
    monkeypatch.setenv("GEMINI_API_KEY", API_KEY)
    for _ in range(3):
        emulator.answers.add("Crates are unloaded.")

    answers = {
        result_of(run("describe_before"), "describe"),
        result_of(run("describe_after"), "describe"),
        result_of(run("describe_with_hook"), "describe"),
    }

    assert answers == {"Crates are unloaded."}
    assert emulator.usage()["files"] == 0


def test_dag_of_the_google_provider_is_moved(run, emulator):
    assert run("read_contract").state == "success"
    assert calls(emulator).count("generate") == 1
    assert emulator.usage()["files"] == 0


def test_dag_of_the_common_ai_provider_is_moved(run):
    assert set(result_of(run("check_contract"), "check")) == {"parties", "ends_on"}


def test_questions_about_a_video_pay_for_it_once(run, emulator, monkeypatch):
    # Two of the ten questions say as much.
    fewer = re.sub(r"(QUESTIONS = \[\n(?:.*\n){2})(?: .*\n){8}", r"\1", DAGS["ask_about_video"])
    monkeypatch.setitem(DAGS, "ask_about_video", fewer)

    done = run("ask_about_video")

    assert done.state == "success"
    assert [calls(emulator).count(call) for call in ("start", "create_cache", "generate")] == [1, 1, 2]
    tokens = result_of(done, "report")
    assert tokens["prompt"] > tokens["cached"] > 3_000
    assert emulator.usage()["files"] == 0


def test_dag_of_a_team_uses_connection_and_pool_of_its_default_args(run, emulator, monkeypatch):
    fields = {"conn_type": "gemini", "host": emulator.base_url, "password": "films-key"}
    monkeypatch.setenv("AIRFLOW_CONN_GEMINI_FILMS", json.dumps(fields))
    monkeypatch.delenv("AIRFLOW_CONN_GEMINI_DEFAULT")

    done = run("describe_film")

    assert (done.state, [ti.pool for ti in done.get_task_instances()]) == ("success", ["gemini_films"])


@pytest.fixture
def two_projects(emulator, monkeypatch):
    """Connect to two projects of the emulator, and to none without a name."""
    for name in ("staging", "production"):
        fields = {"conn_type": "gemini", "host": emulator.base_url, "password": f"{name}-key"}
        monkeypatch.setenv(f"AIRFLOW_CONN_GEMINI_{name.upper()}", json.dumps(fields))
    monkeypatch.delenv("AIRFLOW_CONN_GEMINI_DEFAULT")


def test_dag_stays_in_the_project_that_was_chosen(two_projects, run, emulator, mocker):
    project = mocker.spy(Emulator, "project")

    assert run("sum_up_contract", project="gemini_production").state == "success"

    assert {call.args[1] for call in project.call_args_list} == {"production-key"}
    assert calls(emulator).count("generate") == 1


def test_prompt_is_asked_in_both_projects(two_projects, run, emulator, mocker):
    project = mocker.spy(Emulator, "project")

    assert run("ask_both_projects").state == "success"

    assert {call.args[1] for call in project.call_args_list} == {"production-key", "staging-key"}
    assert calls(emulator) == ["generate", "generate"]


def test_full_storage_of_a_project_fails_the_dag_that_watches_it(airflow_db):
    namespace: dict[str, Any] = {}
    exec(compile(DAGS["watch_production"], "docs/tutorials/two_projects.md", "exec"), namespace)
    dag = namespace["watch_production"]()
    check, watched = dag.get_task("check").python_callable, namespace["PRODUCTION"]

    class Events:
        """The outlet events of a context; not a dict, because assets of Airflow 3.1 have no hash."""

        def __init__(self, share: float) -> None:
            self._share = share

        def __getitem__(self, asset: Asset) -> list[SimpleNamespace]:
            assert asset == watched
            return [SimpleNamespace(extra={"share": self._share})]

    check(Events(0.5))
    with pytest.raises(ValueError, match="filled to 90%"):
        check(Events(0.9))


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=range(len(EXCERPTS)))
def test_excerpt_can_be_executed(excerpt):
    exec(compile(excerpt, "docs", "exec"), {})


def test_failed_file_is_named_beside_the_answers(run, emulator, data):
    emulator.answers.add("First.")
    emulator.answers.add(finish_reason="SAFETY")
    emulator.answers.add("Third.")

    done = run("sum_up_reports")

    collected = result_of(done, "collect")
    assert sorted(collected["answers"].values()) == ["First.", "Third."]
    assert len(collected["failed"]) == 1
    assert set(collected["failed"]) | set(collected["answers"]) == {str(path) for path in (data / "reports").iterdir()}


def test_files_of_the_interval_are_asked_about(run, emulator, data):
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = (midnight - timedelta(hours=12)).timestamp()
    os.utime(data / "reports" / "two.txt", (yesterday, yesterday))

    done = run("new_reports")

    assert done.state == "success"
    assert result_of(done, "arrived") == [str(data / "reports" / "two.txt")]
    assert calls(emulator).count("generate") == 1


def test_run_without_new_files_asks_nothing(run, emulator):
    assert run("new_reports").state == "success"
    assert calls(emulator) == []


def test_tokens_of_all_answers_are_added_up(run):
    done = run("ask_within_budget")

    assert done.state == "success"
    tokens = result_of(done, "spent")
    assert tokens["total"] >= tokens["prompt"] > 0


def test_failed_videos_are_named_and_deleted(run, emulator, hook, data):
    emulator.faults.add("finalize", "fail_processing")
    failed = hook.upload_file(str(data / "clip.mp4"))
    kept = hook.upload_bytes(b"a note", "note.txt")

    done = run("failed_videos")

    assert done.state == "success"
    assert result_of(done, "delete") == {"deleted": [failed.name], "missing": []}
    assert [file.name for file in hook.list_files()] == [kept.name]


def test_generated_file_is_fetched(run, hook, data):
    lines = b'{"key": "a", "request": {"contents": [{"parts": [{"text": "Why?"}]}]}}'
    requests = hook.upload_bytes(lines, "requests.jsonl", mime_type="application/jsonl")
    job = hook.batches.submit("gemini-3.8-flash", "a job", requests.name)

    assert run("fetch_results", file=hook.get_batch(job.name).output_file).state == "success"

    [row] = lines_of(next((data / "out").iterdir()))
    assert row["key"] == "a"


def test_small_prompt_is_counted_and_asked(run, emulator):
    assert run("count_then_ask").state == "success"
    assert calls(emulator) == ["count_tokens", "generate"]


def test_space_is_made_and_waited_for(run, emulator):
    done = run("make_space")

    assert done.state == "success"
    assert result_of(done, "clean_up")["failed"] == 0


def test_expired_jobs_are_deleted(run, emulator, hook):
    lines = b'{"key": "a", "request": {"contents": [{"parts": [{"text": "Why?"}]}]}}'
    requests = hook.upload_bytes(lines, "requests.jsonl", mime_type="application/jsonl")
    emulator.faults.add("create_batch", "batch_expired")
    expired, ended = (hook.batches.submit("gemini-3.8-flash", "a job", requests.name).name for _ in range(2))

    assert result_of(run("delete_expired_jobs"), "delete") == {"deleted": [expired], "missing": []}
    assert [job.name for job in hook.list_batches()] == [ended]


def test_stores_of_a_title_are_deleted(run, hook):
    for title in ("Old handbook", "Handbook"):
        hook.create_file_search_store(title)

    assert run("delete_stores").state == "success"
    assert [store.display_name for store in hook.list_file_search_stores()] == ["Handbook"]


@pytest.mark.parametrize("snippet", OWN_CODE, ids=range(len(OWN_CODE)))
def test_code_with_the_hook_runs(snippet, emulator, hook, data, airflow_db, capsys):
    emulator.settings.video_seconds = emulator.settings.job_seconds = 0
    lines = b'{"key": "a", "request": {"contents": [{"parts": [{"text": "Why?"}]}]}}'
    requests = hook.upload_bytes(lines, "requests.jsonl", mime_type="application/jsonl")
    hook.batches.submit("gemini-3.8-flash", "a job", requests.name)

    exec(compile(snippet.replace("/data/", f"{data}/"), "docs/own_code.md", "exec"), {})

    assert capsys.readouterr().out
    assert [file.name for file in hook.list_files() if file.source == "UPLOADED"] in ([], [requests.name])


@pytest.mark.parametrize("name", re.findall(r"^def (test_\w+)", TESTS, re.MULTILINE))
def test_test_of_the_cookbook_passes(name, gemini_emulator, connect, run_dag, data, monkeypatch):
    """``run_dag`` lets Airflow and Python find the Dag."""
    (data / "read_note.py").write_text(DAGS["read_note"])
    (data / "note.txt").write_text("Please call back today.")
    connect(host=gemini_emulator.base_url)
    monkeypatch.delitem(sys.modules, "read_note", raising=False)
    namespace: dict[str, Any] = {}
    exec(compile(TESTS, "docs/cookbook.md", "exec"), namespace)

    namespace[name](gemini_emulator, str(data / "note.txt"))
