"""The question to a person before a big sweep; apart from the others, as it needs the standard provider's HITL."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from airflow_provider_gemini_files.common.units import human_bytes

if TYPE_CHECKING:
    from airflow.sdk import Context


class GeminiApproveSweepOperator(ApprovalOperator):
    """
    Ask a person whether a sweep may delete so many files; a smaller sweep passes without a question.

    :param report: what a dry run of the sweep has returned (templated).
    :param above: the most files that may go without a question.
    """

    template_fields: Collection[str] = ("report", *ApprovalOperator.template_fields)

    def __init__(self, *, report: Any, above: int, **kwargs: Any) -> None:
        super().__init__(subject="May these Gemini files be deleted?", **kwargs)
        self.report = report
        self.above = above

    def execute(self, context: Context) -> Any:
        """Ask, if there is anything to ask."""
        report: Mapping[str, Any] = self.report
        files = report["deleted_files"]
        if files <= self.above:
            self.log.info("%d files would be deleted: up to %d need no approval.", files, self.above)
            return None
        rows = "\n".join(
            f"| {reason} | {row['files']} | {human_bytes(row['bytes'])} |" for reason, row in report["deleted"].items()
        )
        self.subject = f"May {files} Gemini files of {report['conn_id']} be deleted?"
        self.body = (
            f"They take {human_bytes(report['deleted_bytes'])} of {human_bytes(report['before']['used_bytes'])} that "
            f"are used. The sweep decides anew when it is approved.\n\n| why | files | size |\n|---|---|---|\n{rows}"
        )
        return super().execute(context)
