"""The states of the runs that own files. If Airflow cannot be queried, a run is unknown, never gone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any, Protocol
from urllib.parse import quote

from airflow_provider_gemini_files import deployment
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.policy import RunState
from airflow_provider_gemini_files.files.retention import RunKey


class RunLookup(Protocol):
    """Returns the states of the runs of some owners, in the deployment that it can ask."""

    @property
    def deployment(self) -> str:
        """Return the identity of the deployment; files of any other are foreign."""

    def __call__(self, owners: Iterable[Owner], /) -> Mapping[RunKey, RunState]:
        """Return the states by ``(dag_id, run_id)``."""


_FINISHED = ("success", "failed")
#: Runs and characters of one query. A task's query is part of a URL, which a proxy may limit to 8 KiB.
_BATCH = 50
_MAX_URL_CHARACTERS = 4000

log = logging.getLogger(__name__)


class _TaskLookup:
    """Counts runs through a task's supervisor, as a task has no access to the database."""

    def __init__(self, ti: Any) -> None:
        self._ti = ti

    @cached_property
    def deployment(self) -> str:
        return deployment.of_task()

    def __call__(self, owners: Iterable[Owner], /) -> dict[RunKey, RunState]:
        return _look_up(owners, lambda dag_id, run_ids: _by_counting(self._ti, dag_id, run_ids))


class _DatabaseLookup:
    """Queries Airflow's database, which only the API server and the command line can do."""

    @property
    def deployment(self) -> str:
        return deployment.of_database()

    def __call__(self, owners: Iterable[Owner], /) -> dict[RunKey, RunState]:
        return _look_up(owners, _from_database)


def task_lookup(ti: Any) -> RunLookup:
    """
    Return a lookup for a task.

    :param ti: ``context["ti"]``.
    """
    return _TaskLookup(ti)


#: The lookup of processes with Airflow's database: the API server and the command line.
database_lookup: RunLookup = _DatabaseLookup()


def _look_up(
    owners: Iterable[Owner], query: Callable[[str, Sequence[str]], Mapping[str, RunState]]
) -> dict[RunKey, RunState]:
    keys = sorted({(owner.dag_id, owner.run_id) for owner in owners})
    found = dict.fromkeys(keys, RunState.UNKNOWN)
    for dag_id, of_dag in groupby(keys, key=lambda key: key[0]):
        for run_ids in _batches([run_id for _, run_id in of_dag]):
            try:
                states = query(dag_id, run_ids)
            except Exception as error:
                # Any failure: files whose run is unknown are kept.
                log.warning("Cannot look up the states of %d runs of %s: %s", len(run_ids), dag_id, error)
                continue
            found.update({(dag_id, run_id): state for run_id, state in states.items()})
    return found


def _batches(run_ids: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for run_id in run_ids:
        # Escaped in a URL, a character takes up to twelve.
        length = len(quote(run_id, safe="", errors="replace"))
        if batch and (len(batch) == _BATCH or characters + length > _MAX_URL_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(run_id)
        characters += length
    if batch:
        yield batch


def _by_counting(ti: Any, dag_id: str, run_ids: Sequence[str]) -> dict[str, RunState]:
    """Count existing and finished runs; if the counts do not decide about each, split the runs in halves."""
    known = ti.get_dr_count(dag_id=dag_id, run_ids=list(run_ids))
    finished = ti.get_dr_count(dag_id=dag_id, run_ids=list(run_ids), states=list(_FINISHED)) if known else 0
    if finished == len(run_ids):
        return dict.fromkeys(run_ids, RunState.FINISHED)
    if known == 0:
        return dict.fromkeys(run_ids, RunState.GONE)
    if len(run_ids) == 1 or (known == len(run_ids) and finished == 0):
        return dict.fromkeys(run_ids, RunState.RUNNING)
    middle = len(run_ids) // 2
    return _by_counting(ti, dag_id, run_ids[:middle]) | _by_counting(ti, dag_id, run_ids[middle:])


def _from_database(dag_id: str, run_ids: Sequence[str]) -> dict[str, RunState]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        statement = select(DagRun.run_id, DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id.in_(run_ids))
        states = {run_id: str(getattr(state, "value", state)) for run_id, state in session.execute(statement)}
    return {run_id: _state(states.get(run_id)) for run_id in run_ids}


def _state(state: str | None) -> RunState:
    if state is None:
        return RunState.GONE
    return RunState.FINISHED if state in _FINISHED else RunState.RUNNING
