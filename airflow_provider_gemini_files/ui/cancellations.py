"""The page's cancellations of batch jobs. All functions block."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from airflow_provider_gemini_files.batches.job import parse_batch_names
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import GeminiBatchGoneError, GeminiFilesError
from airflow_provider_gemini_files.hooks.server import GeminiServerHook
from airflow_provider_gemini_files.ui import audit
from airflow_provider_gemini_files.ui.batches import JobListing, owner_of
from airflow_provider_gemini_files.ui.changes import outcomes


class CancelOutcome(StrEnum):
    """The outcome of cancelling a job."""

    CANCELLED = "cancelled"
    ENDED = "ended"
    GONE = "gone"
    FAILED = "failed"


def cancel(conn_id: str, listing: JobListing | None, names: Sequence[str], user: str) -> list[dict[str, Any]]:
    """
    Ask the service to cancel jobs that have not ended, and write each cancellation to the audit log as it happens.

    :param listing: what is known about the jobs; it is used for the audit log only.
    :return: one object per job: ``name``, ``outcome`` and ``error``.
    :raises GeminiInputError: if a name is invalid, or the connection is; nothing is cancelled then.
    :raises GeminiAuthError: if the connection has no API key.
    """
    names = parse_batch_names(names)
    hook = GeminiServerHook(conn_id)
    # An invalid connection fails here, before anything is cancelled.
    api_key = hook.connection.api_key
    jobs = {job.name: job for job in listing.jobs} if listing else {}

    def cancel_one(name: str) -> dict[str, Any]:
        try:
            was_running = hook.cancel_batch(name, ignore_missing=False)
        except GeminiBatchGoneError:
            return _result(name, CancelOutcome.GONE)
        except GeminiFilesError as error:
            return _result(name, CancelOutcome.FAILED, shown_text(error, (api_key,)))
        return _result(name, CancelOutcome.CANCELLED if was_running else CancelOutcome.ENDED)

    results = []
    for result in outcomes(cancel_one, names):
        job = jobs.get(result["name"])
        display_name = job.display_name if job else None
        entry = {"connection": conn_id, "job": result["name"], "display_name": display_name}
        outcome = {"outcome": result["outcome"], "error": result["error"]}
        audit.record(user, f"{audit.CANCEL_EVENT}_job", owner_of(job) if job else None, entry | outcome)
        results.append(result)
    return results


def _result(name: str, outcome: CancelOutcome, error: str | None = None) -> dict[str, Any]:
    return {"name": name, "outcome": outcome, "error": error}
