"""Approval of large cleanups; a module of its own, as it needs the standard provider's ApprovalOperator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from airflow_provider_gemini_files.common.units import human_bytes

if TYPE_CHECKING:
    from airflow.sdk import Context


class GeminiApproveCleanupOperator(ApprovalOperator):
    """
    Wait for a person to approve a cleanup of more than ``above`` files; smaller cleanups need no approval.

    :param report: what a dry run of the cleanup has returned (templated).
    :param above: number of files up to which no approval is needed.
    """

    template_fields: Collection[str] = ("report", *ApprovalOperator.template_fields)

    def __init__(self, *, report: Any, above: int, **kwargs: Any) -> None:
        super().__init__(subject="Delete these Gemini files?", **kwargs)
        self.report = report
        self.above = above

    def execute(self, context: Context) -> Any:
        """Wait for approval if the cleanup is large."""
        report: Mapping[str, Any] = self.report
        files = report["deleted_files"]
        if files <= self.above:
            self.log.info("The cleanup deletes %d files; up to %d need no approval.", files, self.above)
            return None
        rows = "\n".join(
            f"| {reason} | {row['files']} | {human_bytes(row['bytes'])} |" for reason, row in report["deleted"].items()
        )
        self.subject = f"Delete {files} Gemini files of {report['conn_id']}?"
        self.body = (
            f"They use {human_bytes(report['deleted_bytes'])} of {human_bytes(report['before']['used_bytes'])} in use. "
            "After approval the cleanup plans again, so the files can differ.\n\n"
            f"| reason | files | size |\n|---|---|---|\n{rows}"
        )
        return super().execute(context)
