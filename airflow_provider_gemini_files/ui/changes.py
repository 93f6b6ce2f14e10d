"""Changes of several resources in one request of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from pydantic import BaseModel, Field

from airflow_provider_gemini_files.common.concurrency import CONCURRENCY

T = TypeVar("T")
#: Resources in one request. The page sends several requests, so that each one is short and progress is visible.
MAX_NAMES = 100


class Selected(BaseModel):
    """Names of the resources that a user has selected."""

    names: list[str] = Field(min_length=1, max_length=MAX_NAMES)


def outcomes(change: Callable[[str], T], names: Sequence[str]) -> Iterator[T]:
    """
    Change resources, several at once, and yield each outcome as soon as it is known.

    The first one is changed alone: it opens the HTTP client that the threads share.
    """
    for name in names[:1]:
        yield change(name)
    executor = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="gemini-page-change")
    try:
        for future in as_completed([executor.submit(change, name) for name in names[1:]]):
            yield future.result()
    finally:
        # If an outcome cannot be written to the audit log, no further change may start.
        executor.shutdown(cancel_futures=True)
