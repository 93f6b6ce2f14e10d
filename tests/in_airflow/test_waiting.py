"""Deferred waits in a real triggerer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from local_airflow import LocalAirflow
from support import until, upload_videos

from airflow_provider_gemini_files.emulator import GeminiEmulator

pytestmark = pytest.mark.airflow


def test_many_waits_look_together_also_after_the_triggerer_was_killed(airflow: LocalAirflow, service: GeminiEmulator):
    service.settings.video_seconds = 10_000
    names = upload_videos(service.base_url, 20)
    run_id = airflow.trigger("many_waits", conf={"names": names})
    until(lambda: airflow.states("many_waits", run_id, "wait").count("deferred") == 20)

    # A few seconds until all have joined; then a page of the list every two seconds.
    time.sleep(4)
    assert 2 <= calls_within(service, 7) <= 6
    airflow.kill("triggerer")
    airflow.start("triggerer")
    until(lambda: calls_within(service, 3) > 0)
    time.sleep(2)
    assert 2 <= calls_within(service, 7) <= 6

    service.clock.advance(10_000)
    assert airflow.wait("many_waits", run_id) == "success"
    assert [airflow.xcom("many_waits", run_id, "wait", map_index=n) for n in range(20)] == names
    labels = {task["map_index"]: task["rendered_map_index"] for task in airflow.tasks("many_waits", run_id)}
    assert [labels[n] for n in range(20)] == names


def test_a_deferred_upload_that_a_user_ends_takes_its_file_with_it(
    airflow: LocalAirflow, service: GeminiEmulator, video_file: Path
):
    if airflow.version < (3, 3):
        pytest.skip("Airflow tells triggers of a killed task from 3.3 on")
    service.settings.video_seconds = 10_000
    run_id = airflow.trigger("upload_and_wait", conf={"video": str(video_file)})
    until(lambda: airflow.states("upload_and_wait", run_id, "upload") == ["deferred"])
    # The triggerer has to have it, too.
    until(lambda: calls_within(service, 2) > 0)

    airflow.api("PATCH", f"/dags/upload_and_wait/dagRuns/{run_id}/taskInstances/upload", json={"new_state": "failed"})

    until(lambda: service.usage()["files"] == 0)


def calls_within(service: GeminiEmulator, seconds: float) -> int:
    before = len(service.journal)
    time.sleep(seconds)
    return len(service.journal) - before
