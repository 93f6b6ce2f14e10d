"""A retry policy that waits as long as the service asks. Needs Airflow 3.3."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiInputError,
    GeminiPermanentError,
    GeminiStorageFullError,
)

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:  # Airflow 3.1 and 3.2
    RetryPolicy = object  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Only a cleanup or an expiry frees storage, and neither happens within minutes.
_STORAGE_FULL = timedelta(minutes=15)
#: Share of the delay by which retries are spread, so that tasks that failed together do not retry together.
_SPREAD = 0.1


class GeminiRetryPolicy(RetryPolicy):
    """
    Retry a task after the delay that the service asks for; ``retries`` stays the limit.

    A rate limit or an outage is retried after the delay in the response, plus up to a tenth of it; an exhausted daily
    quota after the end of the day; full storage after a quarter of an hour. Permanent errors fail the task at once. All
    other errors are retried as the task is configured.

    :raises GeminiInputError: on Airflow before 3.3, which has no retry policies: set ``retry_delay`` and
        ``retry_exponential_backoff`` there.
    """

    def __init__(self) -> None:
        if RetryPolicy is object:
            raise GeminiInputError(
                "GeminiRetryPolicy needs Airflow 3.3 or later: set retry_delay and retry_exponential_backoff instead."
            )

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide whether and when the next attempt starts."""
        if isinstance(exception, GeminiPermanentError):
            return RetryDecision.fail(f"{type(exception).__name__}: a retry would fail the same way")
        if isinstance(exception, GeminiStorageFullError):
            return _after(_STORAGE_FULL.total_seconds(), "the storage is full")
        asked = exception.retry_after if isinstance(exception, GeminiFilesError) else None
        if not asked or not math.isfinite(asked):
            return RetryDecision.default()
        return _after(asked, "the service asks for this delay")

    def serialize(self) -> dict[str, Any]:
        """Return the settings of the policy; it has none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> GeminiRetryPolicy:
        """Create the policy from its settings."""
        return cls()


def _after(seconds: float, why: str) -> RetryDecision:
    seconds *= 1 + random.uniform(0, _SPREAD)  # noqa: S311 - not for security
    return RetryDecision.retry(timedelta(seconds=seconds), f"in {seconds:.0f} s: {why}")
