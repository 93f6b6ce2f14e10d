"""The Dag that cleans the small storage up, in a file of its own: its asset makes Airflow import all providers."""

from __future__ import annotations

from datetime import timedelta

from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag

build_cleanup_dag(
    "cleanup_small",
    schedule=timedelta(seconds=15),
    is_paused_upon_creation=True,
    gemini_conn_ids=["gemini_small"],
    grace=timedelta(),
    max_age_finished=timedelta(),
    # Before the uploads that are queued.
    default_args={"priority_weight": 100},
)
