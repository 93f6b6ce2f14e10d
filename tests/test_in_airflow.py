"""The quickstart through a real scheduler, worker and triggerer; and a search for the key in all they leave behind."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from local_airflow import LocalAirflow, connection
from support import API_KEY, EXAMPLE_DAGS

from airflow_provider_gemini_files.emulator import GeminiEmulator

pytestmark = pytest.mark.airflow
DAG = "gemini_files_quickstart"
README = Path(__file__).parent.parent / "README.md"


@pytest.fixture(scope="module")
def service() -> Iterator[GeminiEmulator]:
    with GeminiEmulator(video_seconds=4) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def airflow(service: GeminiEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("airflow")
    dags = shutil.copytree(EXAMPLE_DAGS, home / "dags")
    [dag] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (dags / "readme.py").write_text(dag)
    env = connection(host=service.base_url, key=API_KEY) | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
    with LocalAirflow(home, dags, env) as running:
        yield running


def test_the_quickstart_runs_and_its_wait_takes_no_worker(airflow: LocalAirflow, service: GeminiEmulator):
    run_id = airflow.trigger(DAG)
    seen: set[str] = set()
    while airflow.run_state(DAG, run_id) not in ("success", "failed"):
        seen |= {f"{task['task_id']} {task['state']}" for task in airflow.tasks(DAG, run_id)}
        time.sleep(0.2)

    assert airflow.run_state(DAG, run_id) == "success"
    assert "wait_until_active deferred" in seen
    files = airflow.xcom(DAG, run_id, "upload", "files")
    answer = airflow.xcom(DAG, run_id, "ask")
    for number, file in enumerate(files, 1):
        expected = f"{number}. {file['name']} {file['mime_type']}, {file['size_bytes']} bytes, sha256 {file['sha256']}"
        assert expected in answer
    assert [file["state"] for file in files] == ["PROCESSING", "ACTIVE", "ACTIVE"]
    assert airflow.xcom(DAG, run_id, "wait_until_active") == [file["name"] for file in files]
    assert service.usage() == {"files": 0, "bytes": 0}


def test_a_failing_question_deletes_the_files_and_the_run_is_failed(airflow: LocalAirflow, service: GeminiEmulator):
    run_id = airflow.trigger(DAG, conf={"model": "gemini-1.5-flash"})

    assert airflow.wait(DAG, run_id) == "failed"
    assert {task["task_id"]: task["state"] for task in airflow.tasks(DAG, run_id)} == {
        "upload": "success",
        "wait_until_active": "success",
        "ask": "failed",
        "delete": "success",
    }
    assert service.usage() == {"files": 0, "bytes": 0}


def test_the_dag_of_the_readme_runs(airflow: LocalAirflow, service: GeminiEmulator, video_file: Path):
    run_id = airflow.trigger("describe_video", conf={"video": str(video_file)})

    assert airflow.wait("describe_video", run_id) == "success"
    assert airflow.xcom("describe_video", run_id, "describe").endswith("I was asked: What happens here?")
    assert service.usage() == {"files": 0, "bytes": 0}


def test_the_connection_form_is_labelled(airflow: LocalAirflow):
    # The route behind the form of the UI; it is not part of the public API.
    forms = httpx.get(f"{airflow.url}/ui/connections/hook_meta", headers=airflow.headers).json()
    [form] = [form for form in forms if form["connection_type"] == "gemini"]

    assert form["hook_name"] == "Google Gemini API"
    assert form["standard_fields"]["password"]["title"] == "API key"
    assert form["standard_fields"]["host"]["placeholder"] == "https://generativelanguage.googleapis.com"
    if airflow.version >= (3, 2):
        assert set(form["extra_fields"]) == {"api_version", "model", "quota_bytes", "timeout", "max_retries"}


def test_the_test_button_works(airflow: LocalAirflow, service: GeminiEmulator):
    body = {"connection_id": "tried", "conn_type": "gemini", "host": service.base_url, "password": API_KEY}

    assert airflow.api("POST", "/connections/test", json=body) == {
        "status": True,
        "message": f"The Gemini API at {service.base_url} accepts the key and lists files (v1beta).",
    }


def test_no_log_no_table_and_no_output_holds_the_key(airflow: LocalAirflow):
    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in files)

    assert [str(path) for path in files if API_KEY.encode() in path.read_bytes()] == []
    assert _upload_ids_in(files) == []
    # The database is a file, too; this shows that there was something in it to find.
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        assert database.execute("select count(*) from xcom where value like '%files/af%'").fetchone()[0] > 0


def _upload_ids_in(files: list[Path]) -> list[str]:
    return [str(path) for path in files if b"upload_id=" in path.read_bytes()]
