"""The reference describes everything that is public."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import examples
import metric_meanings
import pytest
import settings_pages
import source_scan
import tables
from reference import Entry, Reference, UndocumentedError
from troubleshooting import with_messages

from airflow_provider_gemini_files import exceptions
from airflow_provider_gemini_files.emulator.faults import ACTIONS
from airflow_provider_gemini_files.hooks.extras import ConnectionExtras
from airflow_provider_gemini_files.provider_info import get_provider_info

DOCS = Path(__file__).parent.parent.parent / "docs"
API = (DOCS / "api.md").read_text()
PACKAGE = "airflow_provider_gemini_files"
ERRORS = [name for name in vars(exceptions) if re.fullmatch(r"Gemini\w+Error", name)]


@pytest.fixture(scope="module")
def described() -> Reference:
    return Reference(API)


@pytest.fixture(scope="module")
def pages(described) -> dict[str, str]:
    return described.pages()


def headings(page: str) -> list[str]:
    return re.findall(r"^##+ (.*)", page, re.MULTILINE)


def test_each_public_name_has_an_entry(described, pages):
    assert len(described.entries) > 60
    assert [
        entry.name for entry in described.entries if headings(pages[f"{entry.page}.md"]).count(entry.name) != 1
    ] == []


def test_each_operator_and_sensor_is_public(described):
    info = get_provider_info()
    modules = {module for kind in ("operators", "sensors") for part in info[kind] for module in part["python-modules"]}
    classes = {
        name
        for module in modules
        for name, value in vars(importlib.import_module(module)).items()
        if inspect.isclass(value) and value.__module__ == module and name.startswith("Gemini")
    }

    assert classes - {entry.name for entry in described.entries} == set()


def test_each_public_member_of_the_hook_is_described(described, pages):
    assert set(described.hook_members) <= set(headings(pages["hook.md"]))


def test_each_key_that_is_pushed_is_one_of_an_operator(pages):
    listed = " ".join(line for page in pages.values() for line in re.findall(r"\*\*XCom keys\*\*.*", page))

    assert {key for key in source_scan.xcom_keys() if f"`{key}`" not in listed} == set()


def test_operator_lists_arguments_of_its_bases_once(pages):
    page = pages["operators_content.md"].partition("## GeminiCountTokensOperator")[0]

    for name in ("prompt", "gemini_conn_id", "with_source", "via"):
        assert len(re.findall(rf"^\| `{name}` \|", page, re.MULTILINE)) == 1
    assert "| `'auto'`, `'inline'`, `'upload'`, `'register'`, `'url'` |" in page


def test_links_lead_to_entries(pages):
    for name, page in pages.items():
        for target, anchor in re.findall(r"\]\(([a-z_]+\.md)#([\w-]+)\)", page):
            found = {heading.lower().replace(" ", "-").replace(".", "") for heading in headings(pages[target])}
            assert anchor in found, (name, target, anchor)


def test_name_without_docstring_is_refused(described, mocker):
    mocker.patch.object(Entry, "value", type("Bare", (), {}))

    with pytest.raises(UndocumentedError, match=r"files\.policy\.Bare is public and has no docstring"):
        described.summary(Entry("files.policy", "Bare"))


def test_module_without_page_is_refused():
    with pytest.raises(UndocumentedError, match="no page of the reference is for the module common"):
        Entry("common.units", "human_bytes").page  # noqa: B018


def test_connection_page_has_each_field_and_option():
    page = settings_pages.connection_page()

    options = get_provider_info()["config"]["gemini_files"]["options"]
    assert [name for name in (*ConnectionExtras.model_fields, *options) if f"| `{name}` |" not in page] == []


def test_command_line_page_has_each_command():
    page = settings_pages.cli_page()

    for command in ("usage", "list", "cleanup"):
        assert f"## airflow gemini-files {command}" in page
    assert "| `-y`, `--yes` | delete without asking |" in page


def test_each_metric_leads_to_its_guide(pages):
    rows = re.findall(r"^\| `gemini_files\..*", pages["metrics.md"], re.MULTILINE)

    assert len(rows) == len(source_scan.metrics())
    assert [row for row in rows if ".md)" not in row] == []


def test_each_metric_has_a_meaning():
    assert set(metric_meanings.MEANINGS) == {metric.name for metric in source_scan.metrics()}


def test_each_fault_is_listed():
    section = settings_pages.faults_section()

    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == ACTIONS
    assert "| `outage` | HTTP 503 | 503 with an empty body | all |" in section


def test_each_error_says_what_to_do(described):
    advice = tables.advice_of()

    assert [name for name in ERRORS if name not in advice and name != "GeminiFilesError"] == []


def test_troubleshooting_has_each_error_and_its_messages(described):
    written = (DOCS / "troubleshooting.md").read_text()
    page = with_messages(written, described, "reference")
    sections = dict(re.findall(r"^## (GF\d{3})\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))

    assert set(sections) == {getattr(exceptions, name).code for name in ERRORS}
    assert (
        "[`GeminiInputError`](reference/exceptions.md#geminiinputerror). Airflow does not retry it."
        in sections["GF101"]
    )
    assert "- `There is nothing to send: pass prompt or contents.`" in sections["GF101"]


def test_each_argument_has_a_meaning(pages):
    for name, page in pages.items():
        if name != "emulator.md":
            assert re.findall(r"^\| `\w+` \|.*\|  \|$", page, re.MULTILINE) == [], name


def test_each_task_and_member_of_the_hook_has_an_example(described, pages):
    tasks = [entry for entry in described.entries if re.match(r"(operators|sensors)\.", entry.module)]

    assert [entry.name for entry in tasks if not examples.first(entry.name)] == []
    others = [name for name in described.hook_members if not examples.first_of_hook(name)]
    # The first needs Google credentials, and the second is another name for `client`.
    assert others == ["register_files", "get_conn"]
