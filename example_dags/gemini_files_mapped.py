"""
### Gemini files: one task per file

Lists the files of a folder when the Dag runs. Each file is uploaded, waited for and described by mapped tasks that run
in parallel. One teardown deletes them all.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from airflow.sdk import Param, dag, task

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiDeleteFileOperator, GeminiUploadFileOperator

MEDIA = Path(__file__).parent / "media"


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["gemini", "example"],
    doc_md=__doc__,
    params={"folder": Param(str(MEDIA), type="string", description="Folder that contains the files to describe")},
)
def gemini_files_mapped():
    @task
    def find_files(params: dict) -> list[str]:
        """Return the paths of the files to describe."""
        kinds = {".mp4", ".pdf", ".txt"}
        return sorted(str(path) for path in Path(params["folder"]).iterdir() if path.suffix in kinds)

    upload = GeminiUploadFileOperator.partial(
        task_id="upload",
        wait_for_active=True,
        deferrable=True,
        map_index_template="{{ task.source.rpartition('/')[2] }}",
    ).expand(source=find_files())

    describe = GeminiGenerateContentOperator.partial(
        task_id="describe",
        prompt="Describe this file in one sentence.",
    ).expand(files=upload.output)

    @task
    def report(descriptions: list[str]) -> None:
        """Print all answers to one log."""
        for description in descriptions:
            print(description)  # noqa: T201 - Airflow logs what a task prints

    delete = GeminiDeleteFileOperator(task_id="delete", file_name=upload.output).as_teardown(setups=upload)

    report(describe.output)
    upload >> describe >> delete


gemini_files_mapped()
