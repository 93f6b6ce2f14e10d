"""A report is uploaded, summarized and deleted. Replace this Dag with your own."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import Param, dag

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiDeleteFileOperator, GeminiUploadFileOperator
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"report": Param("/data/report.pdf", type="string", description="A path, an object storage URI or a URL")},
)
def summarize_report():
    upload = GeminiUploadFileOperator(task_id="upload", source="{{ params.report }}").as_setup()
    wait = GeminiFileStateSensor(task_id="wait", file_name=upload.output)
    summarize = GeminiGenerateContentOperator(
        task_id="summarize", files=wait.output, prompt="Summarize this in three sentences."
    )
    delete = GeminiDeleteFileOperator(task_id="delete", file_name=upload.output).as_teardown(setups=upload)

    upload >> wait >> summarize >> delete


summarize_report()
