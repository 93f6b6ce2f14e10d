"""A Dag whose tasks are deferred while the package is upgraded."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor


@dag(schedule=None, params={"sources": []})
def upgrade():
    upload = GeminiUploadFileOperator(
        task_id="upload", gemini_conn_id="gemini_upgrade", source="{{ params.sources[0] }}"
    )
    GeminiFileStateSensor(
        task_id="wait", gemini_conn_id="gemini_upgrade", file_name=upload.output, deferrable=True, poke_interval=2
    )
    GeminiUploadFileOperator(
        task_id="upload_and_wait",
        gemini_conn_id="gemini_upgrade",
        source="{{ params.sources[1] }}",
        wait_for_active=True,
        deferrable=True,
        poll_interval=2,
    )


upgrade()
