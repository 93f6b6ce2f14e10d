"""The summary of a connection for the page's overview."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from support import seed, submit_job

from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.ui.batches import JobListing
from airflow_provider_gemini_files.ui.errors import ErrorKind
from airflow_provider_gemini_files.ui.files import FileListing
from airflow_provider_gemini_files.ui.listings import ListingCache, Snapshot
from airflow_provider_gemini_files.ui.overview import summary_of

pytestmark = pytest.mark.usefixtures("airflow_db")

HOUR = 3600


def summary() -> dict:
    async def read():
        return await asyncio.gather(
            ListingCache("files", FileListing.read).snapshot("gemini_default"),
            ListingCache("batch jobs", JobListing.read).snapshot("gemini_default"),
        )

    return json.loads(json.dumps(summary_of(*asyncio.run(read()))))


def test_usage_expiring_files_and_running_jobs_are_counted(emulator: GeminiEmulator, hook):
    emulator.settings.job_seconds = 10_000
    submit_job(hook)
    seed(emulator.base_url, {"name": "files/new", "size": 5}, {"name": "files/old", "size": 7, "age": 30 * HOUR})
    seed(emulator.base_url, {"name": "batches/ended"})
    told = summary()

    assert told["usage"]["files"] == 3
    assert told["expiring"] == {"files": 1, "bytes": 7}
    assert told["running_jobs"] == 1
    assert told["error"] is told["jobs_error"] is None
    assert not told["loading"]
    assert told["listed_at"] == pytest.approx(time.time(), abs=60)


def test_api_without_batches_does_not_hide_the_files(emulator, hook):
    error = {"code": 404, "message": "There are no batches here.", "status": "NOT_FOUND"}
    emulator.faults.add("list_batches", "status", status=404, body={"error": error})
    told = summary()

    assert told["usage"]["files"] == 0
    assert told["error"] is None
    assert told["running_jobs"] is None
    assert "There are no batches here" in told["jobs_error"]["message"]


def test_connection_without_a_key_has_an_error_instead_of_numbers(connect, monkeypatch):
    connect(password=None)
    told = summary()

    assert told["error"]["kind"] == ErrorKind.API_KEY
    assert told["usage"] is told["expiring"] is told["running_jobs"] is None


def test_what_has_not_been_read_in_time_is_left_out():
    told = summary_of(Snapshot(loading=True), Snapshot(loading=True))

    assert told["loading"]
    assert told["listed_at"] is told["usage"] is told["expiring"] is told["running_jobs"] is None
