"""What the tests share that is no fixture."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx
import pendulum

T = TypeVar("T")
API_KEY = "test-key-that-nobody-may-see"
EXAMPLE_DAGS = Path(__file__).parent.parent / "example_dags"


def upload_videos(base_url: str, count: int) -> list[str]:
    """Upload small files that the service takes for videos, past the provider; return their names."""
    headers = {
        "x-goog-api-key": API_KEY,
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-header-content-type": "video/mp4",
    }
    names = []
    with httpx.Client(base_url=base_url, headers=headers) as client:
        for number in range(count):
            start = client.post("/upload/v1beta/files", headers={"x-goog-upload-command": "start"})
            done = client.post(
                start.headers["x-goog-upload-url"],
                headers={"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"},
                content=b"video %d" % number,
            )
            names.append(done.json()["file"]["name"])
    return names


def create_files(base_url: str, count: int) -> None:
    """Create files of metadata only, to fill a list."""
    with httpx.Client(base_url=base_url, headers={"x-goog-api-key": API_KEY}) as client:
        for _ in range(count):
            client.post("/v1beta/files", json={"file": {}}).raise_for_status()


def until(condition: Callable[[], T], seconds: float = 120) -> T:
    """Wait for something to become true; return it."""
    deadline = time.monotonic() + seconds
    while not (reached := condition()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.5)
    return reached


def seed(base_url: str, *files: dict[str, object]) -> None:
    """Make files under names of the test's choice; see the emulator's ``Seed`` for what they can be given."""
    body = {"api_key": API_KEY, "resources": list(files)}
    httpx.post(f"{base_url}/__emulator/seed", json=body, timeout=60).raise_for_status()


def add_runs(*states: str) -> str:
    """Put a run of each state, of which it has its id, into Airflow's database; return the id of their Dag."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    dag_id = f"dag-{uuid.uuid4()}"
    with create_session() as session:
        for state in states:
            now = pendulum.now("UTC")
            run = DagRun(dag_id=dag_id, run_id=state, run_type=DagRunType.MANUAL, run_after=now, state=state)
            session.add(run)
    return dag_id


def counting(runs: dict[str, str]) -> Callable[..., int]:
    """Return what stands for a task's ``get_dr_count`` where Airflow knows some runs, by their states."""

    def count(*, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> int:
        found = [runs[run_id] for run_id in run_ids if run_id in runs]
        return sum(states is None or state in states for state in found)

    return count
