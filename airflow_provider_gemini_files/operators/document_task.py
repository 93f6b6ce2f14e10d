"""The way of a sync through a task: plan, add, wait, delete, until the store is in step; then account."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files.common.failures import combined
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.exceptions import (
    GeminiDocumentFailedError,
    GeminiFilesError,
    GeminiServiceError,
    GeminiStoreGoneError,
)
from airflow_provider_gemini_files.file_search.state import DocumentWait
from airflow_provider_gemini_files.file_search.sync_plan import SyncPlan
from airflow_provider_gemini_files.files.events import Event, resume_of
from airflow_provider_gemini_files.hooks.document_sync import DocumentSync
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.transfer.output import Output
from airflow_provider_gemini_files.triggers.file_search import GeminiDocumentStateTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

VERSION = 1
#: Times that sources are added within one attempt: again after a failure, and for sources that change meanwhile.
_MAX_ROUNDS = 3
#: Names of documents in XCom, the most.
MAX_NAMES = 500
#: Documents of one wait, the most: their names are in a row of Airflow's database, in a column that can have 64 KB.
_MAX_WAITED = 200


@dataclass
class SyncResume:
    """
    The past of a sync over its deferrals.

    :param began: when it began, in seconds since the epoch, as is ``deadline``.
    :param rounds: how often sources were added.
    :param unchanged: number of sources that had their document at the beginning; None before the first plan.
    :param replaced: number of sources that had an older document then; some of them may have failed since.
    :param deleted: number of documents that were deleted because their source is gone.
    :param indexed: number of documents that were added.
    :param indexed_bytes: their size.
    """

    began: float
    deadline: float
    rounds: int = 0
    unchanged: int | None = None
    replaced: int = 0
    deleted: int = 0
    indexed: int = 0
    indexed_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def read(cls, event: Event | None) -> SyncResume | None:
        """Read the record of an event; None if there is none."""
        record = resume_of(event)
        if not isinstance(record, Mapping) or "deadline" not in record:
            return None
        return cls(**{one.name: record[one.name] for one in fields(cls) if one.name in record})


@dataclass(frozen=True)
class SyncSettings:
    """
    How a sync goes its way. Durations are in seconds.

    :param failed_grace: for which a document may be FAILED and still become ACTIVE.
    """

    store: str
    deferrable: bool
    poll_interval: float
    max_poll_interval: float
    failed_grace: float


class DocumentTask:
    """One attempt of a sync, or the part of it after a deferral."""

    def __init__(
        self, task: GeminiOperator, settings: SyncSettings, context: Context, sync: DocumentSync, resume: SyncResume
    ) -> None:
        self._task = task
        self._log = task.log
        self._clock = task.clock
        self._settings = settings
        self._ti = context["ti"]
        self._sync = sync
        self._resume = resume

    def execute(self) -> dict[str, int]:
        """Do what is left to do, and return the counts; it may defer the task."""
        while True:
            planned = self._sync.plan()
            self._count(planned)
            if planned.is_done:
                return self._counts()
            if planned.pending and self._resume.rounds:
                # The next round begins after this one has ended, so that each source has its share of them.
                planned = replace(planned, uploads=())
            if planned.uploads:
                if self._resume.rounds >= _MAX_ROUNDS:
                    self._sync.give_up(planned.uploads)
                    continue
                self._resume.rounds += 1
            names = self._sync.advance(planned)
            if names:
                self._wait(names)
            elif planned.unlisted or planned.uploads:
                self._clock.sleep(self._settings.poll_interval)
            self._check_deadline()

    def run(self, report: Output | None) -> dict[str, int]:
        """
        Do what is left to do, account for it also if it fails, and return the counts; it may defer the task.

        :raises GeminiFilesError: naming the sources that have no document.
        """
        try:
            counts = self.execute()
        except GeminiFilesError:
            if self._resume.unchanged is not None:
                self._account(self._counts(), report)
            raise
        self._account(counts, report)
        self._check_failures()
        return counts

    def _account(self, counts: Mapping[str, int], report: Output | None) -> None:
        """Push the documents to XCom and write the report."""
        documents = self._sync.documents()
        self._ti.xcom_push("indexed", self._indexed())
        self._ti.xcom_push("counts", dict(counts))
        self._ti.xcom_push("documents", list(documents.values())[:MAX_NAMES])
        self._log.info("%s: %s", self._settings.store, ", ".join(f"{count} {what}" for what, count in counts.items()))
        if report:
            with report.staged() as file:
                for line in _report(documents, self._sync.errors()):
                    file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            self._log.info("The report of all sources is in %s", report.uri)

    def _indexed(self) -> dict[str, Any]:
        """Return what was sent to be indexed, which is billed."""
        return {
            "conn_id": self._task.gemini_conn_id,
            "store": self._settings.store,
            "documents": self._resume.indexed + self._sync.indexed,
            "bytes": self._resume.indexed_bytes + self._sync.indexed_bytes,
        }

    def _check_failures(self) -> None:
        errors = list(self._sync.failures.values())
        if len(errors) == 1:
            raise errors[0]
        if errors:
            told = "; ".join(str(error) for error in errors[:5])
            more = f" ... and {len(errors) - 5} more" if len(errors) > 5 else ""
            raise combined(errors, f"{len(errors)} sources are not in {self._settings.store}: {told}{more}")

    def names(self) -> list[str]:
        """Return the names of the documents."""
        return list(self._sync.documents().values())

    def planned(self) -> dict[str, int]:
        """Return the counts of what would be done, for a dry run."""
        planned = self._sync.plan()
        for uri in planned.uploads:
            self._log.info("Would %s %s", "replace" if uri in planned.replaced else "add", shown_text(uri))
        for document in planned.deletions:
            self._log.info("Would delete %s", document.name)
        waiting = {one.origin.source for one in planned.pending if one.origin} - planned.unchanged
        replaced = len(planned.replaced) - len(self._sync.stale())
        return {
            "added": len(planned.uploads) + len(waiting) - replaced,
            "replaced": replaced,
            "deleted": planned.gone,
            "unchanged": len(planned.unchanged),
            "failed": len(self._sync.failures),
        }

    def _count(self, planned: SyncPlan) -> None:
        if self._resume.unchanged is None:
            self._resume.unchanged = len(planned.unchanged)
            self._resume.replaced = len(planned.replaced)

    def _counts(self) -> dict[str, int]:
        resume, failed = self._resume, len(self._sync.failures)
        unchanged = resume.unchanged or 0
        active = len(self._sync.documents())
        replaced = min(max(resume.replaced - len(self._sync.stale()), 0), max(active - unchanged, 0))
        return {
            "added": max(active - unchanged - replaced, 0),
            "replaced": replaced,
            "deleted": self._sync.deleted_missing + resume.deleted,
            "unchanged": unchanged,
            "failed": failed,
        }

    def _check_deadline(self) -> None:
        if self._clock.now() >= self._resume.deadline:
            raise GeminiServiceError(
                f"{self._settings.store} is not in step with its source after "
                f"{self._clock.now() - self._resume.began:.0f} s (timeout). A retry continues from there."
            )

    def _wait(self, names: Sequence[str]) -> None:
        """Wait until documents are ACTIVE or have failed, here or in the triggerer, which then resumes this task."""
        settings, resume = self._settings, self._resume
        now = self._clock.now()
        schedule = Schedule(now, resume.deadline, settings.poll_interval, settings.max_poll_interval)
        # Those that were added last take the longest to be listed; the next plan has the others.
        names = names[-_MAX_WAITED:]
        wait = DocumentWait(names, schedule, settings.failed_grace)
        self._log.info("Waiting for %d documents to become ACTIVE", len(names))
        if settings.deferrable:
            resume.deleted += self._sync.deleted_missing
            resume.indexed += self._sync.indexed
            resume.indexed_bytes += self._sync.indexed_bytes
            trigger = GeminiDocumentStateTrigger(
                gemini_conn_id=self._task.gemini_conn_id,
                document_names=list(names),
                failed_grace=settings.failed_grace,
                began=now,
                deadline=resume.deadline,
                poll_interval=settings.poll_interval,
                max_poll_interval=settings.max_poll_interval,
                resume=resume.to_dict(),
                clock=self._clock,
            )
            self._task.defer(**trigger.deferral())
        try:
            self._task.hook.file_search.finish(settings.store, wait)
        except (GeminiDocumentFailedError, GeminiStoreGoneError) as error:
            # Another sync may have deleted a duplicate. If the store itself is gone, the next plan says so.
            self._log.warning("%s", error)
            settled = {*wait.pending, *(document.name for document in wait.ready())}
            self._sync.forget({name for name in names if name not in settled})


def _report(documents: Mapping[str, str], errors: Mapping[str, str]) -> list[dict[str, Any]]:
    failed = [{"source": uri, "document": None, "error": error} for uri, error in errors.items()]
    return [{"source": uri, "document": name, "error": None} for uri, name in documents.items()] + failed
