"""Cleanups in real Airflow: they know which runs have ended, and free space for uploads that wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_airflow import LocalAirflow
from support import seed, until

from airflow_provider_gemini_files.deployment import VARIABLE
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.usage_history import History
from airflow_provider_gemini_files.triggers.base import SETTLE_SECONDS
from airflow_provider_gemini_files.usage_history import PREFIX

pytestmark = pytest.mark.airflow

#: Bytes of the storage of gemini_small, as its connection has it, and of each of the files for it.
SMALL, LARGE = 200 * 1024**2, 10 * 1024**2
SMALL_DAG, SMALL_CLEANUP = "into_a_small_storage", "cleanup_small"
FOLLOWER = "after_each_cleanup"
#: The task that asks a person, and its states while it waits: the second from Airflow 3.3 on.
ASK, ASKING = "approve_gemini_default", {"deferred", "awaiting_input"}


def names(service: GeminiEmulator) -> set[str]:
    return {f"files/{file.id}" for project in service.emulator.projects.values() for file in project.files()}


def cleanup(airflow: LocalAirflow) -> dict:
    run_id = airflow.trigger("cleanup_default")
    assert airflow.wait("cleanup_default", run_id) == "success"
    return airflow.xcom("cleanup_default", run_id, "cleanup_gemini_default")


def test_a_cleanup_deletes_exactly_the_right_files_and_a_second_one_none(
    airflow: LocalAirflow, service: GeminiEmulator, deployment: str, video_file: Path, text_file: Path
):
    service.settings.video_seconds = 10_000
    sources = {"running": video_file, "failed": text_file, "deleted": text_file}
    runs = {owner: airflow.trigger(f"owner_{owner}", conf={"source": str(source)}) for owner, source in sources.items()}
    until(lambda: airflow.states("owner_running", runs["running"], "wait") == ["deferred"])
    assert airflow.wait("owner_failed", runs["failed"]) == "failed"
    assert airflow.wait("owner_deleted", runs["deleted"]) == "success"
    airflow.api("DELETE", f"/dags/owner_deleted/dagRuns/{runs['deleted']}")
    # Runs of another deployment can have the names of runs of this one.
    elsewhere = Owner("owner_failed", runs["failed"], "upload", deployment="elsewhere")
    shared = display_name_for("handbook.pdf", None, shared=True, deployment=deployment)
    seed(
        service.base_url,
        {"name": "files/foreign", "age": 100_000},
        {"name": "files/elsewhere", "display_name": display_name_for("a.txt", elsewhere), "age": 100_000},
        {"name": "files/shared", "display_name": shared, "age": 3600},
    )
    live = airflow.xcom("owner_running", runs["running"], "upload")

    first, second = cleanup(airflow), cleanup(airflow)

    assert names(service) == {live, "files/foreign", "files/elsewhere", "files/shared"}
    assert {reason: row["files"] for reason, row in first["deleted"].items()} == {"run finished": 1, "run gone": 1}
    assert {reason: row["files"] for reason, row in first["kept"].items()} == {
        "foreign": 2,
        "shared": 1,
        "run running": 1,
    }
    assert second["deleted"] == {}
    assert last_reported_usage(airflow)["files"] == 4
    # The callback of the cleanup tells it after the task has ended, and Airflow keeps that it has.
    until(lambda: history_of(airflow).alerts)
    history = history_of(airflow)
    assert variables(airflow)["told_of_storage"].startswith("The storage of gemini_default is ")
    assert history.cleanups[-1].files >= 2
    assert history.samples[-1].by_kind is not None

    service.clock.advance(10_000)
    assert airflow.wait("owner_running", runs["running"]) == "success"


def variables(airflow: LocalAirflow) -> dict[str, str]:
    return {variable["key"]: variable["value"] for variable in airflow.api("GET", "/variables")["variables"]}


def history_of(airflow: LocalAirflow) -> History:
    return History.parse(variables(airflow).get(f"{PREFIX}gemini_default"))


def test_the_first_uploads_create_one_identity_and_their_marks_carry_it(
    airflow: LocalAirflow, service: GeminiEmulator, deployment: str, text_file: Path
):
    # As in a deployment that has uploaded nothing yet.
    airflow.api("DELETE", f"/variables/{VARIABLE}")

    for _ in range(2):
        runs = [airflow.trigger("owner_deleted", conf={"source": str(text_file)}) for _ in range(3)]
        assert {airflow.wait("owner_deleted", run_id) for run_id in runs} == {"success"}

    files = [file for project in service.emulator.projects.values() for file in project.files()]
    owners = [Owner.parse(file.display_name) for file in files]
    created = airflow.api("GET", f"/variables/{VARIABLE}")["value"]
    assert created != deployment
    assert [owner and owner.deployment for owner in owners] == [created] * 6


def last_reported_usage(airflow: LocalAirflow) -> dict:
    """Return the usage in the newest event of the storage's asset."""
    [asset] = [
        asset for asset in airflow.api("GET", "/assets")["assets"] if asset["uri"] == "gemini-files://gemini_default"
    ]
    events = airflow.api("GET", "/assets/events", params={"asset_id": asset["id"], "order_by": "-timestamp"})
    return events["asset_events"][0]["extra"]


def test_a_big_cleanup_waits_for_approval_and_starts_the_dags_that_follow_it(
    airflow: LocalAirflow, service: GeminiEmulator
):
    seed(service.base_url, *({"name": f"files/old-{number}", "age": 7200} for number in range(3)))

    rejected, approved = runs = [airflow.trigger("cleanup_asking") for _ in range(2)]
    until(lambda: all(ASKING & set(airflow.states("cleanup_asking", run, ASK)) for run in runs))
    # Airflow fails a task that is resumed before it has noticed that the task's process has ended.
    time.sleep(SETTLE_SECONDS)

    answer(airflow, rejected, "Reject")
    assert airflow.wait("cleanup_asking", rejected) == "success"
    assert airflow.states("cleanup_asking", rejected, "cleanup_gemini_default") == ["skipped"]
    assert service.usage()["files"] == 3

    answer(airflow, approved, "Approve")
    assert airflow.wait("cleanup_asking", approved) == "success"
    assert service.usage()["files"] == 0

    # Neither a skipped cleanup nor a plan updates the asset.
    [run_id] = until(lambda: followers(airflow, approved))
    assert airflow.wait(FOLLOWER, run_id) == "success"
    assert airflow.xcom(FOLLOWER, run_id, "free_bytes") == 20 * 1024**3
    assert followers(airflow, rejected) == []


def answer(airflow: LocalAirflow, run_id: str, option: str) -> None:
    """Answer as a person does in the UI."""
    path = f"/dags/cleanup_asking/dagRuns/{run_id}/taskInstances/{ASK}/-1/hitlDetails"
    question = airflow.api("GET", path)
    assert question["subject"] == "Delete 3 Gemini files of gemini_default?"
    assert "| too old | 3 |" in question["body"]
    airflow.api("PATCH", path, json={"chosen_options": [option], "params_input": {}})


def followers(airflow: LocalAirflow, run_id: str) -> list[str]:
    """Return the runs that a run's update of the asset has started; other cleanups start some, too."""
    events = airflow.api("GET", "/assets/events", params={"source_run_id": run_id})["asset_events"]
    return [run["run_id"] for event in events for run in event["created_dagruns"] if run["dag_id"] == FOLLOWER]


def test_the_bundle_provides_the_cleanup_dag_without_a_file(airflow: LocalAirflow, service: GeminiEmulator):
    run_id = airflow.trigger("gemini_files_cleanup", conf={"dry_run": True})

    assert airflow.wait("gemini_files_cleanup", run_id) == "success"
    assert airflow.api("GET", "/dags/gemini_files_cleanup/details")["bundle_name"] == "gemini-files"
    assert airflow.xcom("gemini_files_cleanup", run_id, "cleanup_gemini_default")["dry_run"] is True


@pytest.fixture
def small(service: GeminiEmulator) -> Iterator[GeminiEmulator]:
    """Return the emulator with room for twenty files of 10 MiB."""
    quota = service.settings.quota_bytes
    service.settings.quota_bytes = SMALL
    yield service
    service.settings.quota_bytes = quota


@pytest.fixture
def small_cleanup(airflow: LocalAirflow) -> Iterator[str]:
    """Return a Dag that cleans up gemini_small every few seconds, once it is no longer paused."""
    yield SMALL_CLEANUP
    airflow.pause(SMALL_CLEANUP, paused=True)
    # Its connection leads to the same project as that of the other tests, so its tasks must have ended. Its run may not
    # have: Airflow ends the runs of a paused Dag a minute later.
    query = {"state": ["queued", "running"]}
    until(
        lambda: not airflow.api("GET", f"/dags/{SMALL_CLEANUP}/dagRuns/~/taskInstances", params=query)["task_instances"]
    )


def test_forty_uploads_of_twice_the_quota_all_succeed(
    airflow: LocalAirflow, small: GeminiEmulator, small_cleanup: str, tmp_path: Path
):
    source = tmp_path / "large.txt"
    source.write_bytes(b"x" * LARGE)
    runs = {airflow.trigger(SMALL_DAG, conf={"source": str(source)}) for _ in range(2 * SMALL // LARGE)}
    deferred = {"state": ["deferred"]}
    until(lambda: airflow.api("GET", f"/dags/{SMALL_DAG}/dagRuns/~/taskInstances", params=deferred)["task_instances"])
    assert small.usage()["bytes"] == SMALL
    airflow.pause(small_cleanup, paused=False)

    deadline = time.monotonic() + 300
    while unfinished := active(airflow) & runs:
        assert time.monotonic() < deadline, unfinished
        time.sleep(0.5)

    # Each upload has read its file once more before it ended; and the emulator takes no byte over the quota.
    assert {airflow.run_state(SMALL_DAG, run) for run in runs} == {"success"}


def active(airflow: LocalAirflow) -> set[str]:
    query = {"state": ["queued", "running"], "limit": 100}
    return {run["dag_run_id"] for run in airflow.api("GET", f"/dags/{SMALL_DAG}/dagRuns", params=query)["dag_runs"]}
