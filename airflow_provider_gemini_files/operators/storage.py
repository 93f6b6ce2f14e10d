"""The operator for a project's storage: cleanup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_gemini_files.assets import storage_asset
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.files.sweep import SweepReport
from airflow_provider_gemini_files.links import GeminiCleanupReportLink
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.runs import task_lookup

if TYPE_CHECKING:
    from airflow.sdk import Context


class GeminiCleanupFilesOperator(GeminiOperator):
    """
    Delete the files that a retention policy lets go, and return a report; the log shows it as a table.

    Files of runs that Airflow says are running, or says nothing about, always stay. Several files are deleted at once;
    one that cannot be deleted does not keep the others, and only where none could be the task fails. The report is the
    dict of :class:`~airflow_provider_gemini_files.files.sweep.SweepReport`. Where the task has the outlet
    ``storage_asset(gemini_conn_id)``, its event has the usage as its extra, and on Airflow 3.3 the asset's state store
    keeps it as ``usage``.

    :param policy: a :class:`~airflow_provider_gemini_files.files.policy.RetentionPolicy`, or a dict of its fields with
        durations in hours (templated); its defaults where None.
    :param dry_run: delete nothing, and report what would be deleted (templated).
    """

    template_fields: Sequence[str] = ("policy", "is_dry_run", "gemini_conn_id")
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
        # Not dry_run: Airflow has a method of that name.
        self.is_dry_run = dry_run

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the policy; then list, decide, delete and report."""
        policy = self.policy if isinstance(self.policy, RetentionPolicy) else RetentionPolicy.of(self.policy or {})
        dry_run = self._reads_dry_run()
        report = self.hook.sweep(policy, task_lookup(context["ti"]), dry_run=dry_run)
        for line in report.table():
            self.log.info("%s", line)
        if report.failed:
            self.log.warning("%d files could not be deleted; the next sweep tries again.", report.failed)
        self._count(report)
        self._tell(context, report)
        return report.to_dict()

    def _reads_dry_run(self) -> bool:
        # A template makes a text of it, and the text "False" must not pass for true, nor any other for false.
        text = str(self.is_dry_run).lower()
        if text not in ("true", "false"):
            raise GeminiInputError(f"dry_run is true or false, got {self.is_dry_run!r}.")
        return text == "true"

    def _count(self, report: SweepReport) -> None:
        tags = {"gemini_conn_id": self.gemini_conn_id}
        usage = report.before if report.dry_run else report.after
        Stats.gauge("gemini_files.storage.used_bytes", usage.used_bytes, tags=tags)
        Stats.gauge("gemini_files.storage.files", usage.files, tags=tags)
        if not report.dry_run:
            Stats.incr("gemini_files.sweep.deleted_files", report.deleted_files, tags=tags)
            Stats.incr("gemini_files.sweep.deleted_bytes", report.deleted_bytes, tags=tags)
            Stats.incr("gemini_files.sweep.failed_files", report.failed, tags=tags)

    def _tell(self, context: Context, report: SweepReport) -> None:
        asset = storage_asset(self.gemini_conn_id)
        if asset not in self.outlets:
            return
        usage = (report.before if report.dry_run else report.after).to_dict()
        context["outlet_events"][asset].extra = usage
        # There from Airflow 3.3 on.
        stores: Any = context.get("asset_state_store")
        if stores is None:
            return
        try:
            stores[asset].set("usage", usage)
        except Exception as error:
            # The files are deleted, and the usage is in the event, too.
            self.log.warning("The usage could not be kept in the asset's state store: %s", error)
