"""The documentation: its snippets run, and its tables are complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from airflow_provider_gemini_files.emulator.__main__ import _OPTIONS
from airflow_provider_gemini_files.emulator.app import NAMES
from airflow_provider_gemini_files.emulator.control import ROUTES
from airflow_provider_gemini_files.emulator.faults import ACTIONS, Fault
from airflow_provider_gemini_files.emulator.replies import ScriptedReply

TEXT = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()


def section(title: str) -> str:
    return re.split(r"^##+ ", TEXT.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.M)[0]


def first_cells(title: str) -> set[str]:
    rows = re.findall(r"^\| (.*?) \|", section(title), flags=re.M)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_snippets_run(tmp_path):
    pytest.importorskip("google.genai")
    for number, snippet in enumerate(re.findall(r"```python\n(.*?)```", TEXT, flags=re.S)):
        (tmp_path / f"test_snippet_{number}.py").write_text(snippet)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "8 passed" in done.stdout


def test_every_action_is_documented():
    assert first_cells("Actions") == ACTIONS


def test_every_field_of_a_fault_is_documented():
    rows = set(re.findall(r"^\| (`.*?`) \|", section("Faults"), flags=re.M))
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert documented == {f.name for f in fields(Fault) if f.init}


def test_every_field_of_an_answer_is_documented():
    assert first_cells("Scripted answers") == {f.name for f in fields(ScriptedReply)}


def test_every_method_is_documented():
    assert set(re.findall(r"`(\w+)`", section("Methods"))) >= NAMES


def test_every_flag_is_documented_with_its_variable():
    assert first_cells("As a command") == {f"--{option.flag}" for option in _OPTIONS}
    assert {option.variable for option in _OPTIONS} <= set(re.findall(r"`(\w+)`", section("As a command")))


def test_every_control_path_is_documented():
    documented = section("Control paths")
    assert all(route.path in documented for route in ROUTES)
