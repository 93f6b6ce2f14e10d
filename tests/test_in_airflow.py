"""The quickstart through a real scheduler, worker and triggerer; and a search for the key in all they leave behind."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from local_airflow import LocalAirflow, connection
from support import API_KEY, EXAMPLE_DAGS, upload_videos

from airflow_provider_gemini_files.emulator import GeminiEmulator

pytestmark = pytest.mark.airflow
DAG = "gemini_files_quickstart"
README = Path(__file__).parent.parent / "README.md"


@pytest.fixture(scope="module")
def service() -> Iterator[GeminiEmulator]:
    with GeminiEmulator(video_seconds=1) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def airflow(service: GeminiEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("airflow")
    dags = shutil.copytree(EXAMPLE_DAGS, home / "dags")
    [dag] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (dags / "readme.py").write_text(dag)
    shutil.copy(Path(__file__).parent / "dags" / "waiting.py", dags)
    env = connection(host=service.base_url, key=API_KEY) | {
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        # A triggerer that was killed is soon known to be dead.
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
    }
    with LocalAirflow(home, dags, env) as running:
        yield running


def test_the_quickstart_runs_and_its_wait_takes_no_worker(airflow: LocalAirflow, service: GeminiEmulator):
    service.settings.video_seconds = 10_000
    run_id = airflow.trigger(DAG)
    until(lambda: states(airflow, DAG, run_id, "wait_until_active") == ["deferred"])
    service.clock.advance(10_000)
    service.settings.video_seconds = 1

    assert airflow.wait(DAG, run_id) == "success"
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


def test_many_waits_look_together_also_after_the_triggerer_was_killed(airflow: LocalAirflow, service: GeminiEmulator):
    service.settings.video_seconds = 10_000
    names = upload_videos(service.base_url, 20)
    run_id = airflow.trigger("many_waits", conf={"names": names})
    until(lambda: states(airflow, "many_waits", run_id, "wait").count("deferred") == 20)

    # A few seconds until all have joined; then a page of the list every two seconds.
    time.sleep(5)
    assert 2 <= calls_within(service, 8) <= 6
    airflow.kill("triggerer")
    airflow.start("triggerer")
    until(lambda: calls_within(service, 4) > 0)
    time.sleep(5)
    assert 2 <= calls_within(service, 8) <= 6

    service.clock.advance(10_000)
    assert airflow.wait("many_waits", run_id) == "success"
    assert [airflow.xcom("many_waits", run_id, "wait", map_index=n) for n in range(20)] == names
    service.reset()


def test_a_deferred_upload_that_a_user_ends_takes_its_file_with_it(
    airflow: LocalAirflow, service: GeminiEmulator, video_file: Path
):
    if airflow.version < (3, 3):
        pytest.skip("Airflow tells triggers of a killed task from 3.3 on")
    service.settings.video_seconds = 10_000
    run_id = airflow.trigger("upload_and_wait", conf={"video": str(video_file)})
    until(lambda: states(airflow, "upload_and_wait", run_id, "upload") == ["deferred"])
    # The triggerer has to have it, too.
    until(lambda: calls_within(service, 2) > 0)

    airflow.api("PATCH", f"/dags/upload_and_wait/dagRuns/{run_id}/taskInstances/upload", json={"new_state": "failed"})

    until(lambda: service.usage()["files"] == 0)


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


def states(airflow: LocalAirflow, dag_id: str, run_id: str, task_id: str) -> list[str]:
    return [task["state"] for task in airflow.tasks(dag_id, run_id) if task["task_id"] == task_id]


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.5)


def calls_within(service: GeminiEmulator, seconds: float) -> int:
    before = len(service.journal)
    time.sleep(seconds)
    return len(service.journal) - before


def _upload_ids_in(files: list[Path]) -> list[str]:
    return [str(path) for path in files if b"upload_id=" in path.read_bytes()]
