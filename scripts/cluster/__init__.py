"""A distributed Airflow on this machine, for ``make cluster`` and ``make cluster-test``."""
