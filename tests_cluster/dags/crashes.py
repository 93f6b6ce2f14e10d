"""Dags that are interrupted."""

from __future__ import annotations

from airflow.sdk import dag, task

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiDeleteFileOperator, GeminiUploadFileOperator


@dag(schedule=None, params={"source": ""})
def large_upload():
    GeminiUploadFileOperator(task_id="upload", gemini_conn_id="gemini_large", source="{{ params.source }}")


@dag(schedule=None, params={"sources": []})
def uploads_that_wait():
    @task
    def sources(params: dict) -> list[str]:
        return params["sources"]

    GeminiUploadFileOperator.partial(
        task_id="upload",
        gemini_conn_id="gemini_triggerers",
        wait_for_active=True,
        deferrable=True,
        poll_interval=2,
        max_poll_interval=5,
    ).expand(source=sources())


@dag(schedule=None, params={"sources": []})
def whole_life():
    @task
    def sources(params: dict) -> list[str]:
        return params["sources"]

    upload = GeminiUploadFileOperator.partial(
        task_id="upload", gemini_conn_id="gemini_outage", wait_for_active=True, deferrable=True, poll_interval=2
    ).expand(source=sources())
    ask = GeminiGenerateContentOperator.partial(
        task_id="ask", gemini_conn_id="gemini_outage", prompt="What is this?"
    ).expand(files=upload.output)
    delete = GeminiDeleteFileOperator(task_id="delete", gemini_conn_id="gemini_outage", file_name=upload.output)
    ask >> delete.as_teardown(setups=upload)


large_upload()
uploads_that_wait()
whole_life()
