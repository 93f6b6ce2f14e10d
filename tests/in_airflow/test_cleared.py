"""A task that is cleared after its file has expired."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_airflow import LocalAirflow

from airflow_provider_gemini_files.emulator import GeminiEmulator

pytestmark = pytest.mark.airflow

THREE_DAYS = 72 * 3600


def test_a_cleared_generate_task_uploads_its_expired_file_again_from_its_source(
    airflow: LocalAirflow, service: GeminiEmulator, tmp_path: Path
):
    sources = [tmp_path / name for name in ("one.txt", "two.txt")]
    for source in sources:
        source.write_text(f"the text of {source.name}")
    run_id = airflow.trigger("cleared", conf={"sources": [str(source) for source in sources]})
    assert airflow.wait("cleared", run_id) == "success"
    files = [airflow.xcom("cleared", run_id, "upload", map_index=index) for index in range(2)]
    before = [airflow.xcom("cleared", run_id, "ask", map_index=index) for index in range(2)]
    assert airflow.xcom("cleared", run_id, "compare").endswith("Compare: " + " -- ".join(before))

    service.clock.advance(THREE_DAYS)
    assert service.usage()["files"] == 0
    clear = {"dry_run": False, "dag_run_id": run_id, "task_ids": [["ask", 1]], "only_failed": False}
    airflow.api("POST", "/dags/cleared/clearTaskInstances", json=clear)

    assert airflow.wait("cleared", run_id) == "success"
    tries = {(task["task_id"], task["map_index"]): task["try_number"] for task in airflow.tasks("cleared", run_id)}
    assert (tries["ask", 1], tries["upload", 1]) == (2, 1)
    assert airflow.xcom("cleared", run_id, "ask", map_index=1) == before[1]
    assert airflow.xcom("cleared", run_id, "ask", "response", map_index=1)["files"] == [files[1]]
    assert service.usage()["files"] == 1
    [log] = airflow.home.glob(f"logs/dag_id=cleared/run_id={run_id}/task_id=ask/map_index=1/attempt=2.log")
    assert f"{files[1]} can no longer be used: uploading {sources[1]} again." in log.read_text()
