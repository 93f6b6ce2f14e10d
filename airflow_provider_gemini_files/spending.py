"""Reads what was spent from Airflow's database, which only the API server and the command line can do."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from airflow_provider_gemini_files.costs.entry import KEYS
from airflow_provider_gemini_files.costs.report import By, CostReport, first_day_of, report_of
from airflow_provider_gemini_files.costs.spent import Spending
from airflow_provider_gemini_files.pricing import configured_prices
from airflow_provider_gemini_files.xcom_entries import missing_before, read_entries


def read_spending(first_day: date) -> Spending:
    """
    Return what was spent since a day in UTC.

    What earlier attempts of a task have recorded is not there: Airflow deletes it when the next attempt begins.
    """
    spending, since = Spending(datetime.now(UTC)), datetime.combine(first_day, time(), UTC)
    for entry in read_entries(KEYS, since):
        spending.add(entry)
    spending.missing_before = missing_before(KEYS, since)
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
