"""The one decision about free space that is waited for: enough, poll again, or failed."""

from __future__ import annotations

from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.common.waiting import Schedule, Wait
from airflow_provider_gemini_files.exceptions import GeminiFilesError, GeminiInputError
from airflow_provider_gemini_files.files.storage_usage import StorageUsage


class FreeSpaceWait(Wait[StorageUsage]):
    """
    The wait for free space in a project's storage.

    :param needed_bytes: bytes that have to be free.
    """

    goal = "in the project's storage"
    advice = "Delete files, wait for some to expire, or raise the timeout."

    def __init__(self, needed_bytes: int, schedule: Schedule) -> None:
        #: The one item that is waited for.
        self.name = f"{human_bytes(needed_bytes)} of free space"
        super().__init__([self.name], schedule)
        self.needed_bytes = needed_bytes

    def judge(self, seen: StorageUsage, now: float) -> bool | GeminiFilesError:
        """Return whether there is enough, or the error of a wait that no deletion would end."""
        if self.needed_bytes > seen.quota_bytes:
            return GeminiInputError(
                f"{self.name} is more than the whole storage of the project ({human_bytes(seen.quota_bytes)}; "
                "quota_bytes of the connection): waiting does not help."
            )
        return seen.free_bytes >= self.needed_bytes

    def state_of(self, seen: StorageUsage) -> str:
        """Return the usage in words."""
        return str(seen)
