"""The details of a file, for its open row on the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.mark import files_in_use
from airflow_provider_gemini_files.common.redaction import shown_url
from airflow_provider_gemini_files.files.naming import deployment_of
from airflow_provider_gemini_files.files.reference import GeminiFile


def details_of(file: GeminiFile, jobs: Iterable[BatchJob] | None) -> dict[str, Any]:
    """
    Return what the row of a file does not have.

    :param jobs: the batch jobs of the project; None if they are not known.
    """
    return {
        "name": file.name,
        "display_name": file.display_name,
        "uri": file.uri and shown_url(file.uri),
        "sha256": file.sha256,
        "deployment": deployment_of(file.display_name),
        "jobs": None if jobs is None else [job.name for job in jobs if _reads(job, file)],
    }


def _reads(job: BatchJob, file: GeminiFile) -> bool:
    """Return whether a job says that it reads a file; a job of another tool does not say what it reads."""
    return files_in_use([job]).is_certain(file)
