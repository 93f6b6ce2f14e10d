"""The approval of large cleanups."""

from __future__ import annotations

import pytest

from airflow_provider_gemini_files.files.cleanup_report import CleanupReport
from airflow_provider_gemini_files.files.storage_usage import StorageUsage
from airflow_provider_gemini_files.operators.approval import GeminiApproveCleanupOperator

USAGE = StorageUsage(used_bytes=5000, quota_bytes=10_000, files=50)
REPORT = CleanupReport(
    "gemini_default", True, USAGE, USAGE, deleted={"run finished": {"files": 11, "bytes": 2048}}
).to_dict()


@pytest.fixture
def approval(mocker):
    return mocker.patch("airflow.providers.standard.operators.hitl.upsert_hitl_detail", autospec=True)


def test_small_cleanup_needs_no_approval(approval, context):
    assert GeminiApproveCleanupOperator(task_id="approve", report=REPORT, above=11).execute(context) is None
    approval.assert_not_called()


def test_large_cleanup_waits_for_approval_with_a_summary(approval, context, ti):
    ti.id = "an-id"
    # Airflow 3.3 waits by a BaseException, earlier versions by a deferral.
    with pytest.raises(BaseException) as waiting:  # noqa: PT011
        GeminiApproveCleanupOperator(task_id="approve", report=REPORT, above=10).execute(
            {**context, "task_instance": ti}
        )

    assert type(waiting.value).__name__ in ("TaskAwaitingInput", "TaskDeferred")
    shown = approval.call_args.kwargs
    assert shown["subject"] == "Delete 11 Gemini files of gemini_default?"
    assert "| run finished | 11 | 2.0 KiB |" in shown["body"]
    assert shown["options"] == ["Approve", "Reject"]
