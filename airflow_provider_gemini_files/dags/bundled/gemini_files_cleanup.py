"""The cleanup Dag with its defaults, as GeminiFilesDagBundle gives it to Airflow."""

from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag

build_cleanup_dag()
