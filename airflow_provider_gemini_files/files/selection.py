"""A filter of files, for the list operator and for retention policies."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.reference import GeminiFile

#: The states of files; the last is that of a file of which the service does not say it.
STATES = ("PROCESSING", "ACTIVE", "FAILED", "STATE_UNSPECIFIED")


@dataclass(frozen=True)
class FileFilter:
    """
    Which files are selected; an empty field selects all.

    :param state: one of ``STATES``.
    :param mime_type: the type starts with this, as in ``"video/"``.
    :param display_name: the display name contains this.
    :param min_bytes: the least size.
    """

    state: str | None = None
    mime_type: str | None = None
    display_name: str | None = None
    min_bytes: int = 0

    def selects(self, file: GeminiFile) -> bool:
        """Return whether a file is selected."""
        return (
            (not self.state or file.state == self.state)
            and (file.mime_type or "").startswith(self.mime_type or "")
            and (self.display_name or "") in (file.display_name or "")
            and (file.size_bytes or 0) >= self.min_bytes
        )


def checked_state(state: str | None) -> str | None:
    """
    Return the state to filter by; None for any.

    :raises GeminiInputError: for a state that no file can have: an empty list would look like a result.
    """
    if not state:
        return None
    if state.upper() not in STATES:
        raise GeminiInputError(f"state must be one of {', '.join(STATES)}; got {state!r}.")
    return state.upper()
