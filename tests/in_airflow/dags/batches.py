"""Dags that ask in a batch, and let a test kill their tasks."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag
from airflow_provider_gemini_files.hooks import batch_run
from airflow_provider_gemini_files.hooks.submission import Submission
from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator

# The emulator lists a job at once.
batch_run.LIST_LAG_SECONDS = 1.0

PARAMS = {"conn_id": "gemini_default", "folder": "", "stop_after_intent": False}


def write_pid(context):
    """Write the process id to a file; stop before the job is submitted, in the first attempt of a run for that."""
    params, folder = context["params"], Path(context["params"]["folder"])
    (folder / "pid").write_text(str(os.getpid()))
    if params["stop_after_intent"] and context["ti"].try_number == 1:
        intend = Submission.intend

        def intend_and_stop(submission: Submission) -> None:
            intend(submission)
            (folder / "intended").touch()
            time.sleep(600)

        Submission.intend = intend_and_stop


def extract(**arguments: Any) -> GeminiBatchGenerateContentOperator:
    return GeminiBatchGenerateContentOperator(
        task_id="extract",
        gemini_conn_id="{{ params.conn_id }}",
        output_path="{{ params.folder }}/answers.jsonl",
        poll_interval=1,
        max_poll_interval=1,
        pre_execute=write_pid,
        retries=1,
        retry_delay=timedelta(0),
        **arguments,
    )


for dag_id, deferrable in (("batch_deferred", True), ("batch_blocking", False)):
    with DAG(dag_id, schedule=None, params=PARAMS):
        extract(requests=["one", "two", "three"], deferrable=deferrable)

with DAG("batch_of_files", schedule=None, params=PARAMS):
    upload = GeminiUploadFileOperator(
        task_id="upload", gemini_conn_id="{{ params.conn_id }}", source="{{ params.folder }}/*.txt"
    )
    extract(prompt="what?", files=upload.output, deferrable=True)

build_cleanup_dag(
    "cleanup_batch",
    schedule=None,
    gemini_conn_ids=["batch_of_files"],
    grace=timedelta(),
    max_age_finished=timedelta(),
)
