"""Work on many things, some at once; what fails does not keep the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiFilesError,
    GeminiPermanentError,
    GeminiStorageFullError,
)

Item = TypeVar("Item")
Result = TypeVar("Result")
#: What one thing failed with, and all that follow would.
_DOOM = (GeminiAuthError, GeminiStorageFullError)
#: Failures that a message tells in full.
_TOLD = 10


def for_each(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    concurrency: int,
    explain: Callable[[list[tuple[Item, GeminiFilesError]], list[Result]], str],
) -> list[Result]:
    """
    Return what the work on each item gives, in order.

    After an error that all would share, such as full storage, no further item is begun.

    :param concurrency: how many are worked on at once.
    :param explain: tells what failed and what went well, where something failed of several.
    :raises GeminiFilesError: the error of an only item; else one that names all, which is permanent only where every
        failure is.
    """
    if len(items) == 1:
        return [work(items[0])]
    doomed = threading.Event()

    def attempt(item: Item) -> Result | GeminiFilesError | None:
        if doomed.is_set():
            return None
        try:
            return work(item)
        except GeminiFilesError as error:
            if isinstance(error, _DOOM):
                doomed.set()
            return error

    executor = ThreadPoolExecutor(concurrency, thread_name_prefix="gemini-upload")
    try:
        outcomes = list(executor.map(attempt, items))
    finally:
        # A task that is told to end must not wait for what goes on in threads.
        doomed.set()
        executor.shutdown(wait=False, cancel_futures=True)
    failed = [(item, end) for item, end in zip(items, outcomes, strict=True) if isinstance(end, GeminiFilesError)]
    good = [end for end in outcomes if end is not None and not isinstance(end, GeminiFilesError)]
    if failed:
        errors = [error for _, error in failed]
        first = next((error for error in errors if not isinstance(error, GeminiPermanentError)), errors[0])
        raise type(first)(explain(failed, good)) from first
    return good


def shortened(texts: Sequence[str]) -> str:
    """Join texts, leaving out what a message has no room for."""
    more = f" ... and {len(texts) - _TOLD} more" if len(texts) > _TOLD else ""
    return "; ".join(texts[:_TOLD]) + more
