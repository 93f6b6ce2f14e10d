"""
One wait for everything that is waited for: files, free space, documents, batches.

A :class:`Wait` is pure. It is told what each poll saw, and decides: poll again and when, ready, or failed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from airflow_provider_gemini_files.common.backoff import MAX_WAIT_PAUSE
from airflow_provider_gemini_files.common.failures import combined
from airflow_provider_gemini_files.exceptions import (
    GeminiBatchFailedError,
    GeminiFileFailedError,
    GeminiFileGoneError,
    GeminiFilesError,
    GeminiPermanentError,
    GeminiRateLimitError,
    GeminiServiceError,
    GeminiWaitTimeoutError,
)

#: Polls of one item that may fail in a row before its wait does: a transient failure costs no task.
MAX_FAILED_POLLS = 5
#: A poll is worth its call once the wait has become longer by this share since the last one.
_GROWTH = 0.1
#: Pending items that a log line names.
_NAMED = 3
#: One of these ends a wait for several items for good, whatever the others' errors are.
_GRAVEST_FIRST = (GeminiFileFailedError, GeminiFileGoneError, GeminiBatchFailedError, GeminiPermanentError)

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Schedule:
    """
    When to poll: often at first, then every tenth of the time waited, within bounds, and never after the deadline.

    :param began: when the wait began, in seconds since the epoch; a restart of the poller does not change it.
    :param deadline: when the wait fails, in seconds since the epoch; None if the caller sets the limit.
    :param poll_interval: seconds between two polls, the least.
    :param max_poll_interval: seconds between two polls, the most.
    """

    began: float
    deadline: float | None = None
    poll_interval: float = 5.0
    max_poll_interval: float = 30.0

    def interval(self, now: float) -> float:
        """Return the seconds between this poll and the next."""
        return min(
            max(self.poll_interval, _GROWTH * (now - self.began)), max(self.poll_interval, self.max_poll_interval)
        )

    def next_poll(self, now: float, at_least: float = 0.0, spread: float = 1.0) -> float:
        """
        Return when to poll again, in seconds since the epoch.

        :param at_least: seconds that the service asks to wait.
        :param spread: share of the interval that is waited, so that waits which began together do not poll together.
        """
        at = now + max(self.interval(now) * spread, at_least)
        return at if self.deadline is None else min(at, max(now, self.deadline))

    def is_over(self, now: float) -> bool:
        """Return whether the deadline has passed."""
        return self.deadline is not None and now >= self.deadline

    def waited(self, now: float) -> float:
        """Return the seconds waited so far."""
        return max(now - self.began, 0.0)


class Wait(Generic[Seen]):
    """
    The wait for some items to become ready.

    :param names: of the items, in the order in which :meth:`ready` returns them.
    :param schedule: when to poll, and until when.
    """

    #: What is waited for, for the log line: ``Waited 7 s for {items} to become ACTIVE``.
    goal = "to become ready"
    #: What the caller can do after a timeout.
    advice = "A retry continues to wait. Or raise the timeout."

    def __init__(self, names: Iterable[str], schedule: Schedule) -> None:
        self.schedule = schedule
        self._names = list(names)
        self._pending = dict.fromkeys(self._names, "not polled yet")
        self._failed_polls = dict.fromkeys(self._names, 0)
        self._ready: dict[str, Seen] = {}
        self._failed: list[GeminiFilesError] = []
        #: Seconds that the service asked to wait when it was polled last.
        self._asked = 0.0

    @abstractmethod
    def judge(self, seen: Seen, now: float) -> bool | GeminiFilesError:
        """Return whether an item is ready, or the error that ends its wait."""

    @abstractmethod
    def state_of(self, seen: Seen) -> str:
        """Return what a log line says about a pending item."""

    @property
    def pending(self) -> list[str]:
        """Return the names of the items that are neither ready nor failed."""
        return list(self._pending)

    def ready(self) -> list[Seen]:
        """Return the items that are ready, in the order of their names."""
        return [self._ready[name] for name in self._names if name in self._ready]

    def describe(self, now: float) -> str:
        """Return a line about what is waited for, for how long, and what was seen last."""
        pending = self.pending
        named = ", ".join(f"{name} ({self._pending[name]})" for name in pending[:_NAMED])
        more = f" and {len(pending) - _NAMED} more" if len(pending) > _NAMED else ""
        waited = self.schedule.waited(now)
        # "Waited 0 s" would read as if the wait were over.
        verb = "Waiting" if waited < 1 else f"Waited {waited:.0f} s"
        return f"{verb} for {named}{more} {self.goal}"

    def see(self, name: str, seen: Seen | GeminiFilesError, now: float) -> None:
        """
        Take the result of polling one item; :meth:`check` then decides.

        :param name: an item that is not pending is ignored.
        :param seen: the item, or the error of polling it.
        :param now: seconds since the epoch.
        """
        if name not in self._pending:
            return
        self._asked = (seen.retry_after or 0.0) if isinstance(seen, GeminiFilesError) else 0.0
        if isinstance(seen, GeminiFilesError):
            self._pending[name] = type(seen).__name__
            error = self._tolerated(name, seen)
        else:
            self._pending[name] = self.state_of(seen)
            self._failed_polls[name] = 0
            judged = self.judge(seen, now)
            error = judged if isinstance(judged, GeminiFilesError) else None
            if judged is True:
                self._ready[name] = seen
        if error:
            self._failed.append(error)
        if error or name in self._ready:
            del self._pending[name]

    def check(self, now: float) -> bool:
        """
        Return whether all items are ready; False means that a further poll is needed.

        :raises GeminiFilesError: if the wait has failed; the message names each item that did.
        """
        if self._failed:
            errors = self._failed
            if len(errors) == 1:
                raise errors[0]
            message = f"{len(errors)} waits failed: {' '.join(str(error) for error in errors)}"
            raise combined(errors, message, prefer=_GRAVEST_FIRST)
        if self._pending and self.schedule.is_over(now):
            raise GeminiWaitTimeoutError(f"{self.describe(now)}: the deadline has passed. {self.advice}")
        return not self._pending

    def next_poll(self, now: float, spread: float = 1.0) -> float:
        """
        Return when to poll again, in seconds since the epoch; not before the service wants to be asked.

        :param spread: see :meth:`Schedule.next_poll`.
        """
        return self.schedule.next_poll(now, min(self._asked, MAX_WAIT_PAUSE), spread)

    def _tolerated(self, name: str, error: GeminiFilesError) -> GeminiFilesError | None:
        """Return the error that ends the wait; None if it may pass."""
        if isinstance(error, GeminiPermanentError):
            return error
        if isinstance(error, GeminiRateLimitError):
            # The service works and asks for fewer calls, which is no reason to fail a task.
            return None
        self._failed_polls[name] += 1
        if self._failed_polls[name] < MAX_FAILED_POLLS:
            return None
        return GeminiServiceError(
            f"{name}: {MAX_FAILED_POLLS} polls failed in a row; the last: {error}", error.retry_after
        )
