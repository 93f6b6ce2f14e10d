"""
### Gemini files: cleanup

Every half hour, files of runs that have ended are deleted, and whatever Airflow uploaded more than a day ago. Files of
running Dags stay. A sweep of more than 500 files asks a person first.

It is paused at first: trigger it with `dry_run` and read in its log what it would delete, and why.
"""

from __future__ import annotations

from pendulum import duration

from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag

dag = build_cleanup_dag(
    schedule="*/30 * * * *",
    max_age=duration(hours=24),
    keep=["handbook*.pdf"],
    approve_above=500,
    is_paused_upon_creation=True,
    tags=["gemini", "example"],
    doc_md=__doc__,
)
