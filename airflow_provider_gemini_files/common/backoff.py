"""How long to pause after a failure: one exponential back-off, and one meaning of ``Retry-After``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Seconds. A longer delay that the service asks for ends the task's attempt, with ``retry_after`` on the error.
MAX_RETRY_AFTER = 60.0
#: Seconds. Pauses of a wait, which costs no worker while it is deferred, follow the service further.
MAX_WAIT_PAUSE = 600.0
#: A pause is shortened by up to this share, so that tasks which failed together do not return together.
_JITTER = 0.5
_MAX_DOUBLINGS = 10

Uniform = Callable[[float, float], float]


@dataclass(frozen=True)
class Backoff:
    """
    An exponential back-off with jitter.

    :param initial: seconds after the first failure, at most; each further one doubles it.
    :param maximum: seconds, the longest pause of its own.
    :param max_retry_after: seconds, the longest delay of the service that is followed.
    """

    initial: float = 1.0
    maximum: float = MAX_RETRY_AFTER
    max_retry_after: float = MAX_RETRY_AFTER

    def pause(self, failures: int, uniform: Uniform, retry_after: float | None = None) -> float:
        """
        Return the seconds to pause.

        :param failures: in a row, the last one included.
        :param retry_after: what the service asks for; it is followed up to ``max_retry_after``.
        """
        if retry_after is not None:
            return min(max(retry_after, 0.0), self.max_retry_after)
        longest = min(self.initial * 2.0 ** min(max(failures - 1, 0), _MAX_DOUBLINGS), self.maximum)
        return longest * uniform(1 - _JITTER, 1.0)

    def is_too_long(self, retry_after: float | None) -> bool:
        """Return whether the service asks for more patience than there is here."""
        return retry_after is not None and retry_after > self.max_retry_after
