"""Check the documentation: snippets run, links resolve, and documented names exist."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import textwrap
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from google import genai
from support import API_KEY, EXAMPLE_DAGS, LOCAL_BUNDLE, seed

from airflow_provider_gemini_files import retry_policy
from airflow_provider_gemini_files.batches.rows import RowKind
from airflow_provider_gemini_files.caches.recipe import CacheRecipe
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.metadata import Origin, to_api
from airflow_provider_gemini_files.file_search.search import citations_of
from airflow_provider_gemini_files.file_search.types import document_type_of
from airflow_provider_gemini_files.files.policy import Reason
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.notifications.storage import GeminiStorageAlert
from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator
from airflow_provider_gemini_files.operators.caches import GeminiCreateCacheOperator, GeminiDeleteCacheOperator
from airflow_provider_gemini_files.operators.file_search import (
    GeminiAddDocumentsOperator,
    GeminiSyncFileSearchStoreOperator,
    _DocumentsOperator,
)
from airflow_provider_gemini_files.provider_info import get_provider_info

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def snippets_of(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


CONTENT_SNIPPETS = snippets_of("content.md")
COMPLETE_SNIPPETS = [snippet for snippet in CONTENT_SNIPPETS if snippet.startswith("from ")]


def dags_of(page: str) -> dict[str, str]:
    dag = re.compile(r"^@dag.*?^def (\w+)", re.DOTALL | re.MULTILINE)
    return {found[1]: text for text in snippets_of(page) if (found := dag.search(text))}


BATCH_DAGS = dags_of("batches.md")
SEARCH_DAGS = dags_of("file_search.md")

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
def run_batch_dag(run_dag, tmp_path):
    """Return a function that runs a Dag of the page about batches."""
    (tmp_path / "texts").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "texts" / name).write_text(f"the text of {name}")
    return lambda dag_id, **params: run_dag(BATCH_DAGS[dag_id], dag_id, **params)


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


def test_excerpt_of_caches_page_equals_the_example():
    excerpt, _ = snippets_of("caches.md")
    source = (EXAMPLE_DAGS / "gemini_files_cached_video.py").read_text()
    [marked] = re.findall(r"# \[START cached\]\n(.*?) *# \[END cached\]", source, re.DOTALL)

    assert textwrap.dedent(marked) == excerpt


def test_code_of_caches_page_asks_about_a_cache(emulator, hook, video_file, capsys):
    emulator.settings.video_seconds = 0
    _, snippet = snippets_of("caches.md")

    exec(compile(snippet.replace("/data/clip.mp4", str(video_file)), "docs/caches.md", "exec"), {})

    assert capsys.readouterr().out.strip().endswith("I was asked: What happens here?")
    assert hook.list_caches() == []


def test_caches_page_explains_each_argument_and_each_field_of_xcom():
    page = (ROOT / "docs" / "caches.md").read_text()
    kinds = (GeminiCreateCacheOperator, GeminiDeleteCacheOperator)
    arguments = {name for kind in kinds for name in inspect.signature(kind.__init__).parameters}

    assert [name for name in arguments - {"self", "kwargs"} if name not in page] == []
    assert [one.name for one in fields(CacheRecipe) if f"`{one.name}`" not in page] == []


@pytest.fixture
def manuals(tmp_path):
    """Return a folder of two documents, and one in a folder below it."""
    folder = tmp_path / "manuals"
    (folder / "forms").mkdir(parents=True)
    (folder / "crane.md").write_text("The crane lifts a load of 2,400 kg.")
    (folder / "truck.md").write_text("The truck carries six crates.")
    (folder / "forms" / "repair.md").write_text("Fill in this form before a repair.")
    return folder


@pytest.fixture
def run_search_dag(run_dag, emulator, manuals):
    """Return a function that runs a Dag of the page about file search."""
    emulator.settings.job_seconds = 0
    # A deferred sensor waits by the real clock.
    dags = {dag_id: text.replace("timeout=900", "failed_grace=0") for dag_id, text in SEARCH_DAGS.items()}
    return lambda dag_id, **params: run_dag(dags[dag_id], dag_id, **params)


def result_of(run, task_id: str, key: str = "return_value") -> Any:
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == task_id]
    return ti.xcom_pull(task_ids=task_id, key=key)


def add_document(emulator, store: str, path: Path, **metadata: object) -> str:
    """Add a document without the provider, as other tools do; return its name."""
    client = genai.Client(api_key=API_KEY, http_options={"base_url": emulator.base_url})
    entries = [
        {"key": key, "string_value" if isinstance(value, str) else "numeric_value": value}
        for key, value in metadata.items()
    ]
    config = {"display_name": path.name, "mime_type": "text/plain", "custom_metadata": entries}
    operation = client.file_search_stores.upload_to_file_search_store(
        file_search_store_name=store, file=path, config=config
    )
    return operation.response.document_name


def test_each_dag_of_file_search_page_is_run_here():
    tests = "".join(Path(__file__).read_text().partition("def test_each_dag_of_file_search")[2])

    assert [dag_id for dag_id in SEARCH_DAGS if f'run_search_dag("{dag_id}"' not in tests] == []


def test_folders_are_indexed_and_reported_as_shown(run_search_dag, manuals, tmp_path):
    page = (ROOT / "docs" / "file_search.md").read_text()
    shown = [json.loads(line) for line in re.findall(r'^\{"source".*\}$', page, re.MULTILINE)]

    run = run_search_dag("index_manuals")

    assert run.state == "success"
    assert result_of(run, "sync") == {"added": 3, "replaced": 0, "deleted": 0, "unchanged": 0, "failed": 0}
    [report] = (tmp_path / "out").iterdir()
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert {line["source"] for line in lines} == {str(path) for path in manuals.glob("**/*.md")}
    assert {tuple(line) for line in shown} == {tuple(line) for line in lines}


def test_error_of_a_report_is_worded_as_shown(hook, tmp_path):
    page = (ROOT / "docs" / "file_search.md").read_text()
    [shown] = [json.loads(line)["error"] for line in re.findall(r'^\{"source".*crane.mp4.*\}$', page, re.MULTILINE)]

    with pytest.raises(GeminiInputError) as raised:
        document_type_of("crane.mp4", "video/mp4", bytes)

    assert str(raised.value) == shown


def test_document_is_added_with_the_metadata_of_the_run(run_search_dag, hook):
    run = run_search_dag("add_minutes", year=2025)

    assert run.state == "success"
    [document] = hook.list_documents(result_of(run, "store"))
    assert result_of(run, "add") == [document.name]
    assert document.metadata["year"] == 2025
    assert document.metadata["tags"] == ["minutes", "meeting"]


def test_failed_documents_of_other_tools_are_deleted(run_search_dag, emulator, hook, manuals):
    store = hook.create_file_search_store("Manuals").name
    emulator.faults.add("start_document", "document_failed")
    failed = add_document(emulator, store, manuals / "crane.md")
    kept = add_document(emulator, store, manuals / "truck.md")

    run = run_search_dag("prune_store", store=store)

    assert [document.name for document in hook.list_documents(store)] == [kept]
    assert result_of(run, "delete") == {"deleted": [failed], "missing": []}


def test_question_is_answered_from_the_documents_that_the_filter_selects(run_search_dag, hook, emulator, manuals):
    store = hook.create_file_search_store("Manuals").name
    add_document(emulator, store, manuals / "truck.md", kind="manual", year=2026)
    run_search_dag("index_manuals")
    for path, year in ((manuals / "crane.md", 2024), (manuals / "crane.md", 2020)):
        add_document(emulator, store, path, kind="manual", year=year)

    run = run_search_dag("ask_manuals", store=store)

    assert run.state == "success"
    [citation] = result_of(run, "ask", "response")["citations"]
    assert citation["metadata"] == {"kind": "manual", "year": 2024}
    assert result_of(run, "sources") == []


def test_batch_refuses_the_answer_that_cites_nothing(run_search_dag, hook, tmp_path):
    run_search_dag("index_manuals")
    [store] = hook.list_file_search_stores()
    for path in (tmp_path / "out").iterdir():
        path.unlink()

    run = run_search_dag("ask_many", store=store.name)

    assert run.state == "success"
    load, colour = batch_rows(tmp_path)
    assert load["citations"][0]["title"] == "crane.md"
    assert (colour["value"], colour["error"]["kind"]) == (None, "blocked")


def test_excerpt_of_file_search_page_equals_the_example():
    [excerpt] = set(snippets_of("file_search.md")) - set(SEARCH_DAGS.values())
    source = (EXAMPLE_DAGS / "gemini_files_handbook.py").read_text()
    [marked] = re.findall(r"# \[START handbook\]\n(.*?) *# \[END handbook\]", source, re.DOTALL)

    assert textwrap.dedent(marked) == excerpt


def test_citation_of_file_search_page_has_known_fields():
    page = (ROOT / "docs" / "file_search.md").read_text()
    [shown] = [json.loads(line) for line in re.findall(r'^\{"title".*\}$', page, re.MULTILINE)]
    entries = [{"key": "team", "stringValue": "operations"}]
    entries += to_api(Origin(shown["source"], "x", "y").entries())
    context = {"title": "returns.md", "fileSearchStore": shown["store"], "customMetadata": entries}

    assert citations_of({"groundingChunks": [{"retrievedContext": context}]}) == (shown,)


def test_file_search_page_explains_each_argument():
    page = (ROOT / "docs" / "file_search.md").read_text()
    arguments = {
        name
        for operator in (_DocumentsOperator, GeminiSyncFileSearchStoreOperator, GeminiAddDocumentsOperator)
        for name in inspect.signature(operator.__init__).parameters
    }

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


def test_alert_of_storage_page_sends_a_mail_with_the_usage(emulator, connect, context, mocker):
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    sent = []
    mail = mocker.patch.object(SmtpNotifier, "notify", autospec=True)
    mail.side_effect = lambda notifier, context: sent.append((notifier.subject, notifier.html_content))
    [snippet] = [text for text in snippets_of("storage.md") if "SmtpNotifier" in text]
    found: dict[str, Any] = {}
    exec(compile(snippet, "docs/storage.md", "exec"), found)
    connect(host=emulator.base_url, extra={"quota_bytes": 1000})
    seed(emulator.base_url, {"name": "files/a", "size": 950})

    GeminiStorageAlert(notifier=found["mail"])(context)

    [(subject, text)] = sent
    assert subject == "Gemini storage: 95.0 % full"
    assert text.startswith("The storage of gemini_default is 95.0 % full: 950 B of 1000 B in 1 files.")


def test_storage_page_explains_what_an_alert_takes_and_tells(emulator, context):
    told = []
    seed(emulator.base_url, {"name": "files/a", "size": 950})
    GeminiStorageAlert(notifier=lambda context: told.append(context["gemini_storage"]), at=1e-9)(context)
    [page] = re.findall(r"## Alerts\n(.*?)\n## ", (ROOT / "docs" / "storage.md").read_text(), re.DOTALL)
    explained = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))))

    assert explained == {*told[0], *inspect.signature(GeminiStorageAlert).parameters}


@pytest.mark.parametrize("option", get_provider_info()["config"]["gemini_files"]["options"])
def test_configuration_option_is_documented(option):
    assert f"`{option}`" in (ROOT / "docs" / "connection.md").read_text()
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
