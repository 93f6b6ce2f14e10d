"""Files that batch jobs still need, as far as it is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce

from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile

#: ``(deployment, dag_id, run_id)``.
DeploymentRun = tuple[str | None, str, str]


@dataclass(frozen=True)
class FilesInUse:
    """
    What is known about the files that running batch jobs read.

    :param names: ``files/...`` that a job reads.
    :param runs: runs of which every file may be read by a job.
    :param before: files created before this time may be read by a job that does not say which files it reads, in
        seconds since the epoch; infinite if the jobs are not known.
    :param certain_before: as ``before``, for jobs of this package only.
    :param why: what makes ``before`` necessary, for people.
    """

    names: frozenset[str] = field(default_factory=frozenset)
    runs: frozenset[DeploymentRun] = field(default_factory=frozenset)
    before: float = float("-inf")
    certain_before: float = float("-inf")
    why: str = ""

    @classmethod
    def unknown(cls, reason: str) -> FilesInUse:
        """Return that any file may be in use."""
        return cls(before=float("inf"), why=reason)

    @classmethod
    def of_all(cls, several: Iterable[FilesInUse]) -> FilesInUse:
        """Return the files of several jobs."""
        return reduce(cls._joined, several, cls())

    def _joined(self, other: FilesInUse) -> FilesInUse:
        latest = max(self, other, key=lambda one: one.before)
        certain_before = max(self.certain_before, other.certain_before)
        return FilesInUse(self.names | other.names, self.runs | other.runs, latest.before, certain_before, latest.why)

    def is_certain(self, file: GeminiFile) -> bool:
        """Return whether a job of this package reads the file, or the files of its run, or may read it."""
        created = file.created_at()
        is_older = created is None or created < self.certain_before
        of_run = file.owner is not None and run_of(file.owner) in self.runs
        return file.name in self.names or of_run or (is_older and self.certain_before > float("-inf"))

    def reason(self, file: GeminiFile) -> str | None:
        """Return why a job may need the file; None if none does. A job cannot use a FAILED file."""
        if file.state == "FAILED":
            return None
        if self.is_certain(file):
            return "a batch job that has not ended needs it"
        created = file.created_at()
        if self.before == float("-inf") or (created is not None and created >= self.before):
            return None
        return self.why


def run_of(owner: Owner) -> DeploymentRun:
    """Return the run of an owner, with its deployment."""
    return owner.deployment, *owner.run
