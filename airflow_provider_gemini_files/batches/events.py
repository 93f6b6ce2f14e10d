"""The events of the triggers for batch jobs; see ``files/events.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.files.events import Event, error_of, event_of


def batches_event(jobs: Sequence[BatchJob], resume: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the event of jobs that have ended with results; of no job if only a pause is over."""
    return event_of("batches", [job.to_dict() for job in jobs], resume)


def batches_of(event: Event | None) -> list[BatchJob]:
    """
    Return the jobs of an event, in the order they were asked for.

    :raises GeminiFilesError: the error that ended the wait, of its own class.
    """
    if event and isinstance(event.get("batches"), list):
        return [BatchJob.from_dict(job) for job in event["batches"]]
    raise error_of(event)
