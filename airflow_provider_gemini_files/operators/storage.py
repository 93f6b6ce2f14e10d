"""The operator for a project's storage: cleanup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_gemini_files import usage_history
from airflow_provider_gemini_files.assets import storage_asset
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.cleanup_report import CleanupReport
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.files.usage_history import Deleted, Sample
from airflow_provider_gemini_files.links import GeminiCleanupReportLink
from airflow_provider_gemini_files.operators.base import GeminiOperator, switch_of
from airflow_provider_gemini_files.runs import task_lookup

if TYPE_CHECKING:
    from airflow.sdk import Context


class GeminiCleanupFilesOperator(GeminiOperator):
    """
    Delete the files that a retention policy selects, and return a report; the log shows it as a table.

    Files of runs that have not ended, or whose state is unknown, are always kept. Several files are deleted at the same
    time; if one cannot be deleted, the others still are, and the task fails only if none could be deleted. The report
    is the dict of :class:`~airflow_provider_gemini_files.files.cleanup_report.CleanupReport`. If the task has the
    outlet ``storage_asset(gemini_conn_id)``, the extra of its event has the usage.

    :param policy: a :class:`~airflow_provider_gemini_files.files.policy.RetentionPolicy`, or a dict of its fields with
        durations in hours (templated); its defaults if None.
    :param dry_run: only report what would be deleted (templated).
    """

    template_fields: Sequence[str] = ("policy", "dry_run", "gemini_conn_id")
    operator_extra_links = (GeminiCleanupReportLink(),)
    template_fields_renderers = {"policy": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        policy: RetentionPolicy | Mapping[str, Any] | None = None,
        dry_run: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.policy = policy
        # The same name as the argument, as mapped tasks need it; nothing of Airflow calls its method of this name.
        self.dry_run = dry_run  # type: ignore[method-assign, assignment]

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the policy; then list, plan, delete and report."""
        report = self.hook.cleanup(
            self._policy(), task_lookup(context["ti"]), dry_run=switch_of(self.dry_run, "dry_run")
        )
        for line in report.table():
            self.log.info("%s", line)
        if report.failed:
            self.log.warning("%d files could not be deleted; the next cleanup tries again.", report.failed)
        self._count(report)
        self._record(report)
        self._update_asset(context, report)
        return report.to_dict()

    def _policy(self) -> RetentionPolicy:
        if isinstance(self.policy, RetentionPolicy):
            return self.policy
        if self.policy is not None and not isinstance(self.policy, Mapping):
            raise GeminiInputError(f"policy must be a RetentionPolicy or a dict of its fields; got {self.policy!r}.")
        return RetentionPolicy.of(self.policy or {})

    def _count(self, report: CleanupReport) -> None:
        tags = {"gemini_conn_id": self.gemini_conn_id}
        usage = report.before if report.dry_run else report.after
        Stats.gauge("gemini_files.storage.used_bytes", usage.used_bytes, tags=tags)
        Stats.gauge("gemini_files.storage.files", usage.files, tags=tags)
        if not report.dry_run:
            Stats.incr("gemini_files.cleanup.deleted_files", report.deleted_files, tags=tags)
            Stats.incr("gemini_files.cleanup.deleted_bytes", report.deleted_bytes, tags=tags)
            Stats.incr("gemini_files.cleanup.failed_files", report.failed, tags=tags)

    def _record(self, report: CleanupReport) -> None:
        now, before = self.clock.now(), report.before
        sample = Sample.of(now, before.files, before.used_bytes, report.owned)
        deleted = None if report.dry_run else Deleted(int(now), report.deleted_files, report.deleted_bytes)
        usage_history.of_task.record(self.gemini_conn_id, sample, cleaned_up=deleted)

    def _update_asset(self, context: Context, report: CleanupReport) -> None:
        asset = storage_asset(self.gemini_conn_id)
        if asset in self.outlets:
            context["outlet_events"][asset].extra = (report.before if report.dry_run else report.after).to_dict()
