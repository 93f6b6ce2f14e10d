"""Work on several items at once, with one outcome for each; one that fails does not stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from airflow_provider_gemini_files.exceptions import GeminiAuthError, GeminiFilesError, GeminiStorageFullError

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
    :param begun: False if an error that would have recurred stopped the work before this item.
    """

    item: Item
    result: Result | None = None
    error: GeminiFilesError | None = None
    begun: bool = True


def map_outcomes(
    work: Callable[[Item], Result], items: Sequence[Item], *, concurrency: int = CONCURRENCY, name: str = "gemini"
) -> list[Outcome[Item, Result]]:
    """
    Work on each item, several at once, and return what became of each, in order.

    After an error that would recur for all, such as a full storage, no further item is begun.

    :param work: raises :class:`GeminiFilesError` if an item fails; any other exception is raised here.
    :param name: of the threads.
    """
    stop = threading.Event()

    def attempt(item: Item) -> Outcome[Item, Result]:
        if stop.is_set():
            return Outcome(item, begun=False)
        try:
            return Outcome(item, work(item))
        except GeminiFilesError as error:
            if isinstance(error, _FATAL):
                stop.set()
            return Outcome(item, error=error)

    if len(items) == 1:
        return [attempt(items[0])]
    executor = ThreadPoolExecutor(min(concurrency, max(len(items), 1)), thread_name_prefix=name)
    try:
        return list(executor.map(attempt, items))
    finally:
        # A task that is killed must not wait for what its threads still do.
        stop.set()
        executor.shutdown(wait=False, cancel_futures=True)


def shortened(texts: Sequence[str]) -> str:
    """Join texts, leaving out those that a message has no space for."""
    more = f" ... and {len(texts) - _REPEATED} more" if len(texts) > _REPEATED else ""
    return "; ".join(texts[:_REPEATED]) + more
