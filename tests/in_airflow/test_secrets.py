"""The API key and upload sessions are in nothing that a run leaves behind."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from local_airflow import LocalAirflow
from support import API_KEY

from airflow_provider_gemini_files.emulator import GeminiEmulator

pytestmark = pytest.mark.airflow


def test_no_log_table_or_output_contains_the_key_or_an_upload_session(airflow: LocalAirflow, service: GeminiEmulator):
    run_id = airflow.trigger("gemini_files_quickstart")
    assert airflow.wait("gemini_files_quickstart", run_id) == "success"

    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in files)

    assert [str(path) for path in files if API_KEY.encode() in path.read_bytes()] == []
    assert _upload_ids_in(files) == []
    # The database is one of the files; this shows that it contains the run.
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        assert database.execute("select count(*) from xcom where value like '%files/af%'").fetchone()[0] > 0


def test_signature_of_a_url_is_in_no_rendered_field_and_no_log(airflow: LocalAirflow, service: GeminiEmulator):
    dag, signature = "gemini_files_one_task", "X-Signature=0123456789abcdef"
    # Refused, as the address is not public; the error names the URL.
    run_id = airflow.trigger(dag, conf={"source": f"{service.base_url}/note.txt?{signature}"})
    assert airflow.wait(dag, run_id) == "failed"

    with sqlite3.connect(airflow.home / "airflow.db") as database:
        query = "select rendered_fields from rendered_task_instance_fields where run_id = ?"
        [(rendered,)] = database.execute(query, [run_id]).fetchall()
    assert "/note.txt?***" in rendered
    logs = [path.read_text() for path in airflow.home.rglob("*.log") if run_id in str(path)]
    assert any("is not a public address" in log for log in logs)
    # Airflow itself logs what a run was triggered with, at the level of these tests.
    lines = [line for log in logs for line in log.splitlines() if "Updating task params" not in line]
    assert [line for line in lines if signature in line] == []


def _upload_ids_in(files: list[Path]) -> list[str]:
    return [str(path) for path in files if b"upload_id=" in path.read_bytes()]
