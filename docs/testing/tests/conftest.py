"""The tests have an Airflow home of their own, and a connection to the emulator."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

HOME = tempfile.TemporaryDirectory(prefix="airflow-home-")
# Before anything imports Airflow, which reads its configuration once.
os.environ.update(
    AIRFLOW_HOME=HOME.name,
    AIRFLOW__CORE__DAGS_FOLDER=str(Path(__file__).parent.parent / "dags"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
)


@pytest.fixture(scope="session", autouse=True)
def airflow_database():
    """Create Airflow's database, which dag.test() writes to."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def gemini(gemini_emulator, monkeypatch):
    """Return an empty emulator, which the connection gemini_default leads to."""
    connection = {"conn_type": "gemini", "host": gemini_emulator.base_url, "password": "test-key"}
    monkeypatch.setenv("AIRFLOW_CONN_GEMINI_DEFAULT", json.dumps(connection))
    return gemini_emulator


@pytest.fixture
def report(tmp_path):
    """Return the path of a small PDF."""
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.4\n1 0 obj << /Type /Catalog >> endobj\ntrailer << /Root 1 0 R >>\n%%EOF\n")
    return str(path)
