"""The waits of an upload task: for free space, and for its files to become ACTIVE; in the worker or the triggerer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files import usage_history
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.exceptions import GeminiStorageFullError, GeminiWaitTimeoutError
from airflow_provider_gemini_files.files.free_space import FreeSpaceWait
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.state import FileWait
from airflow_provider_gemini_files.files.usage_history import Deleted, Sample
from airflow_provider_gemini_files.operators.base import GeminiOperator, deadline_of
from airflow_provider_gemini_files.operators.quota import OnQuota, QuotaWait
from airflow_provider_gemini_files.operators.resume import QuotaResume, UploadResume
from airflow_provider_gemini_files.runs import task_lookup
from airflow_provider_gemini_files.transfer.upload import Upload
from airflow_provider_gemini_files.triggers.files import GeminiFileStateTrigger
from airflow_provider_gemini_files.triggers.storage import GeminiStorageCapacityTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class UploadWaits(GeminiOperator):
    """
    An upload operator's waits.

    A wait in the triggerer ends the task's process. Airflow then resumes the task with ``execute_with_free_space`` or
    ``execute_complete``.
    """

    deferrable: bool
    poll_interval: float
    max_poll_interval: float
    wait_timeout: float
    on_quota: OnQuota
    quota_timeout: float

    def _quota_wait(self, resume: QuotaResume | None = None) -> QuotaWait:
        """Return the attempts at a full storage; ``resume`` is the past of a task that is resumed."""
        now = self.clock.now()
        resume = resume or QuotaResume(now, deadline_of(self, now, self.quota_timeout))
        return QuotaWait(resume, self.poll_interval, self.max_poll_interval, self.clock)

    def _upload_once_it_fits(
        self, context: Context, uploads: Sequence[Upload], quota: QuotaWait, store: Any
    ) -> list[GeminiFile]:
        """Upload, as often as the storage is full and the deadline has not passed; several sources at once."""
        while True:
            try:
                return self.hook.upload_files(uploads, store=store)
            except GeminiStorageFullError as error:
                quota.refused(error)
                self.log.warning("Attempt %d: %s", quota.tries, error)
                if quota.tries == 1 and len(uploads) > 1 and all(upload.share for upload in uploads):
                    # Sources of the same bytes are one file, which another of them may just have created.
                    continue
                if not self._evict(context, quota, error.missing_bytes):
                    self._wait_for_free_space(uploads, quota)

    def _evict(self, context: Context, quota: QuotaWait, missing_bytes: int) -> bool:
        """Return whether files of ended runs were deleted for this upload."""
        if self.on_quota != "evict":
            return False
        lookup = task_lookup(context["ti"])
        done = self.hook.storage.evict(missing_bytes, lookup, evicted_before=quota.evicted_bytes > 0)
        now, before = self.clock.now(), done.before
        sample = Sample.of(now, before.files, before.used_bytes, done.owned)
        usage_history.of_task.record(
            self.gemini_conn_id, sample, evicted=Deleted(int(now), done.files, done.freed_bytes)
        )
        quota.evicted_bytes += done.freed_bytes
        return done.freed_bytes > 0

    def _wait_for_free_space(self, uploads: Sequence[Upload], quota: QuotaWait) -> None:
        """Pause until another attempt is worth it: here, or in the triggerer, which then resumes this task."""
        # An upload that evicts does not wait for free space, but for runs to end.
        needed = 0 if self.on_quota == "evict" else min(upload.source.size for upload in uploads)
        not_before = quota.next_attempt()
        self.log.info("The next attempt is in %.0f s at the earliest", not_before - self.clock.now())
        if self.deferrable:
            trigger = GeminiStorageCapacityTrigger(
                gemini_conn_id=self.gemini_conn_id,
                needed_bytes=needed,
                began=quota.began,
                deadline=quota.deadline,
                not_before=not_before,
                poll_interval=self.poll_interval,
                max_poll_interval=self.max_poll_interval,
                resume=quota.resume().to_dict(),
                clock=self.clock,
            )
            self.defer(**trigger.deferral("execute_with_free_space"))
        self.clock.sleep(max(not_before - self.clock.now(), 0))
        schedule = Schedule(quota.began, quota.deadline, self.poll_interval, self.max_poll_interval)
        try:
            self.hook.storage.wait_for_free_space(FreeSpaceWait(needed, schedule))
        except GeminiWaitTimeoutError as error:
            raise quota.timed_out(str(error)) from error

    def _wait_for_active(self, files: list[GeminiFile], *, many: bool) -> list[GeminiFile]:
        """Return the files once they are ACTIVE; or defer, and the task is resumed with them."""
        now = self.clock.now()
        schedule = Schedule(now, deadline_of(self, now, self.wait_timeout), self.poll_interval, self.max_poll_interval)
        wait = FileWait([file.name for file in files], schedule)
        for file in files:
            wait.see(file.name, file, now)
        resume = UploadResume.of(files, many=many)
        if not wait.check(now) and self.deferrable:
            self.log.info(wait.describe(now))
            trigger = GeminiFileStateTrigger(
                gemini_conn_id=self.gemini_conn_id,
                file_names=[file.name for file in files],
                began=now,
                deadline=deadline_of(self, now, self.wait_timeout),
                poll_interval=self.poll_interval,
                max_poll_interval=self.max_poll_interval,
                resume=resume.to_dict(),
                clock=self.clock,
            )
            self.defer(**trigger.deferral())
        return resume.restored(self.hook.files.finish(wait))
