"""
The history of how full the storage of a connection is, in one Airflow Variable for each connection.

Samples are written by what reads the files anyway: cleanups, evictions, capacity sensors, alerts and the page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from airflow_provider_gemini_files import deployment
from airflow_provider_gemini_files.files.usage_history import Deleted, History, Sample

#: The Airflow Variable of a connection is called this, followed by the id of the connection.
PREFIX = "gemini_files_history_"
_DESCRIPTION = "How full the storage of a Gemini connection was; written by the Gemini Files provider."

log = logging.getLogger(__name__)


class Variables(Protocol):
    """The Airflow Variables, as far as this kind of process can reach them."""

    def are_there(self) -> bool:
        """Return whether this process can reach them at all; a script cannot."""

    def read(self, key: str) -> str | None:
        """Return the value of a Variable; None if there is none."""

    def write(self, key: str, value: str) -> None:
        """Create or replace a Variable."""


class _OfTask:
    """The Variables in a task, or in a callback of a Dag, which have no database."""

    def are_there(self) -> bool:
        return deployment.has_supervisor()

    def read(self, key: str) -> str | None:
        from airflow.sdk import Variable

        value: str | None = Variable.get(key, default=None)
        return value

    def write(self, key: str, value: str) -> None:
        from airflow.sdk import Variable

        Variable.set(key, value, _DESCRIPTION)


class _OfDatabase:
    """The Variables in a process with Airflow's database: the API server or the command line."""

    def are_there(self) -> bool:
        return True

    def read(self, key: str) -> str | None:
        from airflow.models.variable import Variable
        from airflow.utils.session import create_session
        from sqlalchemy import select

        # Variable.get would ask each secrets backend, and take a failure for a Variable that does not exist.
        with create_session() as session:
            found = session.scalar(select(Variable).where(Variable.key == key))
            value: str | None = found.get_val() if found else None
        return value

    def write(self, key: str, value: str) -> None:
        from airflow.models.variable import Variable

        Variable.set(key, value, _DESCRIPTION)


class UsageHistory:
    """
    The histories of all connections.

    Airflow cannot change a Variable only if nobody else has changed it meanwhile. Of two changes at the same time, one
    can be lost, which costs a sample; the record stays whole.
    """

    def __init__(self, variables: Variables) -> None:
        self._variables = variables

    def load(self, conn_id: str) -> History:
        """Return the history of a connection; an empty one if there is none, or if this process cannot have any."""
        if not self._variables.are_there():
            return History()
        return History.parse(self._variables.read(PREFIX + conn_id))

    def record(
        self, conn_id: str, sample: Sample, *, cleaned_up: Deleted | None = None, evicted: Deleted | None = None
    ) -> None:
        """
        Add a sample, unless one was added within the hour and nothing was deleted since.

        A failure is logged, and never raised: no task and no page may fail because of it.

        :param cleaned_up: what a cleanup has deleted since the sample.
        :param evicted: what an upload has evicted since the sample.
        """

        def added(history: History) -> History:
            cleanups = (*history.cleanups, cleaned_up) if cleaned_up and cleaned_up.files else history.cleanups
            evictions = (*history.evictions, evicted) if evicted and evicted.files else history.evictions
            changed = replace(history, cleanups=cleanups, evictions=evictions)
            return changed.with_sample(sample) if changed != history or history.is_due(sample) else history

        try:
            self.change(conn_id, added)
        except Exception as error:
            log.warning("The storage usage of connection %r could not be recorded (%s).", conn_id, type(error).__name__)

    def change(self, conn_id: str, change: Callable[[History], History]) -> None:
        """
        Replace the history of a connection by what a function makes of it; nothing is written if that is the same.

        :raises Exception: whatever Airflow raises if the Variable cannot be read or written.
        """
        if not self._variables.are_there():
            return
        history = self.load(conn_id)
        changed = change(history)
        if changed != history:
            self._variables.write(PREFIX + conn_id, changed.to_json())


#: For tasks and callbacks.
of_task = UsageHistory(_OfTask())
#: For the API server and the command line.
of_database = UsageHistory(_OfDatabase())
