"""Reads what was spent from Airflow's database, which only the API server and the command line can do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any

from airflow_provider_gemini_files.costs.entry import KEYS, Entry
from airflow_provider_gemini_files.costs.report import By, CostReport, first_day_of, report_of
from airflow_provider_gemini_files.costs.spent import Spending
from airflow_provider_gemini_files.pricing import configured_prices

#: XCom entries that are read, the newest ones; one more shows that there are others.
MAX_ENTRIES = 20_000
#: Entries that are in memory at the same time; some have long lists of citations.
_PAGE = 500


def read_spending(first_day: date) -> Spending:
    """
    Return what was spent since a day in UTC.

    What earlier attempts of a task have recorded is not there: Airflow deletes it when the next attempt begins.
    """
    spending, oldest, number = Spending(datetime.now(UTC)), None, 0
    for entry in _entries(datetime.combine(first_day, time(), UTC)):
        spending.add(entry)
        number += 1
        oldest = min(oldest or entry.at, entry.at)
    if number > MAX_ENTRIES:
        spending.missing_before = oldest
    return spending


def read_report(days: int, by: By, conn_id: str | None = None) -> CostReport:
    """
    Return what was spent on the last days, of which today is one.

    :param conn_id: of the connection whose calls are counted; None: those of all.
    :raises GeminiInputError: for prices that cannot be used.
    """
    prices, today = configured_prices(), today_in_utc()
    return report_of(read_spending(first_day_of(days, today)), by, days, today, conn_id, prices)


def today_in_utc() -> date:
    """Return the day that it is in UTC."""
    return datetime.now(UTC).date()


def _entries(since: datetime) -> Iterator[Entry]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import and_, select

    # Sorted without their values: MySQL fails to sort rows that are as long as these can be.
    newest = (
        select(XComModel.dag_run_id, XComModel.task_id, XComModel.map_index, XComModel.key)
        .where(XComModel.key.in_(KEYS), XComModel.timestamp >= since)
        .order_by(XComModel.timestamp.desc())
        .limit(MAX_ENTRIES + 1)
        .subquery()
    )
    is_newest: Any = and_(*(column == getattr(XComModel, column.name) for column in newest.c))
    same_task_instance: Any = and_(
        *(
            getattr(TaskInstance, name) == getattr(XComModel, name)
            for name in ("dag_id", "run_id", "task_id", "map_index")
        )
    )
    columns = (XComModel.key, XComModel.value, XComModel.timestamp, XComModel.dag_id, XComModel.task_id)
    statement = (
        select(*columns, TaskInstance.state)
        .select_from(XComModel)
        .join(newest, is_newest)
        .outerjoin(TaskInstance, same_task_instance)
    )
    with create_session() as session:
        for key, value, at, dag_id, task_id, state in session.execute(
            statement, execution_options={"yield_per": _PAGE}
        ):
            yield Entry(key, value, at, dag_id, task_id, state)
