"""A task that is killed in the middle of an upload: its next attempt sends only the rest."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
from pathlib import Path

import pytest
from local_airflow import LocalAirflow
from support import numbered_lines, until

from airflow_provider_gemini_files.emulator import GeminiEmulator

pytestmark = pytest.mark.airflow

MIB = 1024**2
SIZE = 50 * MIB
MIDDLE = SIZE * 6 // 10


def test_attempt_after_a_kill_sends_only_the_rest(airflow: LocalAirflow, service: GeminiEmulator, tmp_path: Path):
    if airflow.version < (3, 3):
        pytest.skip("Airflow keeps no state of a task before 3.3")
    source, pid = tmp_path / "large.txt", tmp_path / "pid"
    source.write_bytes(numbered_lines(SIZE))
    service.settings.granularity = MIB
    service.faults.add("upload", "stall", after_bytes=MIDDLE, seconds=300)

    run_id = airflow.trigger("killed", conf={"source": str(source), "pid": str(pid)})
    until(lambda: received(service) == MIDDLE)
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        kept = str(database.execute("select value from task_state_store").fetchall())
    os.kill(int(pid.read_text()), signal.SIGKILL)

    assert airflow.wait("killed", run_id) == "success"
    uploads = [entry for entry in service.journal if entry["method"] == "POST"]
    assert [entry["call"] for entry in uploads] == ["start", "finalize", "query", "finalize"]
    assert uploads[-1]["offset"] == str(MIDDLE)
    file = airflow.xcom("killed", run_id, "upload", "file")
    assert file["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert service.usage() == {"files": 1, "bytes": SIZE}
    [upload_id] = service.emulator.uploads
    assert "encrypted" in kept
    assert upload_id not in kept
    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert [str(path) for path in files if upload_id.encode() in path.read_bytes()] == []


def received(service: GeminiEmulator) -> int:
    return max((upload.received for upload in service.emulator.uploads.values()), default=0)
