"""A Dag whose task writes its process id to a file, so that a test can kill it."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag

from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator


def write_pid(context):
    Path(context["params"]["pid"]).write_text(str(os.getpid()))


@dag(schedule=None, params={"source": "", "pid": ""})
def killed():
    GeminiUploadFileOperator(
        task_id="upload",
        source="{{ params.source }}",
        pre_execute=write_pid,
        retries=1,
        retry_delay=timedelta(0),
    )


killed()
