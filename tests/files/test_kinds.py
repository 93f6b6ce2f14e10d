from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_provider_gemini_files
from airflow_provider_gemini_files.files.kinds import Kind, bytes_by_kind, kind_of
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.policy import RunState
from airflow_provider_gemini_files.files.reference import GeminiFile

RUNS = {("dag", state.value): state for state in RunState if state is not RunState.UNKNOWN}


def owned(run: str, deployment: str | None = "here", **fields) -> GeminiFile:
    owner = Owner("dag", run, "task", deployment=deployment)
    return GeminiFile("files/a", display_name=display_name_for("a", owner), owner=owner, **fields)


@pytest.mark.parametrize(
    ("run", "kind"),
    [("running", "running"), ("finished", "finished"), ("gone", "finished"), ("unknown", "unknown")],
)
def test_kind_of_a_file_is_the_state_of_its_run(run, kind):
    assert kind_of(owned(run), RUNS, "here") == kind


@pytest.mark.parametrize("deployment", ["elsewhere", None])
def test_runs_of_another_deployment_are_elsewhere_even_if_a_run_here_has_the_same_name(deployment):
    assert kind_of(owned("running", deployment), RUNS, "here") is Kind.ELSEWHERE


def test_files_without_a_run_are_shared_or_foreign():
    shared = GeminiFile("files/a", display_name=display_name_for("a", None, shared=True, deployment="here"))

    assert kind_of(shared, RUNS, "here") is Kind.SHARED
    assert kind_of(shared, RUNS, "there") is Kind.ELSEWHERE
    assert kind_of(GeminiFile("files/b"), RUNS, "here") is Kind.FOREIGN


def test_bytes_are_counted_by_kind_without_registered_files():
    files = [
        owned("running", size_bytes=1),
        owned("finished", size_bytes=20),
        owned("gone", size_bytes=300),
        GeminiFile("files/b", size_bytes=5000, source="REGISTERED"),
    ]

    assert bytes_by_kind(files, RUNS, "here") == dict.fromkeys(Kind, 0) | {"running": 1, "finished": 320}


def test_page_has_the_same_kinds_in_the_same_order():
    script = Path(airflow_provider_gemini_files.__file__).parent / "ui" / "static" / "files.js"
    [block] = re.findall(r"KINDS = \{(.*?)\}", script.read_text(), re.DOTALL)

    assert re.findall(r"(\w+):", block) == [*Kind]
