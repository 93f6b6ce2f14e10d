"""The tasks that have used a file, for its open row on the page."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.file_uses import recorded_uses, states_of
from airflow_provider_gemini_files.files.in_use import run_of
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.uses import How, Use
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.runs import database_lookup
from airflow_provider_gemini_files.ui.listings import Snapshot

#: Uses that the page shows, the newest ones.
MAX_USES = 50
#: Files that are looked for at the same time, however many rows are opened.
_reading = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class UseListing:
    """
    The uses of a file that XCom records.

    :param at: when the reading started, in seconds since the epoch.
    :param missing_before: the time before which XCom was not read, as there are too many entries; None if all were.
    """

    at: float
    uses: tuple[Use, ...]
    missing_before: datetime | None

    @classmethod
    def read(cls, hook: GeminiFilesHook, at: float, _: UseListing | None, name: str, created: str) -> UseListing:
        """Read the entries; the service is not asked."""
        with _reading:
            uses, missing = recorded_uses(GeminiFile(name, create_time=created or None), hook.gemini_conn_id)
        return cls(at, tuple(uses), missing)


def uses_of(file: GeminiFile, snapshot: Snapshot[UseListing], jobs: Iterable[BatchJob]) -> dict[str, Any]:
    """
    Return what is known about the uses of a file.

    :param jobs: the batch jobs of the project, as far as they are known.
    """
    listing = snapshot.listing
    told: dict[str, Any] = {
        "now": time.time(),
        "loading": snapshot.loading,
        "error": asdict(snapshot.error) if snapshot.error else None,
        "uses": None,
        "more": 0,
        "missing_before": None,
    }
    if listing is None:
        return told
    uses = _with_jobs(listing.uses, file, jobs)
    missing = listing.missing_before
    return told | {
        "uses": [list(use) for use in uses[:MAX_USES]],
        "more": max(len(uses) - MAX_USES, 0),
        "missing_before": missing and missing.timestamp(),
    }


def _with_jobs(recorded: Iterable[Use], file: GeminiFile, jobs: Iterable[BatchJob]) -> list[Use]:
    """Return all uses, the newest first: XCom of a batch is there only when its jobs have ended."""
    uses = {(use[:4], use.how is How.BATCH): use for use in recorded}
    for use in _uses_by_jobs(file, jobs):
        uses.setdefault((use[:4], True), use)
    newest = sorted(uses.values(), key=lambda use: use.at, reverse=True)
    shown = newest[:MAX_USES]
    states = states_of(use[:4] for use in shown if use.state is None)
    return [use._replace(state=use.state or states.get(use[:4])) for use in shown] + newest[MAX_USES:]


def _uses_by_jobs(file: GeminiFile, jobs: Iterable[BatchJob]) -> Iterator[Use]:
    deployment = database_lookup.deployment
    for job in jobs:
        mark = BatchMark.parse(job.display_name)
        if mark is None or mark.owner is None or mark.owner.deployment != deployment:
            continue
        how = _how(mark, job, file)
        if how:
            owner = mark.owner
            yield Use(*owner.run, owner.task_id, owner.map_index, None, job.created_at() or 0.0, how)


def _how(mark: BatchMark, job: BatchJob, file: GeminiFile) -> How | None:
    if file.name in (mark.input, *(mark.files or ())):
        return How.BATCH
    of_run = mark.of_run and mark.owner and file.owner and run_of(file.owner) == run_of(mark.owner)
    is_older = (file.created_at() or 0.0) <= (job.created_at() or 0.0)
    # Once it has ended, XCom of its task names the files.
    return How.MAYBE_BATCH if of_run and is_older and not job.has_ended else None
