"""Work on several items at once, with one outcome for each; one that fails does not stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiFilesError,
    GeminiRateLimitError,
    GeminiServiceError,
    GeminiStorageFullError,
)

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Items that are worked on at once: enough to hide the round trips, few enough for any network.
CONCURRENCY = 16
#: Errors that would recur for every item that follows.
_FATAL = (GeminiAuthError, GeminiStorageFullError)
#: Texts that a message repeats in full.
_REPEATED = 10


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """
    What became of one item.

    :param result: what the work returned; None if it failed or was not begun.
    :param error: why it failed; None if it did not.
    :param begun: False if errors that would have recurred stopped the work before this item.
    """

    item: Item
    result: Result | None = None
    error: GeminiFilesError | None = None
    begun: bool = True


def map_outcomes(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    concurrency: int = CONCURRENCY,
    name: str = "gemini",
    most_failures: int | None = None,
) -> list[Outcome[Item, Result]]:
    """
    Work on each item, several at once, and return what became of each, in order.

    After an error that would recur for all, such as a full storage, no further item is begun.

    :param work: raises :class:`GeminiFilesError` if an item fails; any other exception is raised here.
    :param name: of the threads.
    :param most_failures: items in a row that may fail because the service is down before no further one is begun.
    """
    stop = threading.Event()
    failures = 0

    def attempt(item: Item) -> Outcome[Item, Result]:
        nonlocal failures
        if stop.is_set():
            return Outcome(item, begun=False)
        try:
            result = work(item)
        except GeminiFilesError as error:
            # Two threads may count as one here: the bound need not be exact.
            failures = failures + 1 if _is_down(error) else 0
            if isinstance(error, _FATAL) or failures == most_failures:
                stop.set()
            return Outcome(item, error=error)
        failures = 0
        return Outcome(item, result)

    if len(items) == 1:
        return [attempt(items[0])]
    executor = ThreadPoolExecutor(min(concurrency, max(len(items), 1)), thread_name_prefix=name)
    try:
        return list(executor.map(attempt, items))
    finally:
        # A task that is killed must not wait for what its threads still do.
        stop.set()
        executor.shutdown(wait=False, cancel_futures=True)


def _is_down(error: GeminiFilesError) -> bool:
    """Return whether the service itself failed, or the way to it, and not what was sent."""
    if isinstance(error, GeminiServiceError):
        return error.unreachable or error.http_status is not None
    return isinstance(error, GeminiRateLimitError)


def shortened(texts: Sequence[str]) -> str:
    """Join texts, leaving out those that a message has no space for."""
    more = f" ... and {len(texts) - _REPEATED} more" if len(texts) > _REPEATED else ""
    return "; ".join(texts[:_REPEATED]) + more
