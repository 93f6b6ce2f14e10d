"""The emulator's time: the real one, moved forward by tests."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch, plus what :meth:`advance` has added."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Return the emulator's time in seconds since the epoch."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """
        Move the time forward.

        :param seconds: how far; never backwards, as no service does that.
        :raises ValueError: for a negative number.
        """
        if seconds < 0:
            raise ValueError(f"the clock only goes forward, got {seconds} seconds")
        self._ahead += seconds


def rfc3339(epoch: float, digits: int) -> str:
    """
    Write a time as the service does.

    :param epoch: seconds since the epoch.
    :param digits: fractional digits: 6 for create and update times, 9 for the expiration.
    """
    seconds, fraction = divmod(round(epoch * 1_000_000), 1_000_000)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{fraction * 10 ** (digits - 6):0{digits}d}Z"
