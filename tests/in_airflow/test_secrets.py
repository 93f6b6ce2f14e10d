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


def _upload_ids_in(files: list[Path]) -> list[str]:
    return [str(path) for path in files if b"upload_id=" in path.read_bytes()]
