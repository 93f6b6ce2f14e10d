"""The question before a big sweep."""

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
def asked(mocker):
    return mocker.patch("airflow.providers.standard.operators.hitl.upsert_hitl_detail", autospec=True)


def test_a_small_sweep_passes_without_a_question(asked, context):
    assert GeminiApproveCleanupOperator(task_id="approve", report=REPORT, above=11).execute(context) is None
    asked.assert_not_called()


def test_a_big_sweep_waits_for_a_person_who_is_told_what_it_is_about(asked, context, ti):
    ti.id = "an-id"
    # Airflow's way to wait: no Exception from 3.3 on, and a deferral before.
    with pytest.raises(BaseException) as waiting:  # noqa: PT011
        GeminiApproveCleanupOperator(task_id="approve", report=REPORT, above=10).execute(
            {**context, "task_instance": ti}
        )

    assert type(waiting.value).__name__ in ("TaskAwaitingInput", "TaskDeferred")
    question = asked.call_args.kwargs
    assert question["subject"] == "May 11 Gemini files of gemini_default be deleted?"
    assert "| run finished | 11 | 2.0 KiB |" in question["body"]
    assert question["options"] == ["Approve", "Reject"]
