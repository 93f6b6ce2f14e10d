"""The listing of a connection's files."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.files.naming import is_shared, label_of
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.storage_usage import StorageUsage
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.ui.owners import OwnerRuns


@dataclass(frozen=True)
class FileListing:
    """
    All files of a connection's project, and the runs that own them.

    :param at: when the listing started, in seconds since the epoch.
    """

    at: float
    conn_id: str
    files: tuple[GeminiFile, ...]
    quota_bytes: int
    owners: OwnerRuns

    @classmethod
    def read(cls, hook: GeminiFilesHook, at: float, _: FileListing | None) -> FileListing:
        """List the files."""
        quota_bytes = hook.connection.quota_bytes
        files = tuple(hook.list_files())
        return cls(at, hook.connection.conn_id, files, quota_bytes, OwnerRuns.of(file.owner for file in files))

    def without(self, names: Collection[str]) -> FileListing:
        """Return the listing without deleted files, so that the page does not show them until the next one."""
        return replace(self, files=tuple(file for file in self.files if file.name not in names))

    @cached_property
    def usage(self) -> StorageUsage:
        """Return how much of the quota the files use."""
        return StorageUsage.of(self.files, self.quota_bytes)

    def expiring(self, seconds: float) -> StorageUsage:
        """Return how much of the quota becomes free within some seconds after the listing, if nothing is uploaded."""
        until = self.at + seconds
        files = [file for file in self.files if (expires := file.expires_at()) is not None and expires <= until]
        return StorageUsage.of(files, self.quota_bytes)

    @cached_property
    def rows(self) -> str:
        """Return the rows of the table as JSON, encoded once for all users."""
        return json.dumps([_row(file, self.owners) for file in self.files], separators=(",", ":"))


def _row(file: GeminiFile, owners: OwnerRuns) -> list[Any]:
    """Return a file as ``files.js`` decodes it: without field names, as one response holds thousands of files."""
    created, expires = file.created_at(), file.expires_at()
    error = (file.error or {}).get("message")
    return [
        file.name,
        label_of(file.display_name),
        owners.row(file.owner),
        is_shared(file.display_name),
        file.mime_type,
        file.size_bytes or 0,
        file.state,
        created and round(created),
        expires and round(expires),
        file.source,
        error and shown_text(error),
    ]
