"""The project in docs/testing works as it is, and so does what the page about tests shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "docs" / "testing"
PAGE = (ROOT / "docs" / "testing.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FAULTS = re.findall(r"\| `((?:faults|answers)\.add\(.*\))` \|$", PAGE, re.MULTILINE)


@pytest.mark.airflow
def test_template_and_snippets_pass(tmp_path):
    """The snippets are run as further tests of the copied project, with its fixtures."""
    project = tmp_path / "my-dags"
    shutil.copytree(TEMPLATE, project, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    for number, snippet in enumerate(SNIPPETS):
        (project / "tests" / f"test_snippet_{number}.py").write_text(snippet)
    # Nothing of this test's own Airflow; a key in the environment is not used.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {"GEMINI_API_KEY": "not-to-be-used", "PYTHONPATH": str(ROOT)}
    # The project has no other plugins; to import those of this environment takes seconds.
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"

    plugin = "airflow_provider_gemini_files.emulator.pytest_plugin"
    command = [sys.executable, "-m", "pytest", "-q", "--show-capture=no", "-p", plugin]
    run = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=600, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr
    own = (TEMPLATE / "tests" / "test_dags.py").read_text().count("\ndef test_")
    assert f"{own + len(SNIPPETS)} passed" in run.stdout
    assert (own, len(SNIPPETS)) == (4, 3)


def test_each_fault_of_the_page_can_be_added(gemini_emulator):
    assert len(FAULTS) == 13
    for call in FAULTS:
        eval(call, {"faults": gemini_emulator.faults, "answers": gemini_emulator.answers})
    gemini_emulator.reset()


def test_readme_of_the_template_lists_its_files():
    named = set(re.findall(r"^\| `(.+?)` \|", (TEMPLATE / "README.md").read_text(), re.MULTILINE))
    tracked = subprocess.run(["git", "ls-files", "."], cwd=TEMPLATE, capture_output=True, text=True, check=True).stdout

    assert named | {"README.md"} == set(tracked.split())


def test_workflow_of_the_template_runs_its_tests():
    [workflow] = (TEMPLATE / ".github" / "workflows").iterdir()
    [job] = yaml.safe_load(workflow.read_text())["jobs"].values()

    assert job["steps"][-1] == {"run": "uv run pytest"}
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())
    assert project["dependency-groups"]["dev"] == ["pytest"]
    assert project["project"]["dependencies"] == ["airflow-provider-gemini-files[emulator]"]
