"""A real Airflow for all tests of a process, connected to one emulator; its identity is an Airflow Variable."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_airflow import LocalAirflow, connection
from support import API_KEY, EXAMPLE_DAGS

from airflow_provider_gemini_files.deployment import VARIABLE
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.clock import Clock

HERE = Path(__file__).parent
#: Quota of the connection gemini_small, which is in a secrets backend.
SMALL = 200 * 1024**2
ROOT = HERE.parent.parent


@pytest.fixture(scope="session")
def _service() -> Iterator[GeminiEmulator]:
    with GeminiEmulator() as emulator:
        yield emulator


@pytest.fixture
def service(_service: GeminiEmulator) -> GeminiEmulator:
    """Return the emulator, empty."""
    # An earlier test may have moved the clock; a cleanup computes ages by the clock of this machine.
    _service.emulator.clock = Clock()
    _service.reset()
    _service.settings.video_seconds = 1
    return _service


@pytest.fixture(scope="session")
def airflow(_service: GeminiEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """Return Airflow with the example Dags, those of README and docs, those of this folder, and the bundle's."""
    home = tmp_path_factory.mktemp("airflow")
    # The bundle has a Dag of the same name.
    not_the_cleanup = shutil.ignore_patterns("gemini_files_cleanup.py")
    dags = shutil.copytree(EXAMPLE_DAGS, home / "dags", ignore=not_the_cleanup)
    shutil.copytree(HERE / "dags", dags, dirs_exist_ok=True)
    for page in ("README.md", "docs/start.md", "docs/ways_in.md"):
        for number, dag in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)):
            (dags / f"{Path(page).stem.lower()}_{number}.py").write_text(dag)
    storage = (ROOT / "docs" / "storage.md").read_text()
    [dag] = re.findall(r"```python\n([^`]*\nafter_each_cleanup\(\)\n)```", storage)
    (dags / "after_each_cleanup.py").write_text(dag)
    [bundles] = re.findall(r"DAG_BUNDLE_CONFIG_LIST='(.*?)'", storage, re.DOTALL)
    # A connection that is neither in the database nor in the environment, as with HashiCorp Vault.
    secrets = tmp_path_factory.mktemp("secrets") / "connections.json"
    small = {"conn_type": "gemini", "host": _service.base_url, "password": API_KEY, "extra": {"quota_bytes": SMALL}}
    secrets.write_text(json.dumps({"gemini_small": small}))
    prices = tmp_path_factory.mktemp("prices") / "prices.json"
    listed = {"gemini-3.8-flash": {"input": 1, "output": 10, "cached_input": 0.1, "cache_storage": 2}}
    prices.write_text(json.dumps({"currency": "EUR", "valid_from": "2020-01-01", "source": "us", "models": listed}))
    env = connection(host=_service.base_url, key=API_KEY) | {
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(secrets)}),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": bundles,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "AIRFLOW__GEMINI_FILES__PRICES_FILE": str(prices),
        # Airflow soon notices that a triggerer was killed or is suspended.
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
    }
    with LocalAirflow(home, dags, env, users={"admin": "admin", "viewer": "viewer"}) as running:
        yield running
        kept = [str(path) for path in home.rglob("*") if path.is_file() and API_KEY.encode() in path.read_bytes()]
        assert kept == [], "The API key is in what the runs have left behind."


@pytest.fixture
def deployment(airflow: LocalAirflow) -> str:
    """Return the identity of this Airflow; create it if no task has done so yet."""
    if VARIABLE not in {variable["key"] for variable in airflow.api("GET", "/variables")["variables"]}:
        airflow.api("POST", "/variables", json={"key": VARIABLE, "value": "of-the-tests"})
    return airflow.api("GET", f"/variables/{VARIABLE}")["value"]
