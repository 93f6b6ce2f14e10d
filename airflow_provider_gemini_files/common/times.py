"""Times as the service writes them."""

from __future__ import annotations

from datetime import datetime


def epoch_of(time: str | None) -> float | None:
    """Return an RFC 3339 time in seconds since the epoch; None if there is none, or if it cannot be read."""
    try:
        return datetime.fromisoformat(time).timestamp() if time else None
    except (ValueError, OverflowError):
        return None
