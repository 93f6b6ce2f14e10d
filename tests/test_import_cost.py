"""Parsing a Dag is free: what an operator module imports is what Airflow has imported anyway."""

from __future__ import annotations

import json
import subprocess
import sys

from airflow_provider_gemini_files.provider_info import get_provider_info

MODULES = [
    module
    for kind in ("operators", "sensors", "triggers")
    for entry in get_provider_info()[kind]
    for module in entry["python-modules"]
] + [
    f"airflow_provider_gemini_files.{name}"
    # Every process of Airflow loads the plugins.
    for name in ("decorators.content", "notifications.storage", "retry_policy", "ui.plugin")
]
SCRIPT = f"""
import json, sys
import airflow.sdk
from airflow.providers.common.compat.sdk import conf
before = set(sys.modules)
import {", ".join(MODULES)}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
CLEANUP_DAG = """
import json, sys
from airflow.sdk import DAG, Asset, BaseOperator
from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag
with DAG("another", schedule="*/30 * * * *"):
    BaseOperator(task_id="a_task", outlets=[Asset("file:///a_file")])
before = set(sys.modules)
build_cleanup_dag()
print(json.dumps(sorted(set(sys.modules) - before)))
"""
LIFE = """
import sys
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
hook = GeminiFilesHook()
print(hook.test_connection())
file = hook.wait_for_file(hook.upload_bytes(b"some words", "note.txt"))
hook.list_files()
hook.delete_file(file)
print(any(name.startswith("google.genai") for name in sys.modules))
"""


def last_line(script: str) -> str:
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()[-1]


def test_operator_modules_import_nothing_heavy():
    added = json.loads(last_line(SCRIPT))

    heavy = {"google", "httpx", "httpx2", "requests", "fastapi", "starlette", "uvicorn"}
    assert [name for name in added if name.split(".")[0] in heavy] == []
    assert "airflow_provider_gemini_files.hooks.sdk" not in added
    assert [name for name in added if name.startswith("airflow_provider_gemini_files.emulator")] == []
    # A bound on what may creep in: today it is our own modules, and a few of Airflow's.
    assert len([name for name in added if not name.startswith("airflow")]) <= 5


def test_cleanup_dag_imports_no_provider():
    """``Asset`` would import the asset handlers of all that are installed; common-io, which has one, always is."""
    assert json.loads(last_line(CLEANUP_DAG)) == []


def test_task_that_asks_no_model_does_not_import_the_sdk(emulator):
    assert last_line(LIFE) == "False"
    assert [entry["method"] for entry in emulator.journal] == ["GET", "POST", "POST", "GET", "GET", "DELETE"]
