"""Batch jobs in real Airflow: whatever ends a task or a triggerer, each job is submitted, and paid for, once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from local_airflow import LocalAirflow
from support import until

from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.batch import Batch

pytestmark = pytest.mark.airflow

DEFERRED, BLOCKING, OF_FILES = "batch_deferred", "batch_blocking", "batch_of_files"
PROMPTS = ["one", "two", "three"]
#: Seconds that a job takes: it ends when a test moves the clock.
JOB_SECONDS = 10_000


class Run:
    """A run of a Dag that asks in a batch, in a Gemini project of its own."""

    def __init__(self, airflow: LocalAirflow, service: GeminiEmulator, name: str, folder: Path) -> None:
        self._airflow = airflow
        self._service = service
        self.conn_id = f"batch_{name}"
        self.key = f"key-of-{name}"
        self.folder = folder
        self.dag_id = self.run_id = ""
        self._began = 0
        fields = {"conn_type": "gemini", "host": service.base_url, "password": self.key}
        airflow.api("POST", "/connections", json={"connection_id": self.conn_id, **fields})

    def start(self, dag_id: str, **conf: Any) -> Run:
        conf = {"conn_id": self.conn_id, "folder": str(self.folder), **conf}
        self.dag_id, self.run_id = dag_id, self._airflow.trigger(dag_id, conf=conf)
        return self

    @property
    def jobs(self) -> list[Batch]:
        project = self._service.emulator.projects.get(self.key)
        if project is None:
            return []
        project.update()
        return list(project.resources(Batch).values())

    @property
    def job_states(self) -> list[str]:
        return [job.state.removeprefix("BATCH_STATE_") for job in self.jobs]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "answers.jsonl").read_text().splitlines()]

    @property
    def state(self) -> str | None:
        return self._task["state"]

    @property
    def attempt(self) -> int:
        return self._task["try_number"]

    @property
    def _task(self) -> dict[str, Any]:
        [task] = [task for task in self._airflow.tasks(self.dag_id, self.run_id) if task["task_id"] == "extract"]
        return task

    def is_polled(self) -> bool:
        """Return whether the attempt polls the job."""
        paths = [entry["path"] for entry in self._service.journal[self._began :] if entry["call"] == "get_batch"]
        return any(path.endswith(job.id) for path in paths for job in self.jobs)

    def has_intended(self) -> bool:
        return (self.folder / "intended").exists()

    def signal(self, number: signal.Signals) -> None:
        """Signal the process of the attempt; only polls after that are those of the next one."""
        os.kill(int((self.folder / "pid").read_text()), number)
        self._began = len(self._service.journal)

    def mark(self, state: str) -> None:
        path = f"/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/extract"
        self._airflow.api("PATCH", path, json={"new_state": state})

    def clear(self) -> None:
        clear = {"dry_run": False, "dag_run_id": self.run_id, "task_ids": ["extract"], "only_failed": False}
        self._airflow.api("POST", f"/dags/{self.dag_id}/clearTaskInstances", json=clear)

    def end(self) -> str:
        return self._airflow.wait(self.dag_id, self.run_id)

    def trigger_log(self) -> str:
        """Return what the triggerer has logged; empty if it does not run the wait."""
        logs = self._airflow.home.glob(f"logs/dag_id={self.dag_id}/run_id={self.run_id}/**/*.trigger.*.log")
        return "".join(log.read_text() for log in logs)

    def log(self) -> str:
        """Return what the first attempt has logged."""
        folder = f"logs/dag_id={self.dag_id}/run_id={self.run_id}/task_id=extract"
        return (self._airflow.home / folder / "attempt=1.log").read_text()


NewRun = Callable[[str], Run]


@pytest.fixture
def new_run(airflow: LocalAirflow, service: GeminiEmulator, tmp_path: Path) -> Iterator[NewRun]:
    """Return a function that prepares a run, by a name for its project."""
    seconds, service.settings.job_seconds = service.settings.job_seconds, JOB_SECONDS
    conn_ids = []

    def new(name: str) -> Run:
        folder = tmp_path / name
        folder.mkdir()
        run = Run(airflow, service, name, folder)
        conn_ids.append(run.conn_id)
        return run

    yield new
    service.settings.job_seconds = seconds
    for conn_id in conn_ids:
        airflow.api("DELETE", f"/connections/{conn_id}")


def assert_answered_once(run: Run) -> None:
    assert run.job_states == ["SUCCEEDED"]
    assert [row["key"] for row in run.rows] == ["0", "1", "2"]
    for row, prompt in zip(run.rows, PROMPTS, strict=True):
        assert row["error"] is None
        assert row["value"].endswith(prompt)


def test_attempt_that_is_killed_anywhere_leaves_one_job_to_the_next_attempt(service: GeminiEmulator, new_run: NewRun):
    intended, submitted, waiting, landing = runs = [
        new_run(name) for name in ("intended", "submitted", "waiting", "landing")
    ]
    # The job is there, but its name does not arrive.
    service.faults.add("create_batch", "drip", seconds=600, api_key=submitted.key)
    service.faults.add("create_batch", "created_then_internal", api_key=waiting.key)
    service.faults.add("download", "stall", seconds=600, api_key=landing.key)
    for run in runs:
        run.start(BLOCKING, stop_after_intent=run is intended)

    until(intended.has_intended)
    assert intended.jobs == []
    intended.signal(signal.SIGKILL)
    until(lambda: submitted.jobs)
    submitted.signal(signal.SIGKILL)
    until(waiting.is_polled)
    waiting.signal(signal.SIGKILL)
    for run in (intended, submitted, waiting):
        until(lambda run=run: run.attempt == 2 and run.is_polled())
    until(landing.is_polled)
    service.clock.advance(JOB_SECONDS)
    until(lambda: [entry.get("fault") for entry in service.journal if entry["call"] == "download"].count("stall"))
    landing.signal(signal.SIGKILL)

    for run in runs:
        assert run.end() == "success"
        assert run.attempt == 2
        assert_answered_once(run)
    assert service.faults.unused() == []


def test_job_is_cancelled_only_if_its_task_is_marked_while_a_worker_waits(service: GeminiEmulator, new_run: NewRun):
    deferred_marked, deferred_cleared = (
        new_run(name).start(DEFERRED) for name in ("deferred_marked", "deferred_cleared")
    )
    # Airflow runs four tasks at once, so the others would not let them begin.
    for run in (deferred_marked, deferred_cleared):
        until(lambda run=run: run.state == "deferred")
    marked_failed, marked_success, stopped, cleared = (
        new_run(name).start(BLOCKING) for name in ("marked_failed", "marked_success", "stopped", "cleared")
    )
    for run in (marked_failed, marked_success, stopped, cleared):
        until(run.is_polled)
    for run in (deferred_marked, deferred_cleared):
        until(run.trigger_log)

    marked_failed.mark("failed")
    marked_success.mark("success")
    cleared.clear()
    deferred_marked.mark("success")
    deferred_cleared.clear()
    # As a worker that shuts down: it asks its tasks to end, and kills them a while later.
    stopped.signal(signal.SIGTERM)
    until(lambda: "continues." in stopped.log())
    stopped.signal(signal.SIGKILL)

    for run in (marked_failed, marked_success):
        until(lambda run=run: run.job_states == ["CANCELLED"])
    for run in (stopped, cleared, deferred_cleared):
        until(lambda run=run: run.attempt == 2 and run.state in ("running", "deferred"))
    until(lambda: "trigger completed" in deferred_marked.trigger_log())
    service.clock.advance(JOB_SECONDS)
    assert marked_failed.end() == "failed"
    assert marked_success.end() == deferred_marked.end() == "success"
    assert deferred_marked.job_states == ["SUCCEEDED"]
    for run in (stopped, cleared, deferred_cleared):
        assert run.end() == "success"
        assert_answered_once(run)
    assert [entry["call"] for entry in service.journal].count("cancel_batch") == 2


def test_job_that_no_task_waits_for_keeps_its_files_and_a_cleared_task_uses_it(
    airflow: LocalAirflow, service: GeminiEmulator, deployment: str, new_run: NewRun
):
    run = new_run("of_files")
    for name in ("a.txt", "b.txt", "c.txt"):
        (run.folder / name).write_text(f"the text of {name}")
    run.start(OF_FILES)
    until(lambda: run.state == "deferred")
    run.mark("failed")
    assert run.end() == "failed"

    assert cleanup(airflow) == {"deleted": {}, "kept": {"in a batch": 4}}
    service.clock.advance(JOB_SECONDS)
    assert cleanup(airflow)["deleted"] == {"run finished": 4}

    # Its files are of no importance any more.
    for _ in range(2):
        run.clear()
        assert run.end() == "success"
        assert run.job_states == ["SUCCEEDED"]
        assert [row["key"] for row in run.rows] == ["a.txt", "b.txt", "c.txt"]
        assert [row["error"] for row in run.rows] == [None] * 3
        (run.folder / "answers.jsonl").unlink()


def cleanup(airflow: LocalAirflow) -> dict[str, dict[str, int]]:
    """Clean up; return the numbers of files by reason."""
    run_id = airflow.trigger("cleanup_batch")
    assert airflow.wait("cleanup_batch", run_id) == "success"
    report = airflow.xcom("cleanup_batch", run_id, "cleanup_batch_of_files")
    return {part: {reason: row["files"] for reason, row in report[part].items()} for part in ("deleted", "kept")}


def test_restarted_triggerer_submits_nothing_and_polls_as_often_as_before(
    airflow: LocalAirflow, service: GeminiEmulator, new_run: NewRun
):
    runs = [new_run(f"restarted_{number}") for number in range(3)]
    for run in runs:
        # All jobs are in one project.
        run.conn_id, run.key = runs[0].conn_id, runs[0].key
        run.start(DEFERRED)
    for run in runs:
        until(run.trigger_log)

    # One page of the list each second, for all of them.
    assert 2 <= polls_within(service, 4) <= 5
    airflow.kill("triggerer")
    airflow.start("triggerer")
    assert 2 <= polls_within(service, 4) <= 5

    service.clock.advance(JOB_SECONDS)
    assert [run.end() for run in runs] == ["success"] * 3
    assert runs[0].job_states == ["SUCCEEDED"] * 3
    assert [[row["error"] for row in run.rows] for run in runs] == [[None] * 3] * 3
    assert [entry["call"] for entry in service.journal].count("create_batch") == 3


def polls_within(service: GeminiEmulator, seconds: float) -> int:
    """Count the polls of some seconds, from the next one on."""

    def polls() -> int:
        return sum(entry["call"] in ("list_batches", "get_batch") for entry in service.journal)

    before = polls()
    until(lambda: polls() > before)
    before = polls()
    time.sleep(seconds)
    return polls() - before
