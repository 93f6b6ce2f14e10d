"""The page's cancellations of batch jobs."""

from __future__ import annotations

import json
import time

import pytest
from support import API_KEY, submit_job

from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.ui import audit
from airflow_provider_gemini_files.ui.batches import JobListing
from airflow_provider_gemini_files.ui.cancellations import cancel

pytestmark = pytest.mark.usefixtures("airflow_db")

CONN_ID = "gemini_default"
OWNER = Owner("a_dag", "a_run", "a_task", 4, "tests")


@pytest.fixture
def record(mocker):
    """Return the calls that write to the audit log."""
    return mocker.patch.object(audit, "record", autospec=True)


def listing(hook) -> JobListing:
    return JobListing.read(hook, time.time(), None)


def test_only_jobs_that_have_not_ended_are_cancelled(emulator, hook, record):
    emulator.settings.job_seconds = 0
    ended = submit_job(hook)
    emulator.settings.job_seconds = 60
    running = submit_job(hook)
    results = cancel(CONN_ID, listing(hook), [running.name, ended.name, "batches/unknown"], "user")

    assert {result["name"]: result["outcome"] for result in results} == {
        running.name: "cancelled",
        ended.name: "ended",
        "batches/unknown": "gone",
    }
    assert [entry["call"] for entry in emulator.journal].count("cancel_batch") == 1


def test_each_cancellation_is_audited_with_the_owner_of_the_job(emulator, hook, record):
    emulator.settings.job_seconds = 60
    job = submit_job(hook, BatchMark("0123456789abcdef01234567", OWNER, None).display_name("films"))
    cancel(CONN_ID, listing(hook), [job.name], "user")

    record.assert_called_once_with(
        "user",
        "gemini_batches_cancel_job",
        OWNER,
        {
            "connection": CONN_ID,
            "job": job.name,
            "display_name": job.display_name,
            "outcome": "cancelled",
            "error": None,
        },
    )
    json.dumps(record.call_args.args[3])


def test_cancellation_stops_when_audit_log_cannot_be_written(emulator, hook, record):
    emulator.settings.job_seconds = 60
    jobs = [submit_job(hook).name for _ in range(3)]
    record.side_effect = RuntimeError("database is gone")

    with pytest.raises(RuntimeError, match="database is gone"):
        cancel(CONN_ID, None, jobs, "user")
    assert [entry["call"] for entry in emulator.journal].count("cancel_batch") == 1


def test_error_names_no_key(emulator, hook, record, mocker):
    error = GeminiServiceError(f"Cannot cancel: key {API_KEY} is wrong\n")
    mocker.patch.object(type(hook), "cancel_batch", autospec=True, side_effect=error)
    [result] = cancel(CONN_ID, None, ["batches/a"], "user")

    assert result == {"name": "batches/a", "outcome": "failed", "error": "Cannot cancel: key *** is wrong [GF203]"}


def test_invalid_name_is_refused_before_anything_is_cancelled(emulator, hook, record):
    with pytest.raises(GeminiInputError):
        cancel(CONN_ID, None, ["batches/a", "files/../b"], "user")
    assert record.call_count == 0
