"""What a deferred batch leaves for the task that is resumed, as a record in Airflow's database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from airflow_provider_gemini_files.files.events import Event, resume_of

VERSION = 1


@dataclass
class BatchResume:
    """
    The past of a batch over its deferrals.

    :param quota_deadline: until when the service may refuse jobs, in seconds since the epoch.
    :param refusals: how often in a row it has refused one because there are too many.
    :param has_looked_later: whether jobs of an earlier attempt have been looked for twice.
    :param parts: number of jobs of the first submission; None before it was planned.
    :param adopted: jobs that an earlier attempt of the task has submitted.
    :param counted: jobs whose tokens an earlier attempt has sent to the metrics.
    :param rounds: the jobs by fingerprint, of the first submission and of each repetition of rows.
    """

    quota_deadline: float
    refusals: int = 0
    has_looked_later: bool = False
    parts: int | None = None
    adopted: list[str] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    rounds: list[dict[str, str]] = field(default_factory=list)

    def jobs_of(self, round_: int) -> dict[str, str]:
        """Return the jobs of a round by fingerprint; a change is part of the record."""
        while len(self.rounds) <= round_:
            self.rounds.append({})
        return self.rounds[round_]

    def names(self) -> list[str]:
        """Return the names of all jobs, in the order of their submission."""
        return [name for jobs in self.rounds for name in jobs.values()]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def read(cls, event: Event | None) -> BatchResume | None:
        """Read the record of an event; None if there is none."""
        record = resume_of(event)
        if not isinstance(record, Mapping) or "quota_deadline" not in record:
            return None
        return cls(**{one.name: record[one.name] for one in fields(cls) if one.name in record})
