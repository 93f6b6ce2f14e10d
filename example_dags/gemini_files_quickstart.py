"""
### Gemini files: quickstart

**Uploads** a video, an invoice and an order, **waits** until the service can use them, **asks a model** about them, and
**deletes** them, even if a task in between fails.

Tasks pass file names through XCom. You can change the prompt and the model in the trigger form.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiDeleteFileOperator, GeminiUploadFileOperator
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor

MEDIA = Path(__file__).parent / "media"
PROMPT = (
    "The files are the video of an unloading, the invoice for it, and the order. How many crates were ordered, "
    "invoiced and unloaded, and how much should we pay? Answer in three short sentences."
)


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["gemini", "example"],
    doc_md=__doc__,
    params={
        "prompt": Param(PROMPT, type="string", description="Prompt about the three files"),
        "model": Param(None, type=["null", "string"], description="If empty, the default model of the connection"),
    },
)
def gemini_files_quickstart():
    upload = GeminiUploadFileOperator(
        task_id="upload",
        source=[str(MEDIA / name) for name in ("unloading.mp4", "invoice.pdf", "order.txt")],
    ).as_setup()

    wait = GeminiFileStateSensor(
        task_id="wait_until_active",
        file_name=upload.output,
        deferrable=True,
        timeout=600,
    )

    ask = GeminiGenerateContentOperator(
        task_id="ask",
        files=wait.output,
        prompt="{{ params.prompt }}",
        model="{{ params.model or '' }}",
    )

    delete = GeminiDeleteFileOperator(task_id="delete", file_name=upload.output).as_teardown(setups=upload)

    upload >> wait >> ask >> delete


gemini_files_quickstart()
