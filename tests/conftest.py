"""Every test sees its own Airflow home, and a Gemini API only where it starts one."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture
from support import API_KEY, EXAMPLE_DAGS, LOCAL_BUNDLE, FakeClock, Variables

# Before anything imports Airflow, which reads its configuration once.
_HOME = tempfile.TemporaryDirectory(prefix="gemini-files-tests-")
os.environ.update(
    AIRFLOW_HOME=_HOME.name,
    AIRFLOW__CORE__DAGS_FOLDER=str(EXAMPLE_DAGS),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME.name}/airflow.db",
    AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
    AIRFLOW__GEMINI_FILES__DEPLOYMENT="tests",
    NO_PROXY="127.0.0.1,localhost",
)
for variable in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
    os.environ.pop(variable, None)

import airflow.exceptions  # noqa: E402
import airflow.sdk.exceptions  # noqa: E402
from google_accounts import google, google_tokens, no_google  # noqa: E402, F401 - fixtures
from object_stores import azure, azure_server, bucket, gcs, gcs_server, s3, s3_server  # noqa: E402, F401 - fixtures

from airflow_provider_gemini_files.emulator import GeminiEmulator  # noqa: E402
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook  # noqa: E402
from airflow_provider_gemini_files.operators.base import GeminiOperator  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    """Let a test fail if Airflow warns that it will remove something, whichever module it names as the caller."""
    # Here and not in pyproject.toml, as pytest would import Airflow before its home is set.
    for module in (airflow.exceptions, airflow.sdk.exceptions):
        for name in ("RemovedInAirflow4Warning", "AirflowProviderDeprecationWarning"):
            if hasattr(module, name):
                config.addinivalue_line("filterwarnings", f"error::{module.__name__}.{name}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """
    Keep the tests of real Airflow in two processes: starting one takes longer than most of them.

    Those of the first mostly wait, so the others run beside them.
    """
    from xdist.scheduler import LoadFileScheduling

    class TwoAirflows(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if "/in_airflow/" not in nodeid:
                return super()._split_scope(nodeid)
            return "waiting" if re.search(r"/test_(batches|waiting)\.py", nodeid) else "in_airflow"

    return TwoAirflows(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest."""
    items.sort(key=lambda item: item.get_closest_marker("airflow") is None)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Make Airflow's database, once."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes the connection ``gemini_default``; its arguments are the connection's fields."""

    def set_connection(**fields: object) -> None:
        fields = {"conn_type": "gemini", "password": API_KEY, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_GEMINI_DEFAULT", json.dumps(fields))

    return set_connection


@pytest.fixture
def emulator(gemini_emulator: GeminiEmulator, connect) -> GeminiEmulator:
    """Return an emulator to which ``gemini_default`` is connected; failures are retried once, quickly."""
    connect(host=gemini_emulator.base_url, extra={"max_retries": 1})
    return gemini_emulator


@pytest.fixture
def in_a_vault(
    gemini_emulator: GeminiEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GeminiEmulator]:
    """Connect ``in_a_vault``, which is neither in the database nor in the environment, but in a secrets backend."""
    path = tmp_path / "connections.json"
    fields = {"conn_type": "gemini", "host": gemini_emulator.base_url, "password": API_KEY}
    path.write_text(json.dumps({"in_a_vault": fields}))
    backend = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", backend)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps({"connections_file_path": str(path)}))
    _forget_secrets_backends()
    yield gemini_emulator
    _forget_secrets_backends()


def _forget_secrets_backends() -> None:
    """Let Airflow read again which secrets backend is configured; some versions do so once in a process, 3.1 always."""
    with contextlib.suppress(ImportError):
        from airflow.sdk.configuration import clear_secrets_backends_cache

        clear_secrets_backends_cache()


@pytest.fixture
def hook(emulator: GeminiEmulator) -> GeminiFilesHook:
    """Return a hook connected to the emulator."""
    return GeminiFilesHook()


@pytest.fixture
def run_dag(emulator: GeminiEmulator, tmp_path: Path, airflow_db: None, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs a Dag of a page on local files, ``/data/`` being ``tmp_path``; it returns the run."""
    monkeypatch.setattr(GeminiOperator, "clock", FakeClock(emulator))
    bundle = {"name": "docs", "classpath": LOCAL_BUNDLE, "kwargs": {"path": str(tmp_path)}}
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    monkeypatch.syspath_prepend(tmp_path)

    def run(text: str, dag_id: str, **params: object):
        module = f"{dag_id}_of_docs"
        # Another test may have imported it with the paths of its own folder.
        monkeypatch.delitem(sys.modules, module, raising=False)
        (tmp_path / f"{module}.py").write_text(text.replace("/data/", f"{tmp_path}/"))
        return getattr(importlib.import_module(module), dag_id)().test(run_conf=params)

    return run


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """Return a small text file."""
    path = tmp_path / "note.txt"
    path.write_text("a note of some words")
    return path


@pytest.fixture
def video_file() -> Path:
    """Return a small video, which the service has to process."""
    return EXAMPLE_DAGS / "media" / "unloading.mp4"


@pytest.fixture
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configure prices: every token costs a millionth, in a batch half of it; return the path of their file."""
    path = tmp_path / "prices.json"
    models = {"*": {"input": 1, "output": 1, "cached_input": 1, "cache_storage": 1, "batch_share": 0.5}}
    path.write_text(json.dumps({"currency": "EUR", "valid_from": "2020-01-01", "models": models}))
    monkeypatch.setenv("AIRFLOW__GEMINI_FILES__PRICES_FILE", str(path))
    return path


class FakeTaskInstance:
    """What operators ask of a task instance."""

    def __init__(self, task_id: str = "upload", map_index: int = -1, run_id: str = "manual__1") -> None:
        self.dag_id = "a_dag"
        self.run_id = run_id
        self.task_id = task_id
        self.map_index = map_index
        self.try_number = 1
        self.pushed: dict[str, object] = {}
        #: What tasks upstream have pushed, by task id and key; a list of it for each task instance.
        self.upstream: dict[tuple[str, str], list[object]] = {}

    def xcom_push(self, key: str, value: object) -> None:
        # As Airflow does: what is not JSON fails.
        self.pushed[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: list[str], key: str, map_indexes: list[int] | None = None) -> list[object]:
        values = [value for task_id in task_ids for value in self.upstream.get((task_id, key), [None])]
        return values if map_indexes is None else [dict(enumerate(values)).get(index) for index in map_indexes]


@pytest.fixture
def ti() -> FakeTaskInstance:
    """Return a task instance that remembers what was pushed."""
    return FakeTaskInstance()


@pytest.fixture
def variables(mocker: MockerFixture) -> Variables:
    """Return the Variables of a process that has a supervisor, as a task has."""
    variables = Variables()
    mocker.patch("airflow.sdk.Variable.get", autospec=True, side_effect=variables.get)
    mocker.patch("airflow.sdk.Variable.set", autospec=True, side_effect=variables.set)
    mocker.patch("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", create=True)
    return variables


@pytest.fixture
def context(ti: FakeTaskInstance) -> Iterator[dict[str, object]]:
    """Return the context of a task."""
    return {"ti": ti}
