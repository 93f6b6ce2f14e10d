"""The prices of Airflow's configuration, and what a task tells of the cost of its calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import Stats, conf

from airflow_provider_gemini_files.costs.prices import Prices, read_prices
from airflow_provider_gemini_files.costs.spent import Kind, Usage, used_by
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.transfer.memory import Log

#: Bytes; thousands of models fit in.
_MAX_FILE_BYTES = 1024**2
#: Counters of StatsD are whole numbers, and a call costs small parts of a cent.
_BILLION = 1_000_000_000


def configured_prices() -> Prices | None:
    """
    Return the prices of ``[gemini_files] prices_file``; None if there is no such file in the configuration.

    :raises GeminiInputError: if the file cannot be read, or its content cannot be used.
    """
    path: str = (conf.get("gemini_files", "prices_file", fallback="") or "").strip()
    if not path:
        return None
    try:
        text = _content_of(Path(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise GeminiInputError(f"[gemini_files] prices_file: {path!r} cannot be read ({reason}).") from error
    return read_prices(text, path)


def _content_of(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        # Reading a pipe would wait for whoever writes into it.
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        text = file.read(_MAX_FILE_BYTES + 1)
    if len(text) > _MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {_MAX_FILE_BYTES:,} bytes")
    return text


class Pricing:
    """
    The cost of what a task has paid for, where the worker has prices.

    Prices that cannot be used are one warning, and never an error: what was paid for is worth more than its cost. A
    worker need not have the file, although all parts of Airflow often share their configuration.

    :param log: of the task.
    """

    def __init__(self, log: Log) -> None:
        self._log = log

    @cached_property
    def _prices(self) -> Prices | None:
        try:
            return configured_prices()
        except Exception as error:
            tell = self._log.info if isinstance(error.__cause__, FileNotFoundError) else self._log.warning
            tell("Metrics and asset events have no costs: %s", error)
            return None

    def told(self, key: str, account: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return ``{"cost", "currency"}`` of an answer or a batch; nothing if there are no prices.

        :param key: ``response`` or ``batch``.
        :param account: what the task pushes to XCom under this key.
        """
        used = used_by(key, account)
        if self._prices is None or used is None:
            return {}
        cost = _cost_of(self._prices, *used)
        return {"cost": None if cost is None else float(round(cost, 9)), "currency": self._prices.currency}

    def count(self, key: str, account: Mapping[str, Any]) -> None:
        """
        Send the cost of an answer or a batch to the metrics; nothing if it has no price.

        :param key: see :meth:`told`, also for ``account``.
        """
        if used := used_by(key, account):
            self._send(*used)

    def count_cache(self, model: str, tokens: int) -> None:
        """Send the cost of the creation of a cache to the metrics; for how long it will be stored is not known yet."""
        self._send(model, Kind.CACHE, Usage(calls=1, prompt=tokens))

    def _send(self, model: str, kind: Kind, usage: Usage) -> None:
        prices = self._prices
        if prices and (cost := _cost_of(prices, model, kind, usage)):
            tags = {"model": model, "kind": str(kind), "currency": prices.currency}
            Stats.incr("gemini_files.cost", round(cost * _BILLION), tags=tags)


def _cost_of(prices: Prices, model: str, kind: Kind, usage: Usage) -> Decimal | None:
    of_day = prices.of_day(datetime.now(UTC).date())
    return of_day.cost_of(model, kind, usage)[0] if of_day else None
