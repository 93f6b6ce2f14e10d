"""The states of the runs that own files. If Airflow cannot be queried, a run is unknown, never gone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.policy import RunState
from airflow_provider_gemini_files.files.retention import RunKey

#: Returns the states of the runs of some owners.
RunLookup = Callable[[Iterable[Owner]], Mapping[RunKey, RunState]]

_FINISHED = ("success", "failed")
#: Runs and characters of one query. A task's query is part of a URL, which a proxy may limit to 8 KiB.
_BATCH = 50
_MAX_URL_CHARACTERS = 4000

log = logging.getLogger(__name__)


def task_lookup(ti: Any) -> RunLookup:
    """
    Return a lookup for tasks, which have no access to the database: it counts runs through the task's supervisor.

    :param ti: ``context["ti"]``.
    """

    def lookup(owners: Iterable[Owner]) -> dict[RunKey, RunState]:
        return _look_up(owners, lambda dag_id, run_ids: _by_counting(ti, dag_id, run_ids))

    return lookup


def database_lookup(owners: Iterable[Owner]) -> dict[RunKey, RunState]:
    """Query Airflow's database, which only the API server and the command line can do."""
    return _look_up(owners, _from_database)


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
    for run_id in run_ids:
        # Escaped in a URL, a character takes up to three.
        if batch and (len(batch) == _BATCH or 3 * sum(map(len, [*batch, run_id])) > _MAX_URL_CHARACTERS):
            yield batch
            batch = []
        batch.append(run_id)
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
