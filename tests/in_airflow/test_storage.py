"""Sweeps in real Airflow: they know which runs have ended, and make room for those that wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_airflow import LocalAirflow
from support import seed, until

from airflow_provider_gemini_files.emulator import GeminiEmulator

pytestmark = pytest.mark.airflow

#: Bytes of the storage of gemini_small, as its connection has it.
SMALL = 40 * 1024**2
#: More runs than this at once are too much for Airflow on SQLite; tests/operators/test_quota.py has forty uploads.
RUNS = 8
SMALL_DAG = "into_a_small_storage"


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


@pytest.fixture
def small(service: GeminiEmulator) -> Iterator[GeminiEmulator]:
    """Return the emulator with room for four files of 10 MiB."""
    quota = service.settings.quota_bytes
    service.settings.quota_bytes = SMALL
    yield service
    service.settings.quota_bytes = quota


def test_uploads_of_twice_the_quota_all_get_in(airflow: LocalAirflow, small: GeminiEmulator, tmp_path: Path):
    source = tmp_path / "large.txt"
    source.write_bytes(b"x" * (SMALL // 4))
    runs = [airflow.trigger(SMALL_DAG, conf={"source": str(source)}) for _ in range(RUNS)]
    until(lambda: small.usage()["bytes"] == SMALL)
    until(lambda: "deferred" in [state for run in runs for state in airflow.states(SMALL_DAG, run, "upload")])

    peak, deadline = 0, time.monotonic() + 300
    while unfinished := [run for run in runs if airflow.run_state(SMALL_DAG, run) != "success"]:
        assert time.monotonic() < deadline, unfinished
        assert "failed" not in [airflow.run_state(SMALL_DAG, run) for run in unfinished]
        peak = max(peak, small.usage()["bytes"])
        if peak == SMALL:
            assert airflow.wait("sweep_small", airflow.trigger("sweep_small")) == "success"

    # Each upload has looked at its file once more before it ended.
    assert peak == SMALL
