"""The tasks that have used a file, for the page."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from support import add_runs, add_xcom

from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.runs import database_lookup
from airflow_provider_gemini_files.ui import uses
from airflow_provider_gemini_files.ui.errors import ErrorKind
from airflow_provider_gemini_files.ui.listings import ListingCache, Snapshot
from airflow_provider_gemini_files.ui.uses import UseListing, uses_of

pytestmark = pytest.mark.usefixtures("airflow_db")

NOW = datetime.now(UTC)


@pytest.fixture
def dag_id():
    return add_runs("success")


@pytest.fixture
def file(dag_id) -> GeminiFile:
    """Return a file whose name no other test has."""
    owner = Owner(dag_id, "success", "upload", deployment=database_lookup.deployment)
    return GeminiFile(f"files/{dag_id}", create_time=NOW.isoformat(), owner=owner)


def add(dag_id: str, file: GeminiFile, **kwargs) -> None:
    add_xcom(dag_id, {"conn_id": dag_id, "files": [file.name]}, **{"at": NOW, **kwargs})


def told(file: GeminiFile, dag_id: str, *jobs: BatchJob) -> dict:
    cache = ListingCache("uses", UseListing.read)
    snapshot = asyncio.run(cache.snapshot(dag_id, file.name, file.create_time or ""))
    return json.loads(json.dumps(uses_of(file, snapshot, jobs)))


def job(dag_id: str, state: str = "RUNNING", minutes: float = 1, deployment: str | None = "here", **mark) -> BatchJob:
    deployment = database_lookup.deployment if deployment == "here" else deployment
    owner = Owner(dag_id, "success", "rows", deployment=deployment)
    name = BatchMark("0123456789abcdef01234567", owner, "files/input", **mark).display_name("label")
    created = (NOW + timedelta(minutes=minutes)).isoformat()
    return BatchJob(name="batches/a", state=state, display_name=name, create_time=created)


def test_uses_are_listed_the_newest_first(dag_id, file):
    add(dag_id, file, at=NOW, map_index=4, state="failed")
    add(dag_id, file, at=NOW + timedelta(seconds=5), task_id="add", key="imported")

    answer = told(file, dag_id)
    assert answer["uses"] == [
        [dag_id, "success", "add", -1, "success", NOW.timestamp() + 5, "store"],
        [dag_id, "success", "ask", 4, "failed", NOW.timestamp(), "model"],
    ]
    assert (answer["loading"], answer["error"], answer["more"], answer["missing_before"]) == (False, None, 0, None)


def test_file_that_nobody_has_used_has_an_empty_list(dag_id, file):
    assert told(file, dag_id)["uses"] == []


def test_only_the_newest_uses_are_listed_and_the_others_are_counted(dag_id, file, monkeypatch):
    monkeypatch.setattr(uses, "MAX_USES", 2)
    for index in range(5):
        add(dag_id, file, at=NOW + timedelta(seconds=index), map_index=index)

    answer = told(file, dag_id)
    assert [use[3] for use in answer["uses"]] == [4, 3]
    assert answer["more"] == 3


@pytest.mark.parametrize("state", ["RUNNING", "SUCCEEDED"])
def test_job_that_names_the_file_stands_for_its_task(dag_id, file, state):
    add_xcom(dag_id, "batches/a", key="batch_name", task_id="rows", at=NOW, state="deferred")
    listed = job(dag_id, state, files=(file.name,))

    [use] = told(file, dag_id, listed)["uses"]
    assert use == [dag_id, "success", "rows", -1, "deferred", (NOW + timedelta(minutes=1)).timestamp(), "batch"]


def test_task_whose_xcom_names_the_file_is_not_repeated_for_its_jobs(dag_id, file):
    add(dag_id, file, key="batch", task_id="rows")
    jobs = [job(dag_id, "SUCCEEDED", files=(file.name,)), job(dag_id, of_run=True)]

    assert [use[2:] for use in told(file, dag_id, *jobs)["uses"]] == [["rows", -1, "success", NOW.timestamp(), "batch"]]


def test_running_job_that_names_a_run_may_read_its_older_files(dag_id, file):
    assert [use[6] for use in told(file, dag_id, job(dag_id, of_run=True))["uses"]] == ["maybe_batch"]
    assert told(file, dag_id, job(dag_id, of_run=True, minutes=-1))["uses"] == []
    # XCom of its task says which files it has read.
    assert told(file, dag_id, job(dag_id, "SUCCEEDED", of_run=True))["uses"] == []
    assert told(file, dag_id, job("another", of_run=True))["uses"] == []


def test_jobs_that_do_not_name_the_file_are_no_uses(dag_id, file):
    elsewhere = job(dag_id, deployment="elsewhere", files=(file.name,))
    jobs = [job(dag_id), job(dag_id, files=("files/other",)), elsewhere, BatchJob(name="batches/b", state="RUNNING")]

    assert told(file, dag_id, *jobs)["uses"] == []


def test_uses_of_another_connection_are_not_told(dag_id, file):
    add(dag_id, file)

    assert told(file, "another connection")["uses"] == []


def test_database_that_fails_is_an_error_and_not_an_empty_list(dag_id, file, mocker):
    mocker.patch.object(uses, "recorded_uses", autospec=True, side_effect=OSError("secret://of@database"))

    answer = told(file, dag_id)
    assert answer["uses"] is None
    assert answer["error"] == {
        "kind": ErrorKind.UNEXPECTED,
        "message": "The uses could not be listed. See the log of the API server.",
    }


def test_page_is_told_that_the_database_has_not_responded_yet(file):
    answer = uses_of(file, Snapshot(loading=True), ())

    assert (answer["uses"], answer["loading"], answer["error"]) == (None, True, None)
