"""What Airflow says about the runs that own files. A question that fails makes a run unknown, never gone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.retention import RunKey, RunState

#: Answers for the runs of some owners.
RunLookup = Callable[[Iterable[Owner]], Mapping[RunKey, RunState]]

_FINISHED = ("success", "failed")
#: Runs in one question. A task's goes into a URL, where a proxy may allow 8 KiB.
_BATCH = 50
_MAX_URL_CHARACTERS = 4000

log = logging.getLogger(__name__)


def task_lookup(ti: Any) -> RunLookup:
    """
    Return a lookup for a task, which has no database: it counts runs through the task's supervisor.

    :param ti: ``context["ti"]``.
    """

    def lookup(owners: Iterable[Owner]) -> dict[RunKey, RunState]:
        return _ask(owners, lambda dag_id, run_ids: _by_counting(ti, dag_id, run_ids))

    return lookup


def database_lookup(owners: Iterable[Owner]) -> dict[RunKey, RunState]:
    """Answer where Airflow's database may be asked: in the api-server and on the command line."""
    return _ask(owners, _from_database)


def _ask(
    owners: Iterable[Owner], answer: Callable[[str, Sequence[str]], Mapping[str, RunState]]
) -> dict[RunKey, RunState]:
    keys = sorted({(owner.dag_id, owner.run_id) for owner in owners})
    found = dict.fromkeys(keys, RunState.UNKNOWN)
    for dag_id, of_dag in groupby(keys, key=lambda key: key[0]):
        for run_ids in _batches([run_id for _, run_id in of_dag]):
            try:
                states = answer(dag_id, run_ids)
            except Exception as error:
                # Whatever it is: nobody's files may go for a question that was not answered.
                log.warning("Cannot ask Airflow about %d runs of %s: %s", len(run_ids), dag_id, error)
                continue
            found.update({(dag_id, run_id): state for run_id, state in states.items()})
    return found


def _batches(run_ids: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for run_id in run_ids:
        # Three characters for each that has to be escaped, at the worst.
        if batch and (len(batch) == _BATCH or 3 * sum(map(len, [*batch, run_id])) > _MAX_URL_CHARACTERS):
            yield batch
            batch = []
        batch.append(run_id)
    if batch:
        yield batch


def _by_counting(ti: Any, dag_id: str, run_ids: Sequence[str]) -> dict[str, RunState]:
    """Count all and the finished; where that says nothing about each, ask about halves."""
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
        query = select(DagRun.run_id, DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id.in_(run_ids))
        states = {run_id: str(getattr(state, "value", state)) for run_id, state in session.execute(query)}
    return {run_id: _state(states.get(run_id)) for run_id in run_ids}


def _state(state: str | None) -> RunState:
    if state is None:
        return RunState.GONE
    return RunState.FINISHED if state in _FINISHED else RunState.RUNNING
