"""What an upload keeps in mind while it waits for room in a full storage, also over a deferral."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from airflow_provider_gemini_files.exceptions import (
    GeminiInputError,
    GeminiStorageFullError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.files.limits import human_bytes
from airflow_provider_gemini_files.files.naming import new_file_name
from airflow_provider_gemini_files.files.room import usage_of_event
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.runs import RunLookup
from airflow_provider_gemini_files.transfer.sources import Source
from airflow_provider_gemini_files.triggers.storage import GeminiStorageCapacityTrigger

OnQuota = Literal["fail", "wait", "evict"]


@dataclass
class QuotaWait:
    """
    The wait of one try of an upload task, from its first attempt to its last.

    :param began: seconds since the epoch, as is ``deadline``.
    :param tries: how often the service has said that the storage is full.
    :param evicted_bytes: what has been deleted for this upload.
    :param names: of files that have names by chance, by their sources: so none is uploaded twice.
    """

    began: float
    deadline: float
    tries: int = 0
    evicted_bytes: int = 0
    names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, seconds: float) -> QuotaWait:
        """Begin now, for so many seconds."""
        now = time.time()
        return cls(now, now + seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return what a deferral keeps."""
        return asdict(self)

    def name_for(self, source: Source) -> str:
        """Return the name of a source's file, the same at each attempt."""
        return self.names.setdefault(source.uri, new_file_name())

    def refused(self, error: GeminiStorageFullError) -> None:
        """
        Count a refusal.

        :raises GeminiStorageFullError: after the deadline.
        """
        self.tries += 1
        if time.time() >= self.deadline:
            raise self._over(str(error)) from error

    def next_try(self, least: float, most: float) -> float:
        """
        Return when the next attempt may come, in seconds since the epoch: later each time, and spread out.

        The list may say that there is room while the service says that it is full: deleted bytes can count for a
        while, and others may be quicker. So it is not the list alone that is waited for.
        """
        pause = min(least * 2.0 ** min(self.tries - 1, 10), max(least, most))
        return min(time.time() + pause * random.uniform(0.5, 1.0), self.deadline)  # noqa: S311 - jitter

    def evict(self, hook: GeminiFilesHook, lookup: RunLookup, missing_bytes: int) -> bool:
        """Make room by deleting files of runs that have ended; False where there is nothing (more) to delete."""
        freed = hook.make_room(missing_bytes, lookup, first=self.evicted_bytes == 0)
        self.evicted_bytes += freed
        return freed > 0

    def sleep(self, hook: GeminiFilesHook, trigger: GeminiStorageCapacityTrigger) -> None:
        """
        Wait in this worker for what a trigger would wait for.

        :raises GeminiFilesError: where the wait is over, and not well.
        """
        time.sleep(max(trigger.not_before - time.time(), 0))
        try:
            hook.wait_for_room(trigger.wait())
        except GeminiWaitTimeoutError as error:
            raise self._over(str(error)) from error

    def read(self, event: Mapping[str, Any] | None) -> None:
        """
        Read the trigger's event.

        :raises GeminiFilesError: where the wait is over, and not well.
        """
        try:
            usage_of_event(event)
        except GeminiWaitTimeoutError as error:
            raise self._over(str(error)) from error

    def _over(self, why: str) -> GeminiStorageFullError:
        return GeminiStorageFullError(
            f"The storage was full at each of {self.tries} attempts, which quota_timeout has ended after "
            f"{time.time() - self.began:.0f} s. {why}"
        )


def refuse_too_large(sources: Sequence[Source], quota_bytes: int, *, shared: bool) -> None:
    """
    Refuse what no wait would make fit.

    :param shared: sources of the same bytes are one file, so that their sum says nothing.
    :raises GeminiInputError: naming what is too large.
    """
    for source in sources:
        if source.size > quota_bytes:
            raise GeminiInputError(
                f"{source.uri} has {human_bytes(source.size)}, more than the whole storage of the project "
                f"({human_bytes(quota_bytes)}; quota_bytes of the connection): no wait makes room for it."
            )
    total = sum(source.size for source in sources)
    if total > quota_bytes and not shared:
        raise GeminiInputError(
            f"The {len(sources)} sources have {human_bytes(total)}, more than the whole storage of the project "
            f"({human_bytes(quota_bytes)}; quota_bytes of the connection): they cannot be there at once. Use one run "
            "for some of them at a time."
        )
