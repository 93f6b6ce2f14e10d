"""File search stores and their documents. Pure: no Airflow, no SDK, no HTTP."""
