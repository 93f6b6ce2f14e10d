"""Sweeps in real Airflow: they know which runs have ended, and make room for those that wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_airflow import LocalAirflow
from support import seed, until

from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.triggers.files import SETTLE_SECONDS

pytestmark = pytest.mark.airflow

#: Bytes of the storage of gemini_small, as its connection has it, and of each of the files for it.
SMALL, LARGE = 200 * 1024**2, 10 * 1024**2
SMALL_DAG, SWEEPER = "into_a_small_storage", "sweep_small"
FOLLOWER = "after_each_sweep"
#: The task that asks a person, and its states while it waits: the second from Airflow 3.3 on.
ASK, ASKING = "approve_gemini_default", {"deferred", "awaiting_input"}


def names(service: GeminiEmulator) -> set[str]:
    return {f"files/{file.id}" for project in service.emulator.projects.values() for file in project.files()}


def sweep(airflow: LocalAirflow) -> dict:
    run_id = airflow.trigger("sweep_default")
    assert airflow.wait("sweep_default", run_id) == "success"
    return airflow.xcom("sweep_default", run_id, "sweep_gemini_default")


def test_a_sweep_removes_exactly_the_right_files_twice_over(
    airflow: LocalAirflow, service: GeminiEmulator, video_file: Path, text_file: Path
):
    service.settings.video_seconds = 10_000
    sources = {"running": video_file, "failed": text_file, "deleted": text_file}
    runs = {owner: airflow.trigger(f"owner_{owner}", conf={"source": str(source)}) for owner, source in sources.items()}
    until(lambda: airflow.states("owner_running", runs["running"], "wait") == ["deferred"])
    assert airflow.wait("owner_failed", runs["failed"]) == "failed"
    assert airflow.wait("owner_deleted", runs["deleted"]) == "success"
    airflow.api("DELETE", f"/dags/owner_deleted/dagRuns/{runs['deleted']}")
    seed(service.base_url, {"name": "files/foreign", "age": 100_000}, {"name": "files/old", "age": 3600})
    live = airflow.xcom("owner_running", runs["running"], "upload")

    first, second = sweep(airflow), sweep(airflow)

    assert names(service) == {live, "files/foreign", "files/old"}
    assert {reason: row["files"] for reason, row in first["deleted"].items()} == {"run finished": 1, "run gone": 1}
    assert {reason: row["files"] for reason, row in first["kept"].items()} == {"foreign": 2, "run running": 1}
    assert second["deleted"] == {}
    assert usage_told(airflow)["files"] == 3

    service.clock.advance(10_000)
    assert airflow.wait("owner_running", runs["running"]) == "success"


def usage_told(airflow: LocalAirflow) -> dict:
    """Return the usage in the newest event of the storage's asset, which the state store has, too, from 3.3 on."""
    [asset] = [
        asset for asset in airflow.api("GET", "/assets")["assets"] if asset["uri"] == "gemini-files://gemini_default"
    ]
    events = airflow.api("GET", "/assets/events", params={"asset_id": asset["id"], "order_by": "-timestamp"})
    usage = events["asset_events"][0]["extra"]
    if airflow.version >= (3, 3):
        kept = airflow.api("GET", f"/assets/{asset['id']}/state-store")
        assert str(usage["used_bytes"]) in str(kept)
    return usage


def test_a_big_sweep_waits_for_a_person_and_other_dags_for_the_sweep(airflow: LocalAirflow, service: GeminiEmulator):
    seed(service.base_url, *({"name": f"files/old-{number}", "age": 7200} for number in range(3)))

    rejected, approved = runs = [airflow.trigger("sweep_asking") for _ in range(2)]
    until(lambda: all(ASKING & set(airflow.states("sweep_asking", run, ASK)) for run in runs))
    # No person is quicker than Airflow, which fails a task that goes on before it has seen the task's process end.
    time.sleep(SETTLE_SECONDS)

    answer(airflow, rejected, "Reject")
    assert airflow.wait("sweep_asking", rejected) == "success"
    assert airflow.states("sweep_asking", rejected, "sweep_gemini_default") == ["skipped"]
    assert service.usage()["files"] == 3

    answer(airflow, approved, "Approve")
    assert airflow.wait("sweep_asking", approved) == "success"
    assert service.usage()["files"] == 0

    # A sweep that was skipped and a look that only reports are no update.
    [run_id] = until(lambda: followers(airflow, approved))
    assert airflow.wait(FOLLOWER, run_id) == "success"
    assert airflow.xcom(FOLLOWER, run_id, "free_bytes") == 20 * 1024**3
    assert followers(airflow, rejected) == []


def answer(airflow: LocalAirflow, run_id: str, option: str) -> None:
    """Answer as a person does in the UI."""
    path = f"/dags/sweep_asking/dagRuns/{run_id}/taskInstances/{ASK}/-1/hitlDetails"
    question = airflow.api("GET", path)
    assert question["subject"] == "May 3 Gemini files of gemini_default be deleted?"
    assert "| too old | 3 |" in question["body"]
    airflow.api("PATCH", path, json={"chosen_options": [option], "params_input": {}})


def followers(airflow: LocalAirflow, run_id: str) -> list[str]:
    """Return the runs that a run's update of the asset has started; other sweeps start some, too."""
    events = airflow.api("GET", "/assets/events", params={"source_run_id": run_id})["asset_events"]
    return [run["run_id"] for event in events for run in event["created_dagruns"] if run["dag_id"] == FOLLOWER]


def test_the_bundle_gives_the_cleanup_dag_without_a_file(airflow: LocalAirflow, service: GeminiEmulator):
    run_id = airflow.trigger("gemini_files_cleanup", conf={"dry_run": True})

    assert airflow.wait("gemini_files_cleanup", run_id) == "success"
    assert airflow.api("GET", "/dags/gemini_files_cleanup/details")["bundle_name"] == "gemini-files"
    assert airflow.xcom("gemini_files_cleanup", run_id, "sweep_gemini_default")["dry_run"] is True


@pytest.fixture
def small(service: GeminiEmulator) -> Iterator[GeminiEmulator]:
    """Return the emulator with room for twenty files of 10 MiB."""
    quota = service.settings.quota_bytes
    service.settings.quota_bytes = SMALL
    yield service
    service.settings.quota_bytes = quota


@pytest.fixture
def sweeper(airflow: LocalAirflow) -> Iterator[str]:
    """Return a Dag that sweeps gemini_small every few seconds, once it is no longer paused."""
    yield SWEEPER
    airflow.pause(SWEEPER, paused=True)
    # Its connection is to the same project as that of the other tests. Not the run: Airflow ends those of a paused Dag
    # a minute later.
    query = {"state": ["queued", "running"]}
    until(lambda: not airflow.api("GET", f"/dags/{SWEEPER}/dagRuns/~/taskInstances", params=query)["task_instances"])


def test_forty_uploads_of_twice_the_quota_all_get_in(
    airflow: LocalAirflow, small: GeminiEmulator, sweeper: str, tmp_path: Path
):
    source = tmp_path / "large.txt"
    source.write_bytes(b"x" * LARGE)
    runs = {airflow.trigger(SMALL_DAG, conf={"source": str(source)}) for _ in range(2 * SMALL // LARGE)}
    deferred = {"state": ["deferred"]}
    until(lambda: airflow.api("GET", f"/dags/{SMALL_DAG}/dagRuns/~/taskInstances", params=deferred)["task_instances"])
    assert small.usage()["bytes"] == SMALL
    airflow.pause(sweeper, paused=False)

    deadline = time.monotonic() + 300
    while unfinished := active(airflow) & runs:
        assert time.monotonic() < deadline, unfinished
        time.sleep(0.5)

    # Each upload has looked at its file once more before it ended; and the emulator takes no byte over the quota.
    assert {airflow.run_state(SMALL_DAG, run) for run in runs} == {"success"}


def active(airflow: LocalAirflow) -> set[str]:
    query = {"state": ["queued", "running"], "limit": 100}
    return {run["dag_run_id"] for run in airflow.api("GET", f"/dags/{SMALL_DAG}/dagRuns", params=query)["dag_runs"]}
