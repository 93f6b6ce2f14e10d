"""
### Gemini files: cleanup

Every half hour, deletes files of runs that have ended and all files that Airflow uploaded more than a day ago. Files
of running Dags are kept. A cleanup of more than 500 files waits for approval.

The Dag is paused at first. Trigger it with `dry_run` to see in its log what it would delete, and why.
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
