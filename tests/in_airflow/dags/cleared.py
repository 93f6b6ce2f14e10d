"""A Dag whose tasks are cleared after its files have expired."""

from __future__ import annotations

from airflow.sdk import dag, task

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator


@dag(schedule=None, params={"sources": []})
def cleared():
    @task
    def sources(params: dict) -> list[str]:
        return params["sources"]

    upload = GeminiUploadFileOperator.partial(task_id="upload").expand(source=sources())
    ask = GeminiGenerateContentOperator.partial(task_id="ask", prompt="What is it?").expand(files=upload.output)

    @task.gemini
    def compare(answers: list[str]) -> str:
        return "Compare: " + " -- ".join(answers)

    compare(ask.output)


cleared()
