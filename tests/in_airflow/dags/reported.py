"""A Dag that leaves the report of a cleanup, for the tests that run real Airflow."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_gemini_files.operators.storage import GeminiCleanupFilesOperator


@dag(schedule=None)
def reported():
    GeminiCleanupFilesOperator(task_id="sweep", dry_run=True)


reported()
