"""Modules and examples use nothing that Airflow is going to remove; conftest.py checks the other tests for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support import EXAMPLE_DAGS

PACKAGE = "airflow_provider_gemini_files"
#: Airflow's own categories; all of them are kinds of DeprecationWarning or FutureWarning.
CATEGORIES = ("RemovedInAirflow4Warning", "AirflowProviderDeprecationWarning", "DeprecatedImportWarning")
#: Prints the category, the file and the text of each warning. A new process, as Python warns at the first import only.
SCRIPT = f"""
import importlib, json, pkgutil, runpy, sys, warnings
import airflow.sdk
import {PACKAGE} as package

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for module in pkgutil.walk_packages(package.__path__, "{PACKAGE}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for path in sys.argv[1:]:
        runpy.run_path(path)
print(json.dumps([(type(one.message).__name__, one.filename, str(one.message)) for one in caught]))
"""


def test_modules_and_examples_use_nothing_that_is_deprecated():
    examples = list(map(str, EXAMPLE_DAGS.glob("*.py")))
    run = subprocess.run([sys.executable, "-c", SCRIPT, *examples], capture_output=True, text=True, check=True)

    # What a provider of Airflow imports is not ours.
    ours = [
        (category, file, text)
        for category, file, text in json.loads(run.stdout.splitlines()[-1])
        if (category in CATEGORIES and "airflow/providers" not in file) or is_ours(Path(file))
    ]
    assert examples
    assert ours == []


def is_ours(path: Path) -> bool:
    return PACKAGE in path.parts or path.parent == EXAMPLE_DAGS
