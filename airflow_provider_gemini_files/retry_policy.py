"""A retry policy for tasks that ask a model: waits as long as the service asks to. Needs Airflow 3.3."""

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
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
except ImportError:  # Airflow 3.1 and 3.2
    RetryPolicy = object  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Nothing frees storage sooner than a clean-up or an expiry does.
_STORAGE_FULL = timedelta(minutes=15)
#: Tasks that were refused together come back one after another: up to so much later, of the delay.
_SPREAD = 0.1


class GeminiRetryPolicy(RetryPolicy):
    """
    Wait between the tries of a task as long as the service asks to; ``retries`` stays the limit.

    A rate limit or an outage that names a delay is retried after it, a little spread; a daily quota after the day has
    ended; a full storage after a quarter of an hour. Errors that no retry can mend fail the task, and all others,
    those of other tasks included, are retried as the task itself says.

    :raises GeminiInputError: on Airflow before 3.3, which knows no retry policies: set ``retry_delay`` and
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
        """Decide about the next try."""
        if isinstance(exception, GeminiPermanentError):
            return RetryDecision.fail(f"{type(exception).__name__}: no retry helps")
        if isinstance(exception, GeminiStorageFullError):
            return _after(_STORAGE_FULL.total_seconds(), "the storage is full")
        asked = exception.retry_after if isinstance(exception, GeminiFilesError) else None
        if asked is None or not math.isfinite(asked):
            return RetryDecision.default()
        return _after(asked, "the service asks for it")

    def serialize(self) -> dict[str, Any]:
        """Return what makes the policy again: nothing, it has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> GeminiRetryPolicy:
        """Make the policy again."""
        return cls()


def _after(seconds: float, why: str) -> RetryDecision:
    seconds *= 1 + random.uniform(0, _SPREAD)  # noqa: S311 - a spread
    return RetryDecision.retry(timedelta(seconds=seconds), f"in {seconds:.0f} s: {why}")
