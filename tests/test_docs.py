"""Check the documentation: snippets run, links resolve, and documented names exist."""

from __future__ import annotations

import importlib
import json
import re
import textwrap
from pathlib import Path

import pytest
from support import EXAMPLE_DAGS

from airflow_provider_gemini_files import retry_policy
from airflow_provider_gemini_files.files.policy import Reason
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.provider_info import get_provider_info

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"

CONTENT_SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "content.md").read_text(), re.DOTALL)
COMPLETE_SNIPPETS = [snippet for snippet in CONTENT_SNIPPETS if snippet.startswith("from ")]

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
