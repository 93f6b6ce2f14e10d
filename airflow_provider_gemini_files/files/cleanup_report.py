"""The result of a cleanup: small enough for XCom, and a table for the task log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.files.kinds import Kind
from airflow_provider_gemini_files.files.retention import Decision
from airflow_provider_gemini_files.files.storage_usage import StorageUsage, counted_bytes


@dataclass(frozen=True)
class CleanupReport:
    """
    What a cleanup has deleted and kept, or would delete if it was a dry run.

    :param before: the usage by the list that the plan was made on; ``after`` is that usage less the deleted files.
    :param deleted: ``{reason: {"files", "bytes"}}``, as is ``kept``. A file that was gone already counts as deleted.
    :param gone: files among the deleted that were gone already.
    :param refused: files that the service does not delete, such as the results of a batch.
    :param failed: files whose deletion failed; the next cleanup tries again.
    :param errors: the errors of the first of them.
    :param owned: the bytes of ``before`` by the kind of their owner: see :class:`Kind`.
    """

    conn_id: str
    dry_run: bool
    before: StorageUsage
    after: StorageUsage
    deleted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    kept: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    gone: int = 0
    refused: int = 0
    failed: int = 0
    errors: tuple[str, ...] = ()
    owned: Mapping[Kind, int] = field(default_factory=dict)

    @property
    def deleted_files(self) -> int:
        """Return the number of deleted files."""
        return sum(row["files"] for row in self.deleted.values())

    @property
    def deleted_bytes(self) -> int:
        """Return the number of deleted bytes."""
        return sum(row["bytes"] for row in self.deleted.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the form for XCom: JSON-native, and as small for ten thousand files as for ten."""
        return {
            **asdict(self),
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "errors": list(self.errors),
            "owned": {str(kind): size for kind, size in self.owned.items()},
            "deleted_files": self.deleted_files,
            "deleted_bytes": self.deleted_bytes,
        }

    def table(self) -> list[str]:
        """Return the lines of a table for the task log."""
        verb = "would delete" if self.dry_run else "deleted"
        lines = [f"{'':14}{'reason':16}{'files':>8}{'size':>12}"] if self.deleted or self.kept else []
        for what, rows in ((verb, self.deleted), ("kept", self.kept)):
            lines += [
                f"{what:14}{reason:16}{row['files']:>8}{human_bytes(row['bytes']):>12}" for reason, row in rows.items()
            ]
        lines += [f"before: {self.before}", f"after:  {self.after}"]
        if self.gone or self.refused or self.failed:
            lines.append(f"already gone: {self.gone}, refused by the service: {self.refused}, failed: {self.failed}")
        return lines + [f"failed: {error}" for error in self.errors]


@dataclass(frozen=True)
class Eviction:
    """
    What an upload into a full storage has evicted.

    :param before: the usage by the list of files before it; ``owned`` as in :class:`CleanupReport`.
    """

    before: StorageUsage
    owned: Mapping[Kind, int]
    files: int = 0
    freed_bytes: int = 0


def counted(decisions: Iterable[Decision]) -> dict[str, dict[str, int]]:
    """Count files and bytes by reason, in the order in which the reasons first occur."""
    rows: dict[str, dict[str, int]] = {}
    for decision in decisions:
        row = rows.setdefault(str(decision.reason), {"files": 0, "bytes": 0})
        row["files"] += 1
        row["bytes"] += counted_bytes(decision.file)
    return rows
