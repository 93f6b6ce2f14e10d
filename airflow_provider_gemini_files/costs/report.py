"""The report of tokens and cost, grouped by Dag, task, model or day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from airflow_provider_gemini_files.costs.prices import DatedPrices, Prices
from airflow_provider_gemini_files.costs.spent import Spending, Tokens, What


class By(StrEnum):
    """The key by which calls are grouped."""

    DAG = "dag"
    TASK = "task"
    MODEL = "model"
    DAY = "day"


#: The fields that tell one group from another.
_NAMES: dict[By, Callable[[What], dict[str, str]]] = {
    By.DAG: lambda what: {"dag_id": what.dag_id},
    By.TASK: lambda what: {"dag_id": what.dag_id, "task_id": what.task_id},
    By.MODEL: lambda what: {"model": what.model},
    By.DAY: lambda what: {"day": what.day.isoformat()},
}


@dataclass
class Sum:
    """
    The tokens of some calls, and what they cost.

    :param batch_tokens: input and output of batches.
    :param failed: calls of tasks that have failed although the calls were paid for.
    :param failed_tokens: their input and output.
    :param cost: of the calls that have a price; None if none has.
    :param unpriced: calls without a price.
    """

    tokens: Tokens = field(default_factory=Tokens)
    batch_tokens: int = 0
    failed: int = 0
    failed_tokens: int = 0
    cost: float | None = None
    unpriced: int = 0

    def add(self, what: What, tokens: Tokens, cost: float | None) -> None:
        """Add calls."""
        self.tokens.add(tokens)
        size = tokens.input + tokens.output
        if what.is_batch:
            self.batch_tokens += size
        if what.has_failed:
            self.failed += tokens.calls
            self.failed_tokens += size
        if cost is None:
            self.unpriced += tokens.calls
        else:
            self.cost = (self.cost or 0.0) + cost

    @property
    def cached_share(self) -> float:
        """Return the part of the input that came from a cache, from 0 to 1."""
        return self.tokens.cached / self.tokens.input if self.tokens.input else 0.0

    @property
    def batch_share(self) -> float:
        """Return the part of all tokens that were those of batches, from 0 to 1."""
        size = self.tokens.input + self.tokens.output
        return self.batch_tokens / size if size else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; amounts are rounded to a millionth."""
        return {
            "calls": self.tokens.calls,
            "input_tokens": self.tokens.input,
            "cached_tokens": self.tokens.cached,
            "output_tokens": self.tokens.output,
            "thoughts_tokens": self.tokens.thoughts,
            "batch_tokens": self.batch_tokens,
            "failed_calls": self.failed,
            "failed_tokens": self.failed_tokens,
            "cost": None if self.cost is None else round(self.cost, 6),
            "unpriced_calls": self.unpriced,
        }


@dataclass(frozen=True)
class CostReport:
    """
    What was spent on some days, which are days in UTC.

    :param groups: the names of each group, and its sum; the most expensive first, or the newest day.
    :param prices: those that apply to some of the days; empty if there are none.
    :param unpriced_models: the models of calls without a price; empty if there are no prices at all.
    :param unreadable: see :class:`~airflow_provider_gemini_files.costs.spent.Spending`, as for ``missing_before``.
    """

    by: By
    first_day: date
    last_day: date
    groups: tuple[tuple[dict[str, str], Sum], ...]
    total: Sum
    currency: str | None
    prices: tuple[DatedPrices, ...]
    unpriced_models: tuple[str, ...]
    unreadable: int
    missing_before: datetime | None

    def notes(self) -> list[str]:
        """Return what a person has to know to read the sums, a sentence each."""
        notes = [f"From {self.first_day} to {self.last_day}; a day begins at 00:00 UTC."]
        if self.missing_before:
            at = f"{self.missing_before:%Y-%m-%d %H:%M} UTC"
            notes.append(f"There are too many entries: calls before {at} are missing, so the sums are incomplete.")
        if self.unreadable:
            notes.append(
                f"{self.unreadable:,} XCom entries have only a URI in Airflow's database, as an XCom backend keeps "
                "their values elsewhere; their calls are missing."
            )
        if self.currency is None:
            return [*notes, "There are no prices: [gemini_files] prices_file is not set."]
        notes += [_told(one) for one in self.prices]
        if self.total.unpriced:
            notes.append(
                f"The cost is incomplete: {self.total.unpriced:,} of {self.total.tokens.calls:,} calls have no price. "
                f"Their models: {', '.join(self.unpriced_models)}."
            )
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "by": str(self.by),
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "groups": [names | one.to_dict() for names, one in self.groups],
            "total": self.total.to_dict(),
            "currency": self.currency,
            "prices": [one.to_dict() for one in self.prices],
            "unpriced_models": list(self.unpriced_models),
            "unreadable_entries": self.unreadable,
            "missing_before": self.missing_before.isoformat() if self.missing_before else None,
        }


def first_day_of(days: int, today: date) -> date:
    """Return the first of some days, of which the last one is today."""
    return today - timedelta(days=days - 1)


def report_of(
    spending: Spending, by: By, days: int, today: date, conn_id: str | None, prices: Prices | None
) -> CostReport:
    """
    Return what was spent.

    :param today: the last day, in UTC.
    :param conn_id: of the connection whose calls are counted; None: those of all.
    :param prices: None: nothing is said about money.
    """
    first = first_day_of(days, today)
    groups: dict[tuple[str, ...], tuple[dict[str, str], Sum]] = {}
    total = Sum()
    applied: dict[date, DatedPrices] = {}
    unpriced: set[str] = set()
    for what, tokens in spending:
        if what.day < first or conn_id not in (None, what.conn_id):
            continue
        of_day = prices.of_day(what.day) if prices else None
        price = of_day.price_of(what.model) if of_day else None
        cost = price.cost_of(tokens, is_batch=what.is_batch) if price else None
        if of_day:
            applied[of_day.valid_from] = of_day
        if cost is None:
            unpriced.add(what.model)
        names = _NAMES[by](what)
        _, group = groups.setdefault(tuple(names.values()), (names, Sum()))
        for one in (group, total):
            one.add(what, tokens, cost)
    return CostReport(
        by=by,
        first_day=first,
        last_day=today,
        groups=tuple(sorted(groups.values(), key=_rank(by), reverse=True)),
        total=total,
        currency=prices.currency if prices else None,
        prices=tuple(applied[day] for day in sorted(applied)),
        unpriced_models=tuple(sorted(unpriced)) if prices else (),
        unreadable=spending.unreadable,
        missing_before=spending.missing_before,
    )


def _told(prices: DatedPrices) -> str:
    source = f", from {prices.source}" if prices.source else ""
    return f"Prices in {prices.currency}, valid from {prices.valid_from} on{source}."


def _rank(by: By) -> Callable[[tuple[dict[str, str], Sum]], Any]:
    if by is By.DAY:
        return lambda group: group[0]["day"]
    return lambda group: (group[1].cost or 0.0, group[1].tokens.input + group[1].tokens.output)
