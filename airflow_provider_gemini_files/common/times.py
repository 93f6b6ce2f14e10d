"""Times as the service writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def epoch_of(time: str | None) -> float | None:
    """Return an RFC 3339 time in seconds since the epoch; None if it is not set, or cannot be read."""
    if not time:
        return None
    try:
        moment = datetime.fromisoformat(time)
        # Without a zone, Python would take it for the local time of this worker.
        epoch = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    # The zero of a gateway's programming language is a time that is not set.
    return epoch if epoch > 0 else None
