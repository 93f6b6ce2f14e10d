"""Decisions that every resource shares. Pure: no Airflow, no SDK, no HTTP."""
