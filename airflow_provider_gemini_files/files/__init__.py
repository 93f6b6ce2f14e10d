"""What a Gemini file is. Pure: no Airflow, no SDK, no I/O."""
