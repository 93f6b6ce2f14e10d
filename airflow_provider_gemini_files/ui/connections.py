"""Which Gemini connections the page offers."""

from __future__ import annotations

import os

from airflow.models import Connection
from airflow.secrets.environment_variables import CONN_ENV_PREFIX, EnvironmentVariablesBackend
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_gemini_files.hooks.connection import CONN_TYPE, DEFAULT_CONN_ID


def connection_ids() -> list[str]:
    """
    Return the ids of the connections of type ``gemini``: those of Airflow's database and of this process's environment.

    A secrets backend cannot be listed. Where nothing else is found, the default id may be in one; another id is asked
    for in the page's URL, by who may read it.
    """
    with create_session() as session:
        found = set(session.scalars(select(Connection.conn_id).where(Connection.conn_type == CONN_TYPE)))
    found.update(name for name in _names_in_environment() if _is_gemini(name))
    return sorted(found or {DEFAULT_CONN_ID}, key=lambda name: (name != DEFAULT_CONN_ID, name))


def _names_in_environment() -> list[str]:
    return [name.removeprefix(CONN_ENV_PREFIX).lower() for name in os.environ if name.startswith(CONN_ENV_PREFIX)]


def _is_gemini(conn_id: str) -> bool:
    try:
        connection = EnvironmentVariablesBackend().get_connection(conn_id)
    except Exception:  # what cannot be parsed is some other tool's worry
        return False
    return connection is not None and connection.conn_type == CONN_TYPE
