"""The result of deleting a file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from airflow_provider_gemini_files.exceptions import GeminiFilesError


class DeletionOutcome(StrEnum):
    """The outcome of deleting a file."""

    DELETED = "deleted"
    GONE = "gone"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Deletion:
    """
    What became of the deletion of a file.

    :param error: why the file is still there; None if it is not.
    """

    name: str
    outcome: DeletionOutcome
    error: GeminiFilesError | None = None

    @property
    def is_gone(self) -> bool:
        """Return whether the file does not exist any more, whoever has deleted it."""
        return self.outcome in (DeletionOutcome.DELETED, DeletionOutcome.GONE)

    @property
    def error_text(self) -> str | None:
        """Return why the file is still there, as text; None if it is not."""
        return None if self.error is None else str(self.error)
