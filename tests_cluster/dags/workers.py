"""A Dag with a task for each worker, whose source is relative to the working directory."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator


@dag(schedule=None)
def local_source():
    for worker in ("worker-1", "worker-2"):
        GeminiUploadFileOperator(task_id=worker, gemini_conn_id="gemini_local", source="data/report.txt", queue=worker)


local_source()
