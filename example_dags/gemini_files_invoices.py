"""
### Gemini files: a folder of invoices

Uploads each PDF in a folder and extracts its data with a model, in mapped tasks. Answers are validated against a
schema; an invalid answer is repaired once. One task writes the results as **JSON Lines to object storage**, each with
the name of its PDF and also if some invoices could not be read. A teardown deletes all files, even if a task in between
fails.
"""

from __future__ import annotations

import json
import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

from airflow.sdk import ObjectStoragePath, Param, dag, task
from pydantic import BaseModel, Field

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiDeleteFileOperator, GeminiUploadFileOperator

INVOICES = Path(__file__).parent / "media" / "invoices"
OUTPUT = f"file://{tempfile.gettempdir()}/gemini_files_invoices"


# [START schema]
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


# [END schema]


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["gemini", "example"],
    doc_md=__doc__,
    params={
        "folder": Param(str(INVOICES), type="string", description="Folder that contains the PDFs"),
        "output": Param(OUTPUT, type="string", description="Folder for the results, as an object storage URI"),
    },
)
def gemini_files_invoices():
    @task
    def find_invoices(params: dict) -> list[str]:
        """Return the paths of the PDFs."""
        return sorted(str(path) for path in Path(params["folder"]).glob("*.pdf"))

    upload = GeminiUploadFileOperator.partial(
        task_id="upload",
        wait_for_active=True,
        deferrable=True,
        map_index_template="{{ task.source.rpartition('/')[2] }}",
    ).expand(source=find_invoices())

    # [START extract]
    extract = GeminiGenerateContentOperator.partial(
        task_id="extract",
        prompt="Read this invoice. Take every figure as it is printed.",
        response_schema=Invoice,
        repair_answer=True,
        generation_config={"temperature": 0},
        max_input_tokens=20_000,
        with_source=True,
        retries=2,
        retry_delay=timedelta(seconds=30),
    ).expand(files=upload.output)
    # [END extract]

    # Failed tasks have no answer, so answers are matched with their files by what they say, never by position.
    @task(trigger_rule="all_done")
    def collect(answers: list[dict], params: dict, run_id: str) -> str:
        """Write one line of JSON per invoice that could be read, and return the path."""
        path = ObjectStoragePath(params["output"]) / f"{run_id}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        invoices = [{"file": one["files"][0]["display_name"], **one["answer"]} for one in answers]
        path.write_text("".join(json.dumps(invoice, ensure_ascii=False) + "\n" for invoice in invoices))
        return str(path)

    delete = GeminiDeleteFileOperator(task_id="delete", file_name=upload.output).as_teardown(setups=upload)

    extract >> [collect(extract.output), delete]


gemini_files_invoices()
