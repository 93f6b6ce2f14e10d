"""The cleanup Dag with its defaults, for GeminiFilesDagBundle."""

from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag

build_cleanup_dag()
