"""A filter of files, for the list operator and for retention policies."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_gemini_files.files.reference import GeminiFile


@dataclass(frozen=True)
class FileFilter:
    """
    Which files are selected; an empty field selects all.

    :param state: ``PROCESSING``, ``ACTIVE`` or ``FAILED``.
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
