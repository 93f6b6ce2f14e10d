"""Dags that are ready to be used."""
