"""The hook's calls for a project's storage: its usage, the cleanup, and eviction for an upload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from airflow_provider_gemini_files.common.failures import combined
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.files.cleanup_report import CleanupReport, Eviction, counted
from airflow_provider_gemini_files.files.deletion import Deletion, DeletionOutcome
from airflow_provider_gemini_files.files.free_space import FreeSpaceWait
from airflow_provider_gemini_files.files.in_use import FilesInUse
from airflow_provider_gemini_files.files.kinds import bytes_by_kind
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.policy import Reason, RetentionPolicy, RunState
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.retention import Decision, Plan, RunKey, plan, plan_eviction
from airflow_provider_gemini_files.files.storage_usage import StorageUsage, counted_bytes
from airflow_provider_gemini_files.hooks.batches import BatchCalls
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.runs import RunLookup

#: Files that are deleted before Airflow is asked again whether their runs are running.
_BATCH = 500
#: Seconds between two lines in the log.
_LOG_EVERY = 5.0
#: Errors that a report repeats.
_REPEATED = 5


class StorageCalls:
    """The calls for a project's storage."""

    def __init__(self, service: GeminiService, files: FileCalls, batches: BatchCalls) -> None:
        self._service = service
        self._files = files
        self._batches = batches
        self._log = service.log

    def usage(self) -> StorageUsage:
        """Return how much of the storage is used, by the complete list of files."""
        return self._usage_of(self._files.list_files())

    def wait_for_free_space(self, wait: FreeSpaceWait) -> StorageUsage:
        """
        Block until there is enough free space, and return the usage then.

        :raises GeminiFilesError: as :meth:`Wait.check` does.
        """
        clock = self._service.clock
        while not self.poll(wait):
            now = clock.now()
            self._log.info(wait.describe(now))
            clock.sleep(wait.next_poll(now) - now)
        return wait.ready()[0]

    def poll(self, wait: FreeSpaceWait) -> bool:
        """
        Poll the usage once, and return whether there is enough free space.

        :raises GeminiFilesError: as :meth:`Wait.check` does.
        """
        try:
            seen: StorageUsage | GeminiFilesError = self.usage()
        except GeminiFilesError as error:
            seen = error
        wait.see(wait.name, seen, self._service.clock.now())
        return wait.check(self._service.clock.now())

    def cleanup(self, policy: RetentionPolicy, lookup: RunLookup, *, dry_run: bool = False) -> CleanupReport:
        """
        Delete the files that a policy selects, and report; a cleanup that is killed halfway can be run again.

        :param lookup: asks Airflow about runs: :func:`~airflow_provider_gemini_files.runs.task_lookup` in a task,
            :func:`~airflow_provider_gemini_files.runs.database_lookup` in a process with a database.
        :param dry_run: delete nothing; the report says what would be deleted.
        :raises GeminiFilesError: if the files cannot be listed, or if none of the selected files could be deleted.
        """
        files, deployment = self._files.list_files(), lookup.deployment
        runs = lookup(_owners(files, deployment))
        planned = self._plan(files, runs, policy, deployment)
        before = self._usage_of(files)
        self._log.info("%s: %d files to delete, %s", before, len(planned.deletions), human_bytes(planned.freed_bytes))
        decisions, deletions = (planned.decisions, []) if dry_run else self._carry_out(planned, lookup)
        report = self._report(files, decisions, deletions, dry_run=dry_run)
        report = replace(report, owned=bytes_by_kind(files, runs, deployment))
        if report.failed and not report.deleted_files:
            errors = [deletion.error for deletion in deletions if deletion.outcome is DeletionOutcome.FAILED]
            told = "; ".join(report.errors)
            raise combined(
                [error for error in errors if error is not None],
                f"None of the {report.failed} files could be deleted; a retry tries again: {told}",
            )
        return report

    def plan_cleanup(
        self, policy: RetentionPolicy, lookup: RunLookup, files: Sequence[GeminiFile] | None = None
    ) -> tuple[list[GeminiFile], Plan]:
        """
        Return all files of the project, and what a policy decides about each.

        :param files: the complete list of the project's files; the service is asked if None.
        """
        listed, deployment = self._files.list_files() if files is None else list(files), lookup.deployment
        return listed, self._plan(listed, lookup(_owners(listed, deployment)), policy, deployment)

    def evict(self, needed_bytes: int, lookup: RunLookup, *, evicted_before: bool = False) -> Eviction:
        """
        Delete files of ended runs until a new file fits, and return what was deleted.

        Files that are shared, foreign, needed by a batch job, or whose run is running or unknown are kept.

        :param needed_bytes: what the service has refused.
        :param evicted_before: files were deleted for this upload already: if the list says that it fits now, the
            service still counts deleted bytes, and nothing more is deleted.
        """
        files = self._files.list_files()
        usage = self._usage_of(files)
        if usage.free_bytes >= needed_bytes and evicted_before:
            return Eviction(usage, {})
        deployment = lookup.deployment
        runs = lookup(_owners(files, deployment))
        in_use = self._batches.files_in_use()
        planned = plan_eviction(files, runs, self._now(), needed_bytes, usage.quota_bytes, deployment, in_use)
        _, deletions = self._carry_out(planned, lookup)
        sizes = {file.name: counted_bytes(file) for file in files}
        freed = [sizes[deletion.name] for deletion in deletions if deletion.is_gone]
        self._log.info("%s: evicted %s for %s", usage, human_bytes(sum(freed)), human_bytes(needed_bytes))
        return Eviction(usage, bytes_by_kind(files, runs, deployment), len(freed), sum(freed))

    def _plan(
        self, files: Sequence[GeminiFile], runs: Mapping[RunKey, RunState], policy: RetentionPolicy, deployment: str
    ) -> Plan:
        quota_bytes, in_use = self._service.connection.quota_bytes, self._batches.files_in_use()
        return plan(files, runs, self._now(), policy, quota_bytes, deployment, in_use)

    def _now(self) -> datetime:
        # The service's clock: it has written the files' times, and this machine's may be wrong.
        return datetime.fromtimestamp(self._service.server_now(), UTC)

    def _usage_of(self, files: Sequence[GeminiFile]) -> StorageUsage:
        return StorageUsage.of(files, self._service.connection.quota_bytes)

    def _carry_out(self, planned: Plan, lookup: RunLookup) -> tuple[list[Decision], list[Deletion]]:
        """Delete batch after batch; return the final decisions, and what became of each deletion."""
        decisions = [decision for decision in planned.decisions if not decision.delete]
        deletions: list[Deletion] = []
        clock = self._service.clock
        logged = clock.monotonic()
        for batch in _batches(planned.deletions, _BATCH):
            # A run can have been cleared, and a batch job submitted, since the plan was made.
            runs = lookup(_owners([decision.file for decision in batch], lookup.deployment))
            in_use = self._batches.files_in_use()
            checked = [_rechecked(decision, runs, lookup.deployment, in_use) for decision in batch]
            decisions += checked
            deletions += self._files.delete_files([decision.file for decision in checked if decision.delete])
            if clock.monotonic() - logged >= _LOG_EVERY:
                logged = clock.monotonic()
                self._log.info("%d of %d files are done", len(deletions), len(planned.deletions))
        return decisions, deletions

    def _report(
        self, files: list[GeminiFile], decisions: Sequence[Decision], deletions: Sequence[Deletion], *, dry_run: bool
    ) -> CleanupReport:
        by_name = {deletion.name: deletion for deletion in deletions}
        deleted = [v for v in decisions if v.delete and (dry_run or by_name[v.file.name].is_gone)]
        names = {decision.file.name for decision in deleted}
        count = Counter(deletion.outcome for deletion in deletions)
        failures = [str(deletion.error) for deletion in deletions if deletion.outcome is DeletionOutcome.FAILED]
        return CleanupReport(
            conn_id=self._service.conn_id,
            dry_run=dry_run,
            before=self._usage_of(files),
            after=self._usage_of([file for file in files if file.name not in names]),
            deleted=counted(deleted),
            kept=counted(decision for decision in decisions if not decision.delete),
            gone=count[DeletionOutcome.GONE],
            refused=count[DeletionOutcome.REFUSED],
            failed=count[DeletionOutcome.FAILED],
            errors=tuple(dict.fromkeys(failures))[:_REPEATED],
        )


def _owners(files: Sequence[GeminiFile], deployment: str) -> Iterator[Owner]:
    """Yield the owners whose runs this deployment can know."""
    return (file.owner for file in files if file.owner and file.owner.deployment == deployment)


def _rechecked(decision: Decision, runs: Mapping[RunKey, RunState], deployment: str, in_use: FilesInUse) -> Decision:
    """Return a planned deletion; or keep the file if it is in use by now, or may be."""
    if why := in_use.reason(decision.file):
        return replace(decision, delete=False, reason=Reason.IN_BATCH, why=why)
    owner = decision.file.owner
    state = runs.get(owner.run, RunState.UNKNOWN) if owner and owner.deployment == deployment else None
    if state is RunState.RUNNING:
        return replace(decision, delete=False, reason=Reason.RUN_RUNNING, why="its run is running again")
    if state is RunState.UNKNOWN:
        return replace(decision, delete=False, reason=Reason.RUN_UNKNOWN, why="its run could not be looked up again")
    return decision


def _batches(decisions: Sequence[Decision], size: int) -> Iterator[Sequence[Decision]]:
    for start in range(0, len(decisions), size):
        yield decisions[start : start + size]
