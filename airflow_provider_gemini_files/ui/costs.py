"""Tokens and cost of a connection, for the page's tab "Costs"."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.costs.report import By, first_day_of, report_of
from airflow_provider_gemini_files.costs.spent import Spending
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.pricing import configured_prices
from airflow_provider_gemini_files.spending import read_spending, today_in_utc
from airflow_provider_gemini_files.ui.listings import Snapshot

#: Days that the page shows at most.
MAX_DAYS = 30
#: Seconds after which the page reads the costs again: thousands of XCom entries are more work than a list of files.
FRESH_SECONDS = 300.0


@dataclass(frozen=True)
class CostListing:
    """
    What was spent on the last days.

    :param at: when the reading started, in seconds since the epoch.
    :param today: the last of the days.
    """

    at: float
    days: int
    today: date
    spending: Spending

    @classmethod
    def read(cls, _: GeminiFilesHook, at: float, __: CostListing | None, days: str) -> CostListing:
        """Read the entries; the service is not asked."""
        number, today = int(days), today_in_utc()
        return cls(at, number, today, read_spending(first_day_of(number, today)))

    def report(self, conn_id: str, by: By) -> dict[str, Any]:
        """Return what ``cost-view.js`` shows of a connection; prices that cannot be used are one of the notes."""
        prices, wrong = None, None
        try:
            prices = configured_prices()
        except GeminiInputError as error:
            wrong = shown_text(error)
        report = report_of(self.spending, by, self.days, self.today, conn_id, prices)
        notes = report.notes()
        return report.to_dict() | {"notes": [*notes[:-1], wrong] if wrong else notes}


def costs_of(snapshot: Snapshot[CostListing], conn_id: str, by: By) -> dict[str, Any]:
    """Return what is known about the costs of a connection."""
    listing = snapshot.listing
    return {
        "now": time.time(),
        "listed_at": listing.at if listing else None,
        "next_listing_at": snapshot.started_at + FRESH_SECONDS,
        "loading": snapshot.loading,
        "error": asdict(snapshot.error) if snapshot.error else None,
        "report": listing.report(conn_id, by) if listing else None,
    }
