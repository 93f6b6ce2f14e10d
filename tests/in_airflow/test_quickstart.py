"""The quickstart and the Dag of the README through a real scheduler, worker and triggerer."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_airflow import LocalAirflow
from support import until

from airflow_provider_gemini_files.emulator import GeminiEmulator

pytestmark = pytest.mark.airflow

DAG = "gemini_files_quickstart"


def test_quickstart_succeeds_and_its_wait_uses_no_worker(airflow: LocalAirflow, service: GeminiEmulator):
    service.settings.video_seconds = 10_000
    run_id = airflow.trigger(DAG)
    until(lambda: airflow.states(DAG, run_id, "wait_until_active") == ["deferred"])
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


def test_failed_request_to_the_model_deletes_the_files_and_fails_the_run(
    airflow: LocalAirflow, service: GeminiEmulator
):
    run_id = airflow.trigger(DAG, conf={"model": "gemini-1.5-flash"})

    assert airflow.wait(DAG, run_id) == "failed"
    assert {task["task_id"]: task["state"] for task in airflow.tasks(DAG, run_id)} == {
        "upload": "success",
        "wait_until_active": "success",
        "ask": "failed",
        "delete": "success",
    }
    assert service.usage() == {"files": 0, "bytes": 0}


@pytest.mark.parametrize("dag", ["describe_clip", "describe_video"])
def test_dag_of_the_readme_succeeds(airflow: LocalAirflow, service: GeminiEmulator, video_file: Path, dag: str):
    run_id = airflow.trigger(dag, conf={"video": str(video_file)})

    assert airflow.wait(dag, run_id) == "success"
    assert airflow.xcom(dag, run_id, "describe").endswith("I was asked: What happens here?")
    assert service.usage() == {"files": 0, "bytes": 0}


def test_ten_prompts_share_one_cache_which_is_deleted(airflow: LocalAirflow, service: GeminiEmulator):
    dag = "gemini_files_cached_video"
    run_id = airflow.trigger(dag)

    assert airflow.wait(dag, run_id) == "success"
    assert airflow.states(dag, run_id, "ask") == ["success"] * 10
    usage = airflow.xcom(dag, run_id, "ask", "response", map_index=0)["usage"]
    assert usage["cached"] == airflow.xcom(dag, run_id, "cache", "cache")["tokens"] > 0
    assert [entry["call"] for entry in service.journal].count("create_cache") == 1
    assert [entry["call"] for entry in service.journal].count("delete_cache") == 1
    assert service.usage() == {"files": 0, "bytes": 0}
