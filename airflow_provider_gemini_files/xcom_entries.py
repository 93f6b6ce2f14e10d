"""Reads XCom entries from Airflow's database, which only the API server and the command line can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_gemini_files.common.xcom import Entry

#: Entries that are looked at, the newest ones.
MAX_ENTRIES = 20_000
#: Entries that are in memory at the same time; some have long lists of citations.
_PAGE = 500


def read_entries(keys: Sequence[str], since: datetime, containing: str | None = None) -> Iterator[Entry]:
    """
    Yield the newest :data:`MAX_ENTRIES` entries with some keys, in no order.

    :param containing: only entries with this text somewhere in their value.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import Text, and_, cast, select

    # Sorted without their values: MySQL fails to sort rows that are as long as these can be.
    newest = _newest(keys, since).limit(MAX_ENTRIES).subquery()
    is_newest: Any = and_(*(column == getattr(XComModel, column.name) for column in newest.c))
    place = ("dag_id", "run_id", "task_id", "map_index")
    same_task_instance: Any = and_(*(getattr(TaskInstance, name) == getattr(XComModel, name) for name in place))
    columns = (XComModel.key, XComModel.value, XComModel.timestamp, XComModel.dag_id, XComModel.task_id)
    statement = (
        select(*columns, TaskInstance.state, XComModel.run_id, XComModel.map_index)
        .select_from(XComModel)
        .join(newest, is_newest)
        .outerjoin(TaskInstance, same_task_instance)
    )
    if containing is not None:
        statement = statement.where(cast(XComModel.value, Text).contains(containing, autoescape=True))
    with create_session() as session:
        for row in session.execute(statement, execution_options={"yield_per": _PAGE}):
            yield Entry._make(row)


def missing_before(keys: Sequence[str], since: datetime) -> datetime | None:
    """Return the time before which :func:`read_entries` looks at no entries, as there are too many; else None."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    times = _newest(keys, since).with_only_columns(XComModel.timestamp)
    with create_session() as session:
        # The oldest entry that is looked at, if there is one that is not.
        oldest = session.scalars(times.offset(MAX_ENTRIES - 1).limit(2)).all()
    return oldest[0] if len(oldest) > 1 else None


def _newest(keys: Sequence[str], since: datetime) -> Any:
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    return (
        select(XComModel.dag_run_id, XComModel.task_id, XComModel.map_index, XComModel.key)
        .where(XComModel.key.in_(keys), XComModel.timestamp >= since)
        .order_by(XComModel.timestamp.desc())
    )
