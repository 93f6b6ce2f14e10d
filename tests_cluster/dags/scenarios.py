"""Dags of the scenarios; each has a connection, and so a service, of its own."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task

from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiDeleteFileOperator, GeminiUploadFileOperator
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor


@dag(schedule=None, params={"source": ""})
def large_upload():
    GeminiUploadFileOperator(task_id="upload", gemini_conn_id="gemini_large", source="{{ params.source }}")


@dag(schedule=None, params={"names": []})
def waits():
    @task
    def names(params: dict) -> list[str]:
        return params["names"]

    GeminiFileStateSensor.partial(
        task_id="wait", gemini_conn_id="gemini_waits", deferrable=True, poke_interval=2, max_wait=2, timeout=3600
    ).expand(file_name=names())


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


@dag(schedule=None)
def local_source():
    for worker in ("worker-1", "worker-2"):
        GeminiUploadFileOperator(
            task_id=worker, gemini_conn_id="gemini_local", source="data/report.txt", queue=worker, retries=0
        )


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


large_upload()
waits()
uploads_that_wait()
whole_life()
local_source()
small_storage()
build_cleanup_dag(
    "cleanup_small",
    schedule=timedelta(seconds=15),
    is_paused_upon_creation=True,
    gemini_conn_ids=["gemini_small"],
    grace=timedelta(),
    max_age_finished=timedelta(),
    # Before the uploads that are queued.
    default_args={"priority_weight": 100},
)
