"""Check the documentation: snippets run, links resolve, and documented names exist."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import textwrap
from pathlib import Path

import pytest
from support import EXAMPLE_DAGS, FakeClock

from airflow_provider_gemini_files import retry_policy
from airflow_provider_gemini_files.batches.rows import RowKind
from airflow_provider_gemini_files.files.policy import Reason
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator
from airflow_provider_gemini_files.provider_info import get_provider_info

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"


def snippets_of(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


CONTENT_SNIPPETS = snippets_of("content.md")
COMPLETE_SNIPPETS = [snippet for snippet in CONTENT_SNIPPETS if snippet.startswith("from ")]
BATCH_DAGS = {found[1]: text for text in snippets_of("batches.md") if (found := re.search(r"^def (\w+)", text, re.M))}

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
#: Packages of which the module map names only what is special.
OUTLINED = {"operators", "sensors", "decorators", "dags", "bundled"}

_, MODULES, HOOK, _ = re.split(r"^## .*\n", (ROOT / "docs" / "api.md").read_text(), flags=re.MULTILINE)
MODULE_ROWS = re.findall(r"^\| `([a-z_.]+)` \| (.*?) \|$", MODULES, re.MULTILINE)
HOOK_MEMBERS = re.findall(r"^\| `([a-z_]+)(?:\(.*\))?` \|", HOOK, re.MULTILINE)


@pytest.mark.parametrize("snippet", COMPLETE_SNIPPETS, ids=range(len(COMPLETE_SNIPPETS)))
def test_snippet_of_content_page_can_be_executed(snippet):
    if "GeminiRetryPolicy" in snippet and retry_policy.RetryPolicy is object:
        pytest.skip("retry policies need Airflow 3.3")

    exec(compile(snippet, "docs/content.md", "exec"), {})


def test_many_prompts_for_one_file_upload_it_once(emulator, text_file, tmp_path, airflow_db, monkeypatch):
    [snippet] = [snippet for snippet in COMPLETE_SNIPPETS if "PROMPTS" in snippet]
    assert snippet.count("/data/meeting.mp3") == 1
    (tmp_path / "minutes_of_docs.py").write_text(snippet.replace("/data/meeting.mp3", str(text_file)))
    monkeypatch.syspath_prepend(tmp_path)
    bundle = {"name": "docs", "classpath": LOCAL_BUNDLE, "kwargs": {"path": str(tmp_path)}}
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))

    run = importlib.import_module("minutes_of_docs").minutes().test()

    assert run.state == "success"
    calls = [entry["call"] for entry in emulator.journal]
    assert [calls.count(call) for call in ("start", "generate", "delete")] == [1, 3, 1]


def test_incomplete_snippet_of_content_page_equals_the_example():
    [excerpt] = set(CONTENT_SNIPPETS) - set(COMPLETE_SNIPPETS)
    source = (EXAMPLE_DAGS / "gemini_files_invoices.py").read_text()
    [marked] = re.findall(r"# \[START extract\]\n(.*?) *# \[END extract\]", source, re.DOTALL)

    assert textwrap.dedent(marked) == excerpt


@pytest.fixture
def run_batch_dag(emulator, tmp_path, airflow_db, monkeypatch):
    """Return a function that runs a Dag of the page about batches on local files; it returns the run."""
    (tmp_path / "texts").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "texts" / name).write_text(f"the text of {name}")
    monkeypatch.setattr(GeminiOperator, "clock", FakeClock(emulator))
    bundle = {"name": "docs", "classpath": LOCAL_BUNDLE, "kwargs": {"path": str(tmp_path)}}
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    monkeypatch.syspath_prepend(tmp_path)

    def run(dag_id: str, **params: object):
        module = f"{dag_id}_of_docs"
        (tmp_path / f"{module}.py").write_text(BATCH_DAGS[dag_id].replace("/data/", f"{tmp_path}/"))
        return getattr(importlib.import_module(module), dag_id)().test(run_conf=params)

    return run


def batch_rows(tmp_path: Path) -> list[dict[str, object]]:
    [output] = (tmp_path / "out").iterdir()
    return [json.loads(line) for line in output.read_text().splitlines()]


def test_each_dag_of_batches_page_is_run_here():
    tests = "".join(Path(__file__).read_text().partition("def test_each_dag")[2])

    assert [dag_id for dag_id in BATCH_DAGS if f'run_batch_dag("{dag_id}"' not in tests] == []


def test_requests_of_a_list_are_answered_under_their_keys_in_rows_as_shown(run_batch_dag, tmp_path):
    page = (ROOT / "docs" / "batches.md").read_text()
    shown = [json.loads(line) for line in re.findall(r'^\{"key".*"finish_reason".*\}$', page, re.MULTILINE)]

    assert run_batch_dag("sort_reviews").state == "success"

    rows = batch_rows(tmp_path)
    assert [row["key"] for row in rows] == ["review-17", "review-18"]
    assert {tuple(row) for row in shown} == {tuple(row) for row in rows}


def test_lines_of_batches_page_are_asked_and_their_rows_are_loaded(run_batch_dag, hook, tmp_path):
    [lines] = re.findall(r"```json\n(.*?clip-1.*?)```", (ROOT / "docs" / "batches.md").read_text(), re.DOTALL)
    for name in re.findall("files/[a-z]+", lines):
        lines = lines.replace(name, hook.upload_bytes(name.encode(), f"{name[-3:]}.txt").name)
    (tmp_path / "requests.jsonl").write_text(lines)

    run = run_batch_dag("ask_lines")

    assert run.state == "success"
    assert [row["key"] for row in batch_rows(tmp_path)] == ["clip-1", "clip-2"]
    [load] = [ti for ti in run.get_task_instances() if ti.task_id == "load"]
    assert load.xcom_pull(task_ids="load") == {"answered": 2, "failed": 0}


def test_job_is_cancelled_and_files_are_deleted_after_the_batch(run_batch_dag, emulator, tmp_path):
    run = run_batch_dag("count_words")

    assert {ti.task_id: ti.state for ti in run.get_task_instances()} == dict.fromkeys(
        ("upload", "count", "cancel", "delete"), "success"
    )
    assert [row["key"] for row in batch_rows(tmp_path)] == ["a.txt", "b.txt"]
    calls = [entry["call"] for entry in emulator.journal]
    # Two texts and the requests; the result file stays.
    assert [calls.count(call) for call in ("create_batch", "cancel_batch", "delete")] == [1, 0, 3]


def test_job_of_another_tool_is_waited_for(run_batch_dag, emulator, hook):
    emulator.settings.job_seconds = 0
    lines = b'{"key": "a", "request": {"contents": [{"parts": [{"text": "Why?"}]}]}}'
    file = hook.upload_bytes(lines, "requests.jsonl", mime_type="application/jsonl")
    job = hook.batches.submit("gemini-3.8-flash", "a job of another tool", file.name)

    run = run_batch_dag("wait_for_job", job=job.name)

    assert run.state == "success"


def test_excerpt_of_batches_page_equals_the_example():
    [excerpt] = set(snippets_of("batches.md")) - set(BATCH_DAGS.values())
    source = (EXAMPLE_DAGS / "gemini_files_batch.py").read_text()
    [marked] = re.findall(r"# \[START batch\]\n(.*?) *# \[END batch\]", source, re.DOTALL)

    assert textwrap.dedent(marked) == excerpt


def test_batches_page_explains_each_kind_of_row():
    page = (ROOT / "docs" / "batches.md").read_text()

    assert [kind for kind in RowKind if f"| `{kind}` |" not in page] == []


def test_batches_page_explains_each_argument_of_its_own():
    page = (ROOT / "docs" / "batches.md").read_text()
    arguments = inspect.signature(GeminiBatchGenerateContentOperator.__init__).parameters

    assert [name for name in arguments if name not in {"self", "kwargs"} and name not in page] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page):
    links = re.findall(r"\]\(((?!https?:)[^)]+)\)", page.read_text())
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_storage_page_explains_each_reason_to_keep_a_file():
    page = (ROOT / "docs" / "storage.md").read_text()

    # Those before it are reasons to delete.
    reasons = list(Reason)[list(Reason).index(Reason.KEEP_LIST) :]

    assert [reason for reason in reasons if f"| `{reason}` |" not in page] == []


@pytest.mark.parametrize("option", get_provider_info()["config"]["gemini_files"]["options"])
def test_configuration_option_is_documented(option):
    assert f"`{option}`" in (ROOT / "README.md").read_text()
    assert f"`{option}`" in (ROOT / "docs" / "api.md").read_text()


def test_module_map_names_every_module():
    [modules] = re.findall(r"```\n(airflow_provider_gemini_files/\n.*?)```", ARCHITECTURE, re.DOTALL)
    package = ROOT / "airflow_provider_gemini_files"

    paths = [path for path in package.rglob("*.py") if not path.name.startswith("__") and "emulator" not in path.parts]

    assert len(paths) > 80
    assert [path.name for path in paths if path.name not in modules and path.parent.name not in OUTLINED] == []


@pytest.mark.parametrize(("module", "cell"), MODULE_ROWS, ids=[module for module, _ in MODULE_ROWS])
def test_public_names_can_be_imported(module, cell):
    imported = importlib.import_module(f"airflow_provider_gemini_files.{module}")

    for name in re.findall(r"`(\w+)`", cell):
        assert hasattr(imported, name), name


@pytest.mark.parametrize("member", HOOK_MEMBERS)
def test_public_hook_member_exists_and_is_documented(member):
    assert getattr(GeminiFilesHook, member).__doc__


def test_snippet_of_hook_runs(emulator, text_file):
    [snippet] = re.findall(r"```python\n(.*?)```", HOOK, re.DOTALL)
    assert "/data/clip.mp4" in snippet

    exec(compile(snippet.replace("/data/clip.mp4", str(text_file)), "docs/api.md", "exec"), {})

    calls = [entry["call"] for entry in emulator.journal]
    assert [calls.count(call) for call in ("start", "list", "delete")] == [1, 1, 1]
