"""The report of tokens and cost, grouped by Dag, task, model or day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.costs.prices import DatedPrices, Prices
from airflow_provider_gemini_files.costs.spent import Kind, Spending, Usage, What

#: Models that a note names.
_NAMED = 20


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


class Bound(StrEnum):
    """How a cost is related to what was paid, as far as that is known."""

    EXACT = "exact"
    AT_LEAST = "at least"
    AT_MOST = "at most"
    ABOUT = "about"


@dataclass
class Sum:
    """
    What was used, and what it cost.

    :param batch_tokens: input and output of batches.
    :param caches: caches that were created.
    :param cache_tokens: part of the input: tokens that they were created from.
    :param failed: calls of tasks that have failed although the calls were paid for.
    :param failed_tokens: their input and output.
    :param cost: of the calls that have a price; None if none has.
    :param unpriced: calls without a price.
    """

    usage: Usage = field(default_factory=Usage)
    batch_tokens: int = 0
    caches: int = 0
    cache_tokens: int = 0
    failed: int = 0
    failed_tokens: int = 0
    cost: Decimal | None = None
    unpriced: int = 0
    _has_open_storage: bool = False

    def add(self, what: What, usage: Usage, cost: Decimal | None) -> None:
        """
        Add what was used.

        :param cost: None if there is no price.
        """
        self.usage.add(usage)
        size = usage.input + usage.output
        if what.kind is Kind.BATCH:
            self.batch_tokens += size
        if what.kind is Kind.CACHE:
            self.caches += usage.calls
            self.cache_tokens += usage.prompt
        if what.has_failed:
            self.failed += usage.calls
            self.failed_tokens += size
        if cost is None:
            self.unpriced += usage.calls
        else:
            self.cost = (self.cost or Decimal(0)) + cost
            self._has_open_storage |= usage.open_caches > 0

    @property
    def bound(self) -> Bound:
        """Return how :attr:`cost` is related to what was paid."""
        lacks_some = self.unpriced > 0 or self.usage.documents > 0
        if self._has_open_storage:
            return Bound.ABOUT if lacks_some else Bound.AT_MOST
        return Bound.AT_LEAST if lacks_some else Bound.EXACT

    @property
    def token_hours(self) -> float:
        """Return the tokens of caches, times the hours for which they were stored."""
        return self.usage.token_seconds / 3600

    @property
    def cached_share(self) -> float:
        """Return the part of the input that came from a cache, from 0 to 1."""
        return self.usage.cached / self.usage.input if self.usage.input else 0.0

    @property
    def batch_share(self) -> float:
        """Return the part of all tokens that were those of batches, from 0 to 1."""
        size = self.usage.input + self.usage.output
        return self.batch_tokens / size if size else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; amounts are rounded to a millionth."""
        return {
            "calls": self.usage.calls,
            "input_tokens": self.usage.input,
            "cached_tokens": self.usage.cached,
            "output_tokens": self.usage.output,
            "thoughts_tokens": self.usage.thoughts,
            "batch_tokens": self.batch_tokens,
            "failed_calls": self.failed,
            "failed_tokens": self.failed_tokens,
            "caches": self.caches,
            "cache_tokens": self.cache_tokens,
            "cache_token_hours": round(self.token_hours, 3),
            "open_caches": self.usage.open_caches,
            "documents": self.usage.documents,
            "document_bytes": self.usage.document_bytes,
            "cost": None if self.cost is None else float(round(self.cost, 6)),
            "cost_is": str(self.bound),
            "unpriced_calls": self.unpriced,
        }


@dataclass(frozen=True)
class CostReport:
    """
    What was spent on some days, which are days in UTC.

    :param groups: the names of each group, and its sum; the most expensive first, or the newest day.
    :param prices: those that apply to some of the days; empty if there are none.
    :param unpriced: the models of calls without a price, each with what it lacks, nothing if it is not listed; empty if
        there are no prices at all.
    :param unreadable: see :class:`~airflow_provider_gemini_files.costs.spent.Spending`, as for ``missing_before``.
    """

    by: By
    first_day: date
    last_day: date
    groups: tuple[tuple[dict[str, str], Sum], ...]
    total: Sum
    currency: str | None
    prices: tuple[DatedPrices, ...]
    unpriced: Mapping[str, Sequence[str]]
    unreadable: int
    missing_before: datetime | None

    def notes(self) -> list[str]:
        """Return what a person has to know to read the sums, a sentence each."""
        notes = [f"From {self.first_day} to {self.last_day}; a day begins at 00:00 UTC."]
        if self.missing_before:
            at = f"{self.missing_before:%Y-%m-%d %H:%M} UTC"
            notes.append(f"There are too many entries: those before {at} are missing, so the sums are incomplete.")
        if self.unreadable:
            notes.append(
                f"{self.unreadable:,} XCom entries have only a URI in Airflow's database, as an XCom backend keeps "
                "their values elsewhere; their calls are missing."
            )
        notes += _notes_of(self.total)
        if self.currency is None:
            return [*notes, "There are no prices: [gemini_files] prices_file is not set."]
        notes += [_told(one) for one in self.prices]
        if self.total.unpriced:
            notes.append(
                f"The cost is incomplete: {self.total.unpriced:,} of {self.total.usage.calls:,} calls have no price. "
                f"Their models: {self._models()}."
            )
        return notes

    def _models(self) -> str:
        """Return the models without a price, with what they lack."""
        told = [f"{model} ({', '.join(lacks)})" if lacks else model for model, lacks in self.unpriced.items()]
        return ", ".join(told[:_NAMED]) + (f" and {len(told) - _NAMED} more" if len(told) > _NAMED else "")

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
            "unpriced_models": list(self.unpriced),
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
    unpriced: dict[str, set[str]] = {}
    for what, usage in spending:
        if what.day < first or conn_id not in (None, what.conn_id):
            continue
        of_day = prices.of_day(what.day) if prices else None
        cost, lacks = of_day.cost_of(what.model, what.kind, usage) if of_day else (None, "before the first valid_from")
        if not what.is_known:
            cost, lacks = None, "number of tokens unknown"
        if of_day:
            applied[of_day.valid_from] = of_day
        if cost is None and usage.calls:
            unpriced.setdefault(what.model, set()).update(filter(None, [lacks]))
        names = _NAMES[by](what)
        _, group = groups.setdefault(tuple(names.values()), (names, Sum()))
        for one in (group, total):
            one.add(what, usage, cost)
    return CostReport(
        by=by,
        first_day=first,
        last_day=today,
        groups=tuple(sorted(groups.values(), key=_rank(by), reverse=True)),
        total=total,
        currency=prices.currency if prices else None,
        prices=tuple(applied[day] for day in sorted(applied)),
        unpriced={model: sorted(unpriced[model]) for model in sorted(unpriced)} if prices else {},
        unreadable=spending.unreadable,
        missing_before=spending.missing_before,
    )


def _notes_of(total: Sum) -> Iterator[str]:
    """Yield what is to be known of caches and documents."""
    if total.caches:
        at_most = "at most " if total.usage.open_caches else ""
        told = (
            f"Caches: {total.caches:,} created from {total.cache_tokens:,} tokens, which are part of the input, and "
            f"stored for {at_most}{total.token_hours:,.0f} token-hours."
        )
        if at_most:
            told += (
                f" No task has recorded the deletion of {total.usage.open_caches:,} of {total.caches:,}: their storage "
                "is counted until they expire, or until now."
            )
        yield told
    if total.usage.documents:
        yield (
            f"Documents indexed for file search: {total.usage.documents:,} "
            f"({human_bytes(total.usage.document_bytes)}). No total includes their cost, which is unknown, because the "
            "service does not report their tokens."
        )


def _told(prices: DatedPrices) -> str:
    source = f", from {prices.source}" if prices.source else ""
    return f"Prices in {prices.currency}, valid from {prices.valid_from} on{source}."


def _rank(by: By) -> Callable[[tuple[dict[str, str], Sum]], Any]:
    if by is By.DAY:
        return lambda group: group[0]["day"]
    return lambda group: (group[1].cost or 0, group[1].usage.input + group[1].usage.output)
