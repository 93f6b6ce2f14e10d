"""What a model answers. Pure: no Airflow, no SDK, no I/O."""
