"""A Dag that uploads into a small storage."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator


@dag(schedule=None, params={"source": ""}, max_active_runs=100)
def small_storage():
    GeminiUploadFileOperator(
        task_id="upload",
        gemini_conn_id="gemini_small",
        source="{{ params.source }}",
        on_quota="wait",
        deferrable=True,
        poll_interval=2,
        max_poll_interval=5,
    )


small_storage()
