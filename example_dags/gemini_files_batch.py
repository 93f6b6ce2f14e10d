"""
### Gemini files: a batch of invoices

Uploads the PDFs of a folder in one task, and asks one question about each in a **batch job**: half the price of single
requests, within a day. The answers are validated against a schema, and written as **JSON Lines** in the order of the
files. The task waits in the triggerer; a retry, or a killed worker, never submits the job twice.
"""

from __future__ import annotations

import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

from airflow.sdk import Param, dag
from pydantic import BaseModel, Field

from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiDeleteFileOperator, GeminiUploadFileOperator

INVOICES = Path(__file__).parent / "media" / "invoices"
OUTPUT = f"file://{tempfile.gettempdir()}/gemini_files_batch"


class Line(BaseModel):
    """A line of an invoice."""

    description: str
    quantity: float = Field(gt=0)
    amount: float = Field(description="Total of this line")


class Invoice(BaseModel):
    """An invoice, as printed in the PDF."""

    number: str
    issued_on: date
    vendor: str = Field(description="Company that issued the invoice")
    currency: str = Field(pattern="^[A-Z]{3}$")
    lines: list[Line] = Field(min_length=1)
    total: float


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["gemini", "example"],
    doc_md=__doc__,
    params={
        "folder": Param(str(INVOICES), type="string", description="Folder that contains the PDFs"),
        "output": Param(OUTPUT, type="string", description="Folder for the results, as an object storage URI"),
        "model": Param(None, type=["null", "string"], description="Model; the connection's if empty"),
    },
)
def gemini_files_batch():
    # [START batch]
    upload = GeminiUploadFileOperator(task_id="upload", source="{{ params.folder }}/*.pdf", wait_for_active=True)

    extract = GeminiBatchGenerateContentOperator(
        task_id="extract",
        files=upload.output,
        prompt="Read this invoice. Take every figure as it is printed.",
        response_schema=Invoice,
        generation_config={"temperature": 0},
        model="{{ params.model or '' }}",
        output_path="{{ params.output }}/{{ run_id }}.jsonl",
        retry_rows=1,
        deferrable=True,
        poll_interval=5,
        retries=2,
        retry_delay=timedelta(minutes=1),
    )
    # [END batch]

    delete = GeminiDeleteFileOperator(task_id="delete", file_name=upload.output)
    extract >> delete.as_teardown(setups=upload)


gemini_files_batch()
