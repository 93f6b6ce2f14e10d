"""
### Gemini files: a handbook that answers questions

Keeps a **file search store** in step with a folder of documents, and asks a model a question about them. The answer
comes with its **citations**: the documents that it is based on. If the store has nothing about the question, the task
fails instead of returning an answer from the model's own knowledge.

Run it again after you have changed a document: only that one is sent. The store stays; delete it with
`GeminiDeleteFileSearchStoreOperator` when you no longer need it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import Param, dag, task

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.file_search import (
    GeminiCreateFileSearchStoreOperator,
    GeminiSyncFileSearchStoreOperator,
)

HANDBOOK = Path(__file__).parent / "media" / "handbook"


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["gemini", "example"],
    doc_md=__doc__,
    params={
        "folder": Param(str(HANDBOOK), type="string", description="Folder that contains the documents"),
        "question": Param("How do we handle damaged goods?", type="string", description="Question about the documents"),
    },
)
def gemini_files_handbook():
    # [START handbook]
    store = GeminiCreateFileSearchStoreOperator(task_id="store", display_name="Handbook")

    sync = GeminiSyncFileSearchStoreOperator(
        task_id="sync",
        store=store.output,
        source="{{ params.folder }}",
        custom_metadata={"team": "operations"},
        deferrable=True,
        retries=2,
        retry_delay=timedelta(minutes=1),
    )

    ask = GeminiGenerateContentOperator(
        task_id="ask",
        prompt="{{ params.question }}",
        file_search={"stores": [store.output], "metadata_filter": 'team = "operations"', "top_k": 5},
        require_citations=True,
    )

    sync >> ask
    # [END handbook]

    @task
    def cite(answer: str, response: dict) -> str:
        """Return the answer with the documents that it cites."""
        titles = dict.fromkeys(citation["title"] for citation in response["citations"])
        return f"{answer}\n\nSources: {', '.join(titles)}"

    cite(ask.output, ask.output["response"])


gemini_files_handbook()
