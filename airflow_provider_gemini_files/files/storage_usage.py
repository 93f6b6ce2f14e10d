"""How much of a project's storage is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.files.reference import GeminiFile


@dataclass(frozen=True)
class StorageUsage:
    """
    How much of a project's storage its files use, by the list of its files.

    The service may count more for a while: users report that deleted bytes are not free at once.

    :param used_bytes: sum over all files that count.
    :param by_state: ``{state: files}``.
    :param next_expiry: when the first of the files expires, RFC 3339; None if none does.
    """

    used_bytes: int
    quota_bytes: int
    files: int
    by_state: Mapping[str, int] = field(default_factory=dict)
    next_expiry: str | None = None

    @classmethod
    def of(cls, files: Iterable[GeminiFile], quota_bytes: int) -> StorageUsage:
        """Add up a list of files."""
        states: Counter[str] = Counter()
        used, next_expiry = 0, None
        for file in files:
            states[file.state] += 1
            used += counted_bytes(file)
            if file.expiration_time and (next_expiry is None or file.expiration_time < next_expiry):
                next_expiry = file.expiration_time
        return cls(used, quota_bytes, states.total(), dict(sorted(states.items())), next_expiry)

    @property
    def share(self) -> float:
        """Return the used share of the quota: 0 is empty, 1 full."""
        return self.used_bytes / self.quota_bytes

    @property
    def free_bytes(self) -> int:
        """Return the free bytes, never less than 0."""
        return max(self.quota_bytes - self.used_bytes, 0)

    def to_dict(self) -> dict[str, Any]:
        """Return the form for XCom and asset events: JSON-native."""
        return {**asdict(self), "share": round(self.share, 4), "free_bytes": self.free_bytes}

    def __str__(self) -> str:
        return (
            f"{self.files} files, {human_bytes(self.used_bytes)} of {human_bytes(self.quota_bytes)} "
            f"({100 * self.share:.1f} %), next expiry {self.next_expiry or 'none'}"
        )


def counted_bytes(file: GeminiFile) -> int:
    """Return the bytes of the quota that a file uses."""
    # Registered files have no overall limit (Google's page on file input methods).
    return 0 if file.is_registered else file.size_bytes or 0
