"""A task that is killed in the middle of an upload, through real Airflow: its next try sends the rest only."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from local_airflow import LocalAirflow, connection
from support import API_KEY

from airflow_provider_gemini_files.emulator import GeminiEmulator

pytestmark = pytest.mark.airflow
pytest.importorskip("airflow.sdk.crypto", reason="Airflow keeps no task state before 3.3")
MIB = 1024**2
SIZE = 50 * MIB
DAG = """
import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag

from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator


def say_who(context):
    Path({pid!r}).write_text(str(os.getpid()))


@dag(schedule=None)
def killed():
    GeminiUploadFileOperator(
        task_id="upload", source={source!r}, pre_execute=say_who, retries=1, retry_delay=timedelta(0)
    )


killed()
"""


def wait_for(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_try_after_a_kill_sends_the_rest_only(tmp_path: Path):
    source, pid, dags = tmp_path / "large.txt", tmp_path / "pid", tmp_path / "dags"
    source.write_bytes(b"".join(b"%015d\n" % number for number in range(SIZE // 16)))
    dags.mkdir()
    (dags / "killed.py").write_text(DAG.format(pid=str(pid), source=str(source)))
    with GeminiEmulator(granularity=MIB) as service:
        service.faults.add("upload", "stall", after_bytes=SIZE * 6 // 10, seconds=300)
        with LocalAirflow(tmp_path, dags, connection(host=service.base_url, key=API_KEY)) as airflow:
            run_id = airflow.trigger("killed")
            wait_for(lambda: received(service) == SIZE * 6 // 10)
            with sqlite3.connect(tmp_path / "airflow.db") as database:
                kept = str(database.execute("select value from task_state_store").fetchall())
            os.kill(int(pid.read_text()), signal.SIGKILL)

            assert airflow.wait("killed", run_id) == "success"
            file = airflow.xcom("killed", run_id, "upload", "file")

            uploads = [entry for entry in service.journal if entry["method"] == "POST"]
            assert [entry["call"] for entry in uploads] == ["start", "finalize", "query", "finalize"]
            assert uploads[-1]["offset"] == str(SIZE * 6 // 10)
            assert file["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
            assert service.usage() == {"files": 1, "bytes": SIZE}
        [upload_id] = service.emulator.uploads
        assert "encrypted" in kept
        assert upload_id not in kept
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert [str(path) for path in files if upload_id.encode() in path.read_bytes()] == []


def received(service: GeminiEmulator) -> int:
    return max((upload.received for upload in service.emulator.uploads.values()), default=0)
