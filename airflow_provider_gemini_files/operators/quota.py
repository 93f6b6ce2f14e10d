"""Retries of an upload while the project's storage is full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from airflow_provider_gemini_files.common.backoff import Backoff
from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiStorageFullError
from airflow_provider_gemini_files.files.naming import new_file_name
from airflow_provider_gemini_files.operators.resume import QuotaResume
from airflow_provider_gemini_files.transfer.source import Source

OnQuota = Literal["fail", "wait", "evict"]


class QuotaWait:
    """
    The attempts of one upload task at a full storage, over its deferrals.

    :param resume: the past of the task.
    :param least: seconds between two attempts, the least; they grow.
    :param most: seconds between two attempts, the most.
    """

    def __init__(self, resume: QuotaResume, least: float, most: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self.began = resume.began
        self.deadline = resume.deadline
        self.tries = resume.tries
        self.evicted_bytes = resume.evicted_bytes
        self._names = dict(resume.names)
        self._backoff = Backoff(least, max(least, most))
        self._clock = clock

    def resume(self) -> QuotaResume:
        """Return the record for a deferral."""
        return QuotaResume(self.began, self.deadline, self.tries, self.evicted_bytes, self._names)

    def name_for(self, source: Source) -> str:
        """Return the random name of a source's file, the same at each attempt."""
        return self._names.setdefault(source.uri, new_file_name())

    def refused(self, error: GeminiStorageFullError) -> None:
        """
        Count a refusal.

        :raises GeminiStorageFullError: after the deadline.
        """
        self.tries += 1
        if self._clock.now() >= self.deadline:
            raise self.timed_out(str(error)) from error

    def next_attempt(self) -> float:
        """
        Return when the next attempt may begin, in seconds since the epoch: later each time, and spread out.

        The list may show free space while the service says that the storage is full: deleted bytes can count for a
        while, and other tasks may be faster. So the list alone does not decide.
        """
        now = self._clock.now()
        return min(now + self._backoff.pause(self.tries, self._clock.uniform), self.deadline)

    def timed_out(self, reason: str) -> GeminiStorageFullError:
        """Return the error of an upload that has waited too long."""
        return GeminiStorageFullError(
            f"The storage was full at each of {self.tries} attempts, and quota_timeout has passed after "
            f"{self._clock.now() - self.began:.0f} s. {reason}"
        )


def refuse_too_large(sources: Sequence[Source], quota_bytes: int, *, shared: bool) -> None:
    """
    Refuse sources for which no wait would free enough space.

    :param shared: sources of the same bytes are one file, so that their sum says nothing.
    :raises GeminiInputError: naming what is too large.
    """
    for source in sources:
        if source.size > quota_bytes:
            raise GeminiInputError(
                f"{source.uri} has {human_bytes(source.size)}, more than the whole storage of the project "
                f"({human_bytes(quota_bytes)}; quota_bytes of the connection): waiting does not help."
            )
    total = sum(source.size for source in sources)
    if total > quota_bytes and not shared:
        raise GeminiInputError(
            f"The {len(sources)} sources have {human_bytes(total)}, more than the whole storage of the project "
            f"({human_bytes(quota_bytes)}; quota_bytes of the connection): they do not fit at once. Upload some of "
            "them per run."
        )
