"""The listing of a connection's files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.files.naming import deployment_of, is_shared, label_of
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.storage_usage import StorageUsage
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.ui.owners import OwnerRuns
from airflow_provider_gemini_files.ui.parts import Rows


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
    def rows(self) -> Rows:
        """Return the rows of the table, encoded once for all users."""
        return Rows((file.name, _owner(file, self.owners), _values(file, self.owners)) for file in self.files)

    def get(self, name: str) -> GeminiFile | None:
        """Return a file by its name; None if it is not listed."""
        return next((file for file in self.files if file.name == name), None)


def _owner(file: GeminiFile, owners: OwnerRuns) -> list[Any] | None:
    """Return the task that owns a file, without its map index: the instances of a mapped task share it."""
    if (row := owners.row(file.owner)) is None:
        return None
    dag_id, run_id, task_id, _, state = row
    return [dag_id, run_id, task_id, state]


def _values(file: GeminiFile, owners: OwnerRuns) -> list[Any]:
    """Return a file as ``files.js`` decodes it: without field names, as there are thousands of files."""
    created, expires = file.created_at(), file.expires_at()
    error = (file.error or {}).get("message")
    return [
        file.owner.map_index if file.owner else -1,
        file.name.removeprefix("files/"),
        label_of(file.display_name),
        _shared(file, owners),
        file.mime_type,
        file.size_bytes or 0,
        file.state,
        created and round(created),
        expires and round(expires),
        file.source,
        error and shown_text(error),
    ]


def _shared(file: GeminiFile, owners: OwnerRuns) -> str | None:
    """Return by whose runs a file is shared; None if it is not."""
    if not is_shared(file.display_name):
        return None
    return "shared" if deployment_of(file.display_name) == owners.deployment else "elsewhere"
