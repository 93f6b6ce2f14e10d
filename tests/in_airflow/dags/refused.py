"""A Dag whose request to a model is retried when the service asks for it."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.retry_policy import GeminiRetryPolicy, RetryPolicy

# Airflow knows retry policies from 3.3 on.
if RetryPolicy is not object:

    @dag(schedule=None)
    def refused():
        # Without the policy the next attempt would begin five minutes later.
        GeminiGenerateContentOperator(task_id="ask", prompt="Now?", retries=1, retry_policy=GeminiRetryPolicy())

    refused()
