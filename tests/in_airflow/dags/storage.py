"""Dags that own files, a Dag that uploads into a small storage, and cleanup Dags."""

from __future__ import annotations

from datetime import timedelta

from airflow.exceptions import AirflowFailException
from airflow.sdk import DAG, Variable, dag, task

from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.notifications.storage import GeminiStorageAlert
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor

for owner in ("running", "failed", "deleted"):
    with DAG(f"owner_{owner}", schedule=None, params={"source": ""}):
        upload = GeminiUploadFileOperator(task_id="upload", source="{{ params.source }}")
        if owner == "running":
            GeminiFileStateSensor(task_id="wait", file_name=upload.output, deferrable=True, timeout=600)
        if owner == "failed":

            @task
            def fail() -> None:
                raise AirflowFailException("as it should")

            upload >> fail()


def check_that_it_exists(context, result):
    GeminiFilesHook("gemini_small").get_file(result)


@dag(schedule=None, params={"source": ""})
def into_a_small_storage():
    GeminiUploadFileOperator(
        task_id="upload",
        gemini_conn_id="gemini_small",
        source="{{ params.source }}",
        on_quota="wait",
        quota_timeout=600,
        deferrable=True,
        poll_interval=2,
        max_poll_interval=5,
        post_execute=check_that_it_exists,
        # Airflow 3.1 can fail a task that resumes within seconds after it was deferred.
        retries=2,
        retry_delay=timedelta(0),
    )


into_a_small_storage()


def keep_message(context):
    Variable.set("told_of_storage", context["gemini_storage"]["message"])


build_cleanup_dag(
    "cleanup_default",
    schedule=None,
    grace=timedelta(),
    max_age_finished=timedelta(),
    # Unless the storage is empty.
    default_args={"on_success_callback": GeminiStorageAlert(at=1e-12, notifier=keep_message)},
)
build_cleanup_dag(
    "cleanup_small",
    schedule=timedelta(seconds=10),
    is_paused_upon_creation=True,
    gemini_conn_ids=["gemini_small"],
    grace=timedelta(),
    max_age_finished=timedelta(),
    # Before the uploads that are queued.
    default_args={"priority_weight": 100},
)
build_cleanup_dag(
    "cleanup_asking",
    schedule=None,
    include_foreign=True,
    max_age=timedelta(hours=1),
    approve_above=2,
    max_active_runs=2,
)
