"""The workflows on GitHub run what the Makefile has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}
#: Targets for people, and those that measure or need a database server.
NOT_IN_CI = {"bench", "clean", "cluster", "cluster-test", "demo", "docs-serve", "help", "tables", "test", "up"}


def steps_of(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


def test_ci_runs_each_target():
    [phony] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    run = {target for step in steps_of(WORKFLOWS["ci"]) for target in re.findall(r"make ([\w-]+)", step.get("run", ""))}

    # `coverage` runs the tests, too.
    assert run == set(phony.split()) - NOT_IN_CI


@pytest.mark.parametrize("name", WORKFLOWS)
def test_each_job_ends_and_has_few_rights(name):
    workflow = WORKFLOWS[name]

    assert workflow["permissions"] == {"contents": "read"}
    assert [name for name, job in workflow["jobs"].items() if "uses" not in job and "timeout-minutes" not in job] == []
    checkouts = [step for step in steps_of(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert [step for step in checkouts if step["with"] != {"persist-credentials": False}] == []


def test_nothing_is_published_before_all_checks():
    jobs = WORKFLOWS["release"]["jobs"]

    assert [jobs[name]["needs"] for name in ("ci", "build", "publish", "release")] == [
        "notes",
        "ci",
        "build",
        "publish",
    ]
    assert (jobs["publish"]["environment"], jobs["publish"]["permissions"]) == ("pypi", {"id-token": "write"})
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text()
