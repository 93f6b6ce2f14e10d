"""Dags that wait."""

from __future__ import annotations

from airflow.sdk import dag, task

from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor


@dag(schedule=None, params={"names": []})
def many_waits():
    @task
    def names(params: dict) -> list[str]:
        return params["names"]

    GeminiFileStateSensor.partial(
        task_id="wait", deferrable=True, poke_interval=2, max_wait=2, timeout=600, max_active_tis_per_dag=20
    ).expand(file_name=names())


@dag(schedule=None, params={"video": ""})
def upload_and_wait():
    GeminiUploadFileOperator(
        task_id="upload", source="{{ params.video }}", wait_for_active=True, deferrable=True, wait_timeout=600
    )


many_waits()
upload_and_wait()
