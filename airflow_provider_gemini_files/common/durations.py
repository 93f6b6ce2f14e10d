"""Durations as authors write them: seconds, a timedelta, or the text of a number from a template."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from airflow_provider_gemini_files.exceptions import GeminiInputError

#: Seconds; a longer wait than ten years is a mistake, and a timedelta of much more overflows.
_LONGEST = 10 * 365 * 86_400.0

#: Seconds; more polls would only load the service.
LEAST_POLL_INTERVAL = 0.1

Duration = float | int | timedelta | str


def seconds_of(value: Any, name: str, *, least: float = 0.0) -> float:
    """
    Return a duration in seconds.

    :param value: seconds as a number or as text, or a timedelta.
    :param name: the argument's name, for the error.
    :param least: seconds, the shortest that is accepted.
    :raises GeminiInputError: for anything else, NaN and infinity included.
    """
    seconds = _number(value)
    if seconds is None or not least <= seconds <= _LONGEST:
        at_least = f", at least {least:g}" if least else ""
        raise GeminiInputError(f"{name} is a duration in seconds (a number or a timedelta){at_least}; got {value!r}.")
    return seconds


def _number(value: Any) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
