"""What a trigger of batch jobs tells the task that it resumes, through Airflow's database."""

from __future__ import annotations

import json
import math

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.events import batches_event, batches_of
from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.files.events import error_event, resume_of

JOBS = [
    BatchJob("batches/b", "SUCCEEDED", counts={"total": 1, "successful": 1}, output_file="files/r"),
    BatchJob("batches/a", "PARTIALLY_SUCCEEDED", is_inline=True, counts={}),
]


def stored(event: dict) -> dict:
    """Return an event as it comes back from the database."""
    return json.loads(json.dumps(event, allow_nan=False))


def test_jobs_come_back_in_order_with_the_past_of_the_task():
    event = stored(batches_event(JOBS, {"rounds": [1]}))

    assert batches_of(event) == JOBS
    assert resume_of(event) == {"rounds": [1]}


def test_event_of_a_pause_has_no_jobs():
    assert batches_of(stored(batches_event([]))) == []


@pytest.mark.parametrize(
    "error",
    [
        e.GeminiBatchFailedError("no"),
        e.GeminiBatchInterruptedError("no", 5.0),
        e.GeminiBatchExpiredError("no"),
        e.GeminiBatchCancelledError("no"),
        e.GeminiBatchGoneError("no"),
        e.GeminiWaitTimeoutError("no"),
        e.GeminiServiceError("no", math.inf),
    ],
)
def test_error_keeps_its_class_and_words(error):
    event = stored(error_event(error, {"rounds": []}))

    with pytest.raises(type(error), match="no") as raised:
        batches_of(event)

    assert type(raised.value) is type(error)
    assert resume_of(event) == {"rounds": []}


@pytest.mark.parametrize(
    "event", [None, {}, {"version": 2, "resume": None}, {"version": 2, "batches": None}, {"files": []}]
)
def test_event_without_a_result_is_no_success(event):
    with pytest.raises(e.GeminiServiceError, match="The trigger ended without a result"):
        batches_of(event)
