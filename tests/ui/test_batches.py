"""The page's listing of batch jobs."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from support import seed, submit_job

from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.ui import batches
from airflow_provider_gemini_files.ui.batches import JobListing

pytestmark = pytest.mark.usefixtures("airflow_db")

OWNER = Owner("a_dag", "a_run", "a_task", 4, "tests")
MARK = BatchMark("0123456789abcdef01234567", OWNER, "files/input", ())


def listed(hook) -> JobListing:
    return JobListing.read(hook, time.time(), None)


def rows(listing: JobListing) -> list[list]:
    return json.loads(listing.rows.part().rows)


def test_row_has_the_label_the_owner_and_the_files_of_a_job(emulator, hook):
    emulator.settings.job_seconds = 0
    submitted = submit_job(hook, MARK.display_name("films"))
    [row] = rows(listed(hook))

    job = hook.get_batch(submitted.name)
    assert json.loads(listed(hook).rows.part().owners) == [["a_dag", "a_run", "a_task", 4, "gone"]]
    assert row == [
        0, job.name, "films", "SUCCEEDED", True, "gemini-2.5-flash",
        [2, 2, 0, 0], round(job.created_at()), round(job.ended_at()), "files/input", job.output_file, None,
    ]  # fmt: skip


def test_job_of_another_tool_has_neither_owner_nor_input(emulator, hook):
    emulator.settings.job_seconds = 60
    submit_job(hook, "films [of mine]")
    [row] = rows(listed(hook))

    assert row[0] is None
    assert row[2:5] == ["films [of mine]", "PENDING", False]
    assert row[6] == [2, 0, 0, 2]
    assert row[8:] == [None, None, None, None]


def test_reason_of_a_failed_job_is_in_its_row(emulator, hook):
    emulator.settings.job_seconds = 0
    emulator.faults.add("create_batch", "batch_failed", error={"code": 9, "message": "The file\nis empty."})
    submit_job(hook)
    [row] = rows(listed(hook))

    assert (row[3], row[-1]) == ("FAILED", "The file is empty.")


def test_jobs_that_have_not_ended_are_listed_however_many_have(emulator, hook, monkeypatch):
    monkeypatch.setattr(batches, "MAX_JOBS", 3)
    emulator.settings.job_seconds = 60
    running = submit_job(hook)
    seed(emulator.base_url, *({"name": f"batches/ended-{number}"} for number in range(5)))
    listing = listed(hook)

    assert listing.jobs[0].name == running.name
    assert len(rows(listing)) == 3
    assert listing.more == 3
    assert listing.running == 1


def test_the_most_jobs_are_sent_in_small_parts(emulator, hook, mocker):
    emulator.settings.job_seconds = 0
    job = hook.get_batch(submit_job(hook, MARK.display_name("a label as long as can be" * 2)).name)
    failed = replace(job, state="FAILED", error={"message": "The model is not available. " * 20})
    jobs = [replace(failed, name=f"batches/{number:05}") for number in range(5000)]
    mocker.patch.object(type(hook), "list_batches", autospec=True, return_value=jobs)
    listing, sent, after = listed(hook), 0, ""
    while after is not None:
        part = listing.rows.part(after)
        assert len(part.owners) + len(part.rows) < 300_000
        sent += len(json.loads(part.rows))
        after = part.next

    assert sent == batches.MAX_JOBS
