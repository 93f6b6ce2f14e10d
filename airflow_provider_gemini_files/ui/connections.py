"""The Gemini connections that the page lists."""

from __future__ import annotations

import os

from airflow.models import Connection
from airflow.secrets.environment_variables import CONN_ENV_PREFIX, EnvironmentVariablesBackend
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_gemini_files.hooks.connection import CONN_TYPE, DEFAULT_CONN_ID


def connection_ids() -> list[str]:
    """
    Return the ids of the connections of type ``gemini`` in Airflow's database and in this process's environment.

    The default id comes first. It is also returned if nothing is found, because a secrets backend cannot be listed but
    may have it. Users who may read another connection of a secrets backend can name it in the page's URL.
    """
    with create_session() as session:
        found = set(session.scalars(select(Connection.conn_id).where(Connection.conn_type == CONN_TYPE)))
    found.update(conn_id for conn_id in _environment_ids() if _is_gemini(conn_id))
    return sorted(found or {DEFAULT_CONN_ID}, key=lambda conn_id: (conn_id != DEFAULT_CONN_ID, conn_id))


def _environment_ids() -> list[str]:
    return [name.removeprefix(CONN_ENV_PREFIX).lower() for name in os.environ if name.startswith(CONN_ENV_PREFIX)]


def _is_gemini(conn_id: str) -> bool:
    try:
        connection = EnvironmentVariablesBackend().get_connection(conn_id)
    except Exception:  # a variable that cannot be parsed is not a Gemini connection
        return False
    return connection is not None and connection.conn_type == CONN_TYPE
