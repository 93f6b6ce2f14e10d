"""Batch jobs: their requests, states and results. Pure: no Airflow, no SDK, no HTTP."""
