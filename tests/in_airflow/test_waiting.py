"""Deferred waits in a real triggerer."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_airflow import LocalAirflow
from support import until, upload_videos

from airflow_provider_gemini_files.emulator import GeminiEmulator

pytestmark = pytest.mark.airflow


def test_many_waits_share_their_polls_also_after_the_triggerer_was_killed(
    airflow: LocalAirflow, service: GeminiEmulator
):
    service.settings.video_seconds = 10_000
    names = upload_videos(service.base_url, 20)
    run_id = airflow.trigger("many_waits", conf={"names": names})
    until(lambda: airflow.states("many_waits", run_id, "wait").count("deferred") == 20)

    # A few seconds until all have joined; then they read a page of the list every two seconds.
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


@pytest.fixture
def second_triggerer(airflow: LocalAirflow) -> Iterator[str]:
    """Return the name of a triggerer to start; afterwards, only the first one runs again."""
    yield "second-triggerer"
    airflow.signal("triggerer", signal.SIGCONT)
    airflow.kill("second-triggerer")


def test_file_of_a_deferred_upload_survives_that_a_suspended_triggerer_loses_the_wait(
    airflow: LocalAirflow, service: GeminiEmulator, video_file: Path, second_triggerer: str
):
    service.settings.video_seconds = 10_000
    run_id = airflow.trigger("upload_and_wait", conf={"video": str(video_file)})
    # A log for each triggerer that has the wait.
    logs = lambda: sorted(airflow.home.glob(f"logs/dag_id=upload_and_wait/run_id={run_id}/**/*.trigger.*.log"))  # noqa: E731
    [first] = until(logs)
    until(lambda: calls_within(service, 1) > 0)
    airflow.start("triggerer", second_triggerer)
    airflow.signal("triggerer", signal.SIGSTOP)

    until(lambda: len(logs()) == 2)
    airflow.signal("triggerer", signal.SIGCONT)
    # Airflow cancels the wait in the first triggerer, as if a user had ended the task.
    until(lambda: "trigger completed" in first.read_text())
    # Polls are a tenth of the time waited apart, up to half a minute.
    until(lambda: calls_within(service, 1) > 0)
    assert airflow.states("upload_and_wait", run_id, "upload") == ["deferred"]
    assert service.usage()["files"] == 1

    service.clock.advance(10_000)
    assert airflow.wait("upload_and_wait", run_id) == "success"
    assert airflow.xcom("upload_and_wait", run_id, "upload", "file")["state"] == "ACTIVE"
    assert service.usage()["files"] == 1


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_deferred_upload_that_a_user_ends_keeps_its_file(
    airflow: LocalAirflow, service: GeminiEmulator, video_file: Path, state: str
):
    service.settings.video_seconds = 10_000
    run_id = airflow.trigger("upload_and_wait", conf={"video": str(video_file)})
    until(lambda: airflow.states("upload_and_wait", run_id, "upload") == ["deferred"])
    # The triggerer has to run it, too.
    until(lambda: calls_within(service, 1) > 0)

    airflow.api("PATCH", f"/dags/upload_and_wait/dagRuns/{run_id}/taskInstances/upload", json={"new_state": state})

    [log] = airflow.home.glob(f"logs/dag_id=upload_and_wait/run_id={run_id}/**/*.trigger.*.log")
    until(lambda: "trigger completed" in log.read_text())
    assert airflow.wait("upload_and_wait", run_id) == state
    assert service.usage()["files"] == 1


def calls_within(service: GeminiEmulator, seconds: float) -> int:
    before = len(service.journal)
    time.sleep(seconds)
    return len(service.journal) - before
