"""The hook of the API server and of the commands, which belong to no team but may use the connections of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from airflow.providers.common.compat.sdk import conf

from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

if TYPE_CHECKING:
    from airflow.sdk import Connection


class GeminiServerHook(GeminiFilesHook):
    """
    A hook for processes with access to Airflow's database; it also finds the connections of teams.

    It checks no permissions: the page asks the auth manager first, and who runs a command has the database.
    """

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Return a connection; one of a team, if it is in Airflow's database."""
        team = team_of(conn_id)
        if team is None:
            return super().get_connection(conn_id)
        from airflow.models import Connection as StoredConnection

        # Another class with the same fields.
        return cast("Connection", StoredConnection.get_connection_from_secrets(conn_id, team_name=team))


def team_of(conn_id: str) -> str | None:
    """
    Return the team that a connection of Airflow's database belongs to.

    None if it belongs to no team, or Airflow has none: before 3.2, or without ``[core] multi_team``.
    """
    if not conf.getboolean("core", "multi_team", fallback=False):
        return None
    from airflow.models import Connection as StoredConnection

    return StoredConnection.get_team_name(conn_id) if hasattr(StoredConnection, "team_name") else None
