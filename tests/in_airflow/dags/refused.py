"""A Dag that asks a model, and asks again when the service says so."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.retry_policy import GeminiRetryPolicy, RetryPolicy

# Airflow knows retry policies from 3.3 on.
if RetryPolicy is not object:

    @dag(schedule=None)
    def refused():
        # Without the policy the next try would begin five minutes later.
        GeminiGenerateContentOperator(task_id="ask", prompt="Now?", retries=1, retry_policy=GeminiRetryPolicy())

    refused()
