"""The hook's calls for a project's storage: how full it is, and the sweep that keeps it from being full."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiFilesError,
    GeminiInputError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.files.limits import human_bytes
from airflow_provider_gemini_files.files.policy import Reason, RetentionPolicy, RunState
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, parse_names
from airflow_provider_gemini_files.files.retention import Plan, RunKey, Verdict, plan, plan_room
from airflow_provider_gemini_files.files.room import RoomWait
from airflow_provider_gemini_files.files.sweep import SweepReport, counted
from airflow_provider_gemini_files.files.usage import StorageUsage, counted_bytes
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.runs import RunLookup

#: Deletions at once: enough to hide the round trips, few enough for any line.
CONCURRENCY = 16
#: Files between two questions whether their runs have meanwhile begun again.
_BATCH = 500
#: Seconds between two lines in the log.
_SAY_EVERY = 5.0
#: Errors that a report tells in full.
_TOLD = 5


class Outcome(StrEnum):
    """What became of the deletion of a file."""

    DELETED = "deleted"
    GONE = "gone"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Deletion:
    """
    What became of the deletion of a file.

    :param error: why it is still there; None where it is not.
    """

    name: str
    outcome: Outcome
    error: str | None = None

    @property
    def is_gone(self) -> bool:
        """Tell whether the file is not there any more, whoever has deleted it."""
        return self.outcome in (Outcome.DELETED, Outcome.GONE)


class StorageCalls(FileCalls):
    """What can be done about a project's storage."""

    def usage(self) -> StorageUsage:
        """Return how full the storage is, by the complete list of files."""
        return StorageUsage.of(self.list_files(), self.connection.quota_bytes)

    async def ausage(self) -> StorageUsage:
        """Return what :meth:`usage` does, from an event loop, asking once."""
        files = [file async for page in self.alist_pages() for file in page]
        return StorageUsage.of(files, self.connection.quota_bytes)

    def wait_for_room(self, wait: RoomWait) -> StorageUsage:
        """
        Block until there is room, and return the usage then.

        :raises GeminiFilesError: as :meth:`RoomWait.see` does.
        """
        while True:
            try:
                seen: StorageUsage | GeminiFilesError = self.usage()
            except GeminiFilesError as error:
                seen = error
            now = time.time()
            if wait.see(seen, now) and isinstance(seen, StorageUsage):
                return seen
            self.log.info(wait.describe(now))
            time.sleep(wait.pause(now))

    def make_room(self, needed_bytes: int, lookup: RunLookup, *, first: bool = True) -> int:
        """
        Delete files of runs that have ended until a new file fits, and return the bytes that were freed.

        Files that are shared, foreign, or whose run is running or unknown always stay.

        :param needed_bytes: what the service has refused.
        :param first: False: something has been deleted for this already, so where the list says that it fits, deleted
            bytes still count, and nothing more is deleted.
        """
        files = self.list_files()
        usage = StorageUsage.of(files, self.connection.quota_bytes)
        if usage.free_bytes >= needed_bytes and not first:
            return 0
        runs = lookup(file.owner for file in files if file.owner)
        decided = plan_room(files, runs, datetime.now(UTC), needed_bytes, usage.quota_bytes)
        _, deletions = self._carry_out(decided, lookup)
        sizes = {file.name: counted_bytes(file) for file in files}
        freed = sum(sizes[deletion.name] for deletion in deletions if deletion.is_gone)
        self.log.info("%s: %s freed for %s", usage, human_bytes(freed), human_bytes(needed_bytes))
        return freed

    def delete_files(self, files: Sequence[FileLike]) -> list[Deletion]:
        """
        Delete files, some at once, and return what became of each, in order.

        One that is gone already is no error; one that cannot be deleted does not keep the others. After a 429 all rest.

        :raises GeminiAuthError: where the key may not delete; the others would fail alike.
        """
        names = parse_names(files) if files else []
        # Made here, as threads would make several.
        _ = self._files_client
        executor = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="gemini-delete")
        try:
            return list(executor.map(self._delete, names))
        finally:
            # A task that is told to end must not wait for what goes on in threads.
            executor.shutdown(wait=False, cancel_futures=True)

    def sweep(self, policy: RetentionPolicy, lookup: RunLookup, *, dry_run: bool = False) -> SweepReport:
        """
        Delete what a policy says, and report; one that is killed in the middle can be run again.

        :param lookup: asks Airflow about runs: :func:`~airflow_provider_gemini_files.runs.task_lookup` in a task,
            :func:`~airflow_provider_gemini_files.runs.database_lookup` where there is a database.
        :param dry_run: delete nothing; the report says what would be deleted.
        :raises GeminiFilesError: where the files cannot be listed, or none of those that should go could be deleted.
        """
        files, decided = self.plan_sweep(policy, lookup)
        before = StorageUsage.of(files, self.connection.quota_bytes)
        self.log.info("%s: %d files would go, %s", before, len(decided.deletions), human_bytes(decided.freed_bytes))
        verdicts, deletions = (decided.verdicts, []) if dry_run else self._carry_out(decided, lookup)
        report = self._report(files, verdicts, deletions, dry_run=dry_run)
        if report.failed and not report.deleted_files:
            raise GeminiServiceError(
                f"None of {report.failed} files could be deleted; a retry tries again: {'; '.join(report.errors)}"
            )
        return report

    def plan_sweep(self, policy: RetentionPolicy, lookup: RunLookup) -> tuple[list[GeminiFile], Plan]:
        """Return all files of the project, and what a policy says about each."""
        files = self.list_files()
        runs = lookup(file.owner for file in files if file.owner)
        return files, plan(files, runs, datetime.now(UTC), policy, self.connection.quota_bytes)

    def _carry_out(self, decided: Plan, lookup: RunLookup) -> tuple[list[Verdict], list[Deletion]]:
        """Delete batch after batch; return the verdicts as they turned out, and what became of each deletion."""
        verdicts = [verdict for verdict in decided.verdicts if not verdict.delete]
        deletions: list[Deletion] = []
        said = time.monotonic()
        for batch in _batches(decided.deletions, _BATCH):
            # A run can have been cleared since the plan was made.
            runs = lookup(verdict.file.owner for verdict in batch if verdict.file.owner)
            checked = [_checked(verdict, runs) for verdict in batch]
            verdicts += checked
            deletions += self.delete_files([verdict.file for verdict in checked if verdict.delete])
            if time.monotonic() - said >= _SAY_EVERY:
                said = time.monotonic()
                self.log.info("%d of %d files are dealt with", len(deletions), len(decided.deletions))
        return verdicts, deletions

    def _report(
        self, files: list[GeminiFile], verdicts: Sequence[Verdict], deletions: Sequence[Deletion], *, dry_run: bool
    ) -> SweepReport:
        outcomes = {deletion.name: deletion for deletion in deletions}
        went = [verdict for verdict in verdicts if verdict.delete and (dry_run or outcomes[verdict.file.name].is_gone)]
        names = {verdict.file.name for verdict in went}
        count = Counter(deletion.outcome for deletion in deletions)
        quota = self.connection.quota_bytes
        return SweepReport(
            conn_id=self.gemini_conn_id,
            dry_run=dry_run,
            before=StorageUsage.of(files, quota),
            after=StorageUsage.of((file for file in files if file.name not in names), quota),
            deleted=counted(went),
            kept=counted(verdict for verdict in verdicts if not verdict.delete),
            gone=count[Outcome.GONE],
            refused=count[Outcome.REFUSED],
            failed=count[Outcome.FAILED],
            errors=tuple(str(d.error) for d in deletions if d.outcome is Outcome.FAILED)[:_TOLD],
        )

    def _delete(self, name: str) -> Deletion:
        try:
            was_there = self.delete_file(name)
        except GeminiAuthError:
            raise
        except GeminiInputError as error:
            # 400: a batch's results, whose ids are longer than the service allows in this very call.
            return Deletion(name, Outcome.REFUSED, str(error))
        except GeminiFilesError as error:
            return Deletion(name, Outcome.FAILED, str(error))
        return Deletion(name, Outcome.DELETED if was_there else Outcome.GONE)


def _checked(verdict: Verdict, runs: Mapping[RunKey, RunState]) -> Verdict:
    """Return a deletion, or that the file stays as its run is no longer known to have ended."""
    owner = verdict.file.owner
    state = runs.get((owner.dag_id, owner.run_id), RunState.UNKNOWN) if owner else None
    if state is RunState.RUNNING:
        return replace(verdict, delete=False, reason=Reason.RUN_RUNNING, why="its run has meanwhile begun again")
    if state is RunState.UNKNOWN:
        return replace(verdict, delete=False, reason=Reason.RUN_UNKNOWN, why="its run could not be asked about again")
    return verdict


def _batches(verdicts: Sequence[Verdict], size: int) -> Iterator[Sequence[Verdict]]:
    for start in range(0, len(verdicts), size):
        yield verdicts[start : start + size]
