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
    for name in ("decorators.content", "retry_policy", "ui.plugin")
]
SCRIPT = f"""
import json, sys
import airflow.sdk
from airflow.providers.common.compat.sdk import conf
before = set(sys.modules)
import {", ".join(MODULES)}
print(json.dumps(sorted(set(sys.modules) - before)))
import airflow_provider_gemini_files.hooks.event_loop
print(json.dumps("google.genai" in sys.modules))
"""


def test_operator_modules_import_nothing_heavy_and_looks_from_an_event_loop_do_without_the_sdk():
    output = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    added, looks_need_the_sdk = (json.loads(line) for line in output.splitlines()[-2:])

    heavy = {"google", "httpx", "httpx2", "requests", "fastapi", "starlette", "uvicorn"}
    assert [name for name in added if name.split(".")[0] in heavy] == []
    assert "airflow_provider_gemini_files.hooks.sdk" not in added
    assert [name for name in added if name.startswith("airflow_provider_gemini_files.emulator")] == []
    # A bound on what may creep in: today it is our own modules, and a few of Airflow's.
    assert len([name for name in added if not name.startswith("airflow")]) <= 5
    assert not looks_need_the_sdk
