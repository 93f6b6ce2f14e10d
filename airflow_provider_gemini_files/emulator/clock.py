"""The emulator's time: the real time, moved forward by tests."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

#: The year 9000; later times could not be written, as datetime ends with the year 9999.
_LATEST = 221_845_392_000.0


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

        :param seconds: how far; time never goes backwards.
        :raises ValueError: if it is negative, not finite, or leads beyond the year 9000.
        """
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"the clock only moves forward by a finite number of seconds, got {seconds}")
        if self.now() + seconds > _LATEST:
            raise ValueError(f"the clock ends in the year 9000, got {seconds:g} seconds more")
        self._ahead += seconds


def rfc3339(epoch: float, digits: int) -> str:
    """
    Return a time as the service writes it.

    :param epoch: seconds since the epoch.
    :param digits: fractional digits: 6 for create and update times, 9 for the expiration.
    """
    seconds, fraction = divmod(round(epoch * 1_000_000), 1_000_000)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{fraction * 10 ** (digits - 6):0{digits}d}Z"
