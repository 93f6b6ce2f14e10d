"""Caches: what they hold, and the requests that use them. Pure: no Airflow, no SDK, no HTTP."""
