"""Reads from Airflow's database which tasks have used a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.uses import USE_KEYS, Use, use_in
from airflow_provider_gemini_files.xcom_entries import missing_before, read_entries

#: What the clocks of Airflow and the service may differ.
_CLOCK_TOLERANCE = timedelta(minutes=10)

#: ``(dag_id, run_id, task_id, map_index)``.
Instance = tuple[str, str, str, int]


def recorded_uses(file: GeminiFile, conn_id: str) -> tuple[list[Use], datetime | None]:
    """
    Return the uses of a file that XCom records, in no order, and the time before which XCom was not read.

    What earlier attempts of a task have recorded is not there: Airflow deletes it when the next attempt begins.
    """
    created = file.created_at()
    since = datetime.fromtimestamp(0 if created is None else created, UTC)
    # A file of this name may have existed before.
    since = max(since - _CLOCK_TOLERANCE, datetime.fromtimestamp(0, UTC))
    found = (use_in(entry, file.name, conn_id) for entry in read_entries(USE_KEYS, since, file.name))
    return [use for use in found if use], missing_before(USE_KEYS, since)


def states_of(instances: Iterable[Instance]) -> Mapping[Instance, str | None]:
    """Return the states of those task instances that exist; ask for some dozens at most."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import and_, or_, select

    columns = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)
    wanted: list[Any] = [
        and_(*(column == value for column, value in zip(columns, instance, strict=True))) for instance in instances
    ]
    if not wanted:
        return {}
    with create_session() as session:
        rows = session.execute(select(*columns, TaskInstance.state).where(or_(*wanted)))
        return {(dag_id, run_id, task_id, index): state for dag_id, run_id, task_id, index, state in rows}
