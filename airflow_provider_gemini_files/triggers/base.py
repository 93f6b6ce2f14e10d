"""The parts that all triggers of this provider share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger

from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.waiting import Schedule

#: Seconds between the trigger's own deadline, which ends the wait with a sentence, and Airflow's fallback timeout.
_FALLBACK_SECONDS = 60
#: Seconds before the first poll. Airflow's supervisor can notice up to five seconds late that a deferred task's process
#: has ended, and a task that is resumed before that is taken for a broken one (seen in 3.3.2).
SETTLE_SECONDS = 6.0
#: Seconds between two lines in the log.
LOG_EVERY = 60.0


class GeminiTrigger(BaseTrigger):
    """
    A wait on behalf of a deferred task. It only polls, so that restarting, doubling or pausing it does no harm.

    Its arguments are a row of Airflow's database, which an older version of this package may have written.

    :param gemini_conn_id: a connection of type ``gemini``.
    :param began: when the wait began, in seconds since the epoch; a restart grants no new time.
    :param deadline: when the wait fails, in seconds since the epoch.
    :param not_before: when to poll first, in seconds since the epoch.
    :param poll_interval: seconds between two polls, the least; it grows with the time waited.
    :param max_poll_interval: seconds between two polls, the most.
    :param resume: what the resumed task needs of its past; it comes back with the event.
    """

    #: The arguments of a subclass, beside those above.
    own_fields: ClassVar[tuple[str, ...]] = ()
    _FIELDS = ("gemini_conn_id", "began", "deadline", "not_before", "poll_interval", "max_poll_interval", "resume")

    def __init__(
        self,
        *,
        gemini_conn_id: str,
        began: float,
        deadline: float,
        not_before: float = 0.0,
        poll_interval: float = 5,
        max_poll_interval: float = 30,
        resume: Mapping[str, Any] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.gemini_conn_id = gemini_conn_id
        self.began = began
        self.deadline = deadline
        self.not_before = not_before
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.resume = None if resume is None else dict(resume)
        self._clock = clock

    @property
    def schedule(self) -> Schedule:
        """Return when to poll."""
        return Schedule(self.began, self.deadline, self.poll_interval, self.max_poll_interval)

    def deferral(self, method_name: str = "execute_complete") -> dict[str, Any]:
        """Return the arguments with which an operator defers itself."""
        now = self._clock.now()
        self.not_before = max(self.not_before, now + SETTLE_SECONDS)
        return {
            "trigger": self,
            "method_name": method_name,
            "timeout": timedelta(seconds=max(self.deadline - now, 0) + _FALLBACK_SECONDS),
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments; the key is not among them."""
        fields = {name: getattr(self, name) for name in (*self._FIELDS, *self.own_fields)}
        return f"{type(self).__module__}.{type(self).__qualname__}", {"version": 2, **fields}

    async def settle(self) -> None:
        """Sleep until the first poll."""
        await self._clock.sleep_async(max(min(self.not_before, self.deadline) - self._clock.now(), 0))
