"""The summary of a connection, for the page's overview of all connections."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.ui.batches import JobListing
from airflow_provider_gemini_files.ui.files import FileListing
from airflow_provider_gemini_files.ui.listings import Snapshot

#: Files that expire within these seconds are counted.
_SOON_SECONDS = 24 * 3600.0


def summary_of(files: Snapshot[FileListing], jobs: Snapshot[JobListing]) -> dict[str, Any]:
    """
    Return what ``overview.js`` shows of a connection.

    What is not known yet, or could not be read, is None. An error of the jobs alone, as of an API without batches, does
    not hide the files.
    """
    listing, job_listing = files.listing, jobs.listing
    expiring = listing.expiring(_SOON_SECONDS) if listing else None
    return {
        "now": time.time(),
        "listed_at": listing.at if listing else None,
        "loading": files.loading or jobs.loading,
        "error": asdict(files.error) if files.error else None,
        "usage": listing.usage.to_dict() if listing else None,
        "high_watermark": RetentionPolicy().high_watermark,
        "expiring": {"files": expiring.files, "bytes": expiring.used_bytes} if expiring else None,
        "running_jobs": job_listing.running if job_listing else None,
        "jobs_error": asdict(jobs.error) if jobs.error else None,
    }
