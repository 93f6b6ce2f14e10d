"""
### Gemini files: one task

**Asks a model** about a video that is not uploaded yet. The task decides how the model gets it, and the log says why: a
small source is sent with the request, a large one is uploaded, waited for, and deleted after the answer.

You can change the source in the trigger form: a local path, `s3://...`, `gs://...` or `https://...`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator

VIDEO = Path(__file__).parent / "media" / "unloading.mp4"


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["gemini", "example"],
    doc_md=__doc__,
    params={
        "source": Param(str(VIDEO), type="string", description="What the model is to see"),
        "prompt": Param("How many crates are unloaded?", type="string", description="Prompt about it"),
    },
)
def gemini_files_one_task():
    GeminiGenerateContentOperator(
        task_id="ask",
        files=[{"source": "{{ params.source }}"}],
        prompt="{{ params.prompt }}",
    )


gemini_files_one_task()
