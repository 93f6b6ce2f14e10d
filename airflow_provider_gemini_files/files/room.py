"""The one decision about room that is waited for: is there enough, wait on, or give up."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiPermanentError,
    GeminiRateLimitError,
    GeminiServiceError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.files.limits import human_bytes
from airflow_provider_gemini_files.files.state import MAX_FAILED_POLLS, error_of_event
from airflow_provider_gemini_files.files.usage import StorageUsage

#: A look is worth its calls when the wait has become so much longer since the last one.
_PATIENCE = 0.1


class RoomWait:
    """
    The wait for room in a project's storage, fed with what each look saw; it asks nobody itself.

    :param needed_bytes: what has to be free.
    :param began: when the wait began, in seconds since the epoch; now where None.
    :param deadline: seconds since the epoch.
    :param poll_interval: seconds between two looks, the least; they grow to a tenth of the time waited.
    :param max_poll_interval: seconds between two looks, the most.
    """

    def __init__(
        self,
        needed_bytes: int,
        *,
        deadline: float,
        began: float | None = None,
        poll_interval: float = 5,
        max_poll_interval: float = 30,
    ) -> None:
        self.needed_bytes = needed_bytes
        self._began = time.time() if began is None else began
        self._deadline = deadline
        self._poll_interval = poll_interval
        self._max_poll_interval = max(poll_interval, max_poll_interval)
        self._failed_polls = 0
        self._seen: object = "no usage seen yet"

    def interval(self, now: float) -> float:
        """Return the seconds until the next look."""
        return min(max(self._poll_interval, _PATIENCE * (now - self._began)), self._max_poll_interval)

    def pause(self, now: float) -> float:
        """Return how long to sleep until the next look: spread out, and never beyond the deadline."""
        spread = self.interval(now) * random.uniform(0.75, 1.0)  # noqa: S311 - jitter
        return min(spread, max(self._deadline - now, 0.0))

    def describe(self, now: float) -> str:
        """Say in a line what is waited for, how long already, and what was seen last."""
        return f"Waiting for {human_bytes(self.needed_bytes)} of room, for {now - self._began:.0f} s: {self._seen}"

    def see(self, seen: StorageUsage | GeminiFilesError, now: float) -> bool:
        """
        Take what a look saw: True where there is room, False where there is something to wait for.

        :raises GeminiFilesError: where the wait is over, and not well.
        """
        self._seen = seen
        if isinstance(seen, StorageUsage):
            self._failed_polls = 0
            if seen.free_bytes >= self.needed_bytes:
                return True
        elif isinstance(seen, GeminiPermanentError):
            raise seen
        elif not isinstance(seen, GeminiRateLimitError):
            # After a 429 the service is well and wants fewer calls; that costs no task.
            self._failed_polls += 1
            if self._failed_polls >= MAX_FAILED_POLLS:
                raise GeminiServiceError(f"{MAX_FAILED_POLLS} looks at the usage failed in a row; the last: {seen}")
        if now >= self._deadline:
            raise GeminiWaitTimeoutError(f"{self.describe(now)}: that is too long.")
        return False


def room_event(usage: StorageUsage) -> dict[str, Any]:
    """Return the trigger event that says: there is room."""
    return {"usage": usage.to_dict()}


def usage_of_event(event: Mapping[str, Any] | None) -> dict[str, Any]:
    """
    Return the usage of a trigger event, as a dict.

    :raises GeminiFilesError: the error that ended the wait, of its own class.
    """
    if event and "usage" in event:
        return dict(event["usage"])
    raise error_of_event(event)
