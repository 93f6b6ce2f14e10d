"""The listing of a connection's batch jobs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark, label_of_job
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.ui.owners import OwnerRuns
from airflow_provider_gemini_files.ui.parts import Rows

#: Jobs that the page lists: the service keeps jobs that have ended until somebody deletes them.
MAX_JOBS = 1000


@dataclass(frozen=True)
class JobListing:
    """
    The batch jobs of a connection's project, and the runs that own them.

    :param at: when the listing started, in seconds since the epoch.
    :param jobs: those that have not ended, then the newest of the others; at most :data:`MAX_JOBS`.
    :param more: how many jobs are not listed.
    """

    at: float
    jobs: tuple[BatchJob, ...]
    more: int
    owners: OwnerRuns

    @classmethod
    def read(cls, hook: GeminiFilesHook, at: float, _: JobListing | None) -> JobListing:
        """List the jobs."""
        jobs = sorted(hook.list_batches(), key=lambda job: job.has_ended)
        listed = tuple(jobs[:MAX_JOBS])
        return cls(at, listed, len(jobs) - len(listed), OwnerRuns.of(map(owner_of, listed)))

    @property
    def running(self) -> int:
        """Return how many jobs have not ended."""
        return sum(not job.has_ended for job in self.jobs)

    @cached_property
    def rows(self) -> Rows:
        """Return the rows of the table, encoded once for all users."""
        return Rows((job.name, self.owners.row(owner_of(job)), _values(job)) for job in self.jobs)


def owner_of(job: BatchJob) -> Owner | None:
    """Return the task instance that has submitted a job; None if its display name does not say."""
    return Owner.parse(job.display_name)


def _values(job: BatchJob) -> list[Any]:
    """Return a job as ``batches.js`` decodes it."""
    mark = BatchMark.parse(job.display_name)
    counts, created, ended = job.counts, job.created_at(), job.ended_at()
    return [
        job.name,
        label_of_job(job.display_name),
        job.state,
        job.has_ended,
        (job.model or "").removeprefix("models/"),
        [counts.get(name, 0) for name in ("total", "successful", "failed", "pending")] if counts else None,
        created and round(created),
        ended and round(ended),
        mark and mark.input,
        job.output_file,
        (job.error or {}).get("message") or None,
    ]
