"""A Dag that returns the report of a cleanup."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_gemini_files.operators.storage import GeminiCleanupFilesOperator


@dag(schedule=None)
def reported():
    GeminiCleanupFilesOperator(task_id="cleanup", dry_run=True)


reported()
