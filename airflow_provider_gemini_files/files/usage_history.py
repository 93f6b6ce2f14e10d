"""
The history of how full a storage is: samples of its usage, and what was deleted from it; small, as it is kept for long.

The record is JSON: ``{"version": 1, "samples": [...], "cleanups": [...], "evictions": [...], "alerts": {...}}``. A
sample is ``[time, files, bytes]``, or ``[time, files, *bytes by kind]`` if the owners were looked up; what was deleted
is ``[time, files, bytes]``. Times are in whole seconds since the epoch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import median
from typing import Any

from airflow_provider_gemini_files.files.kinds import Kind

VERSION = 1
#: Seconds between two samples, the least.
SAMPLE_SECONDS = 3600
#: Characters of the record, the most.
MAX_CHARACTERS = 30_000
_DAY = 24 * 3600
#: Up to which age, in seconds, one sample is kept in how many seconds.
_STEPS = ((7 * _DAY, SAMPLE_SECONDS), (30 * _DAY, 6 * SAMPLE_SECONDS))
#: Records of machines whose clock is ahead are kept if it is by no more than this.
_AHEAD = _DAY
#: A file expires after 48 hours, so a storage that would be full later does not fill up at all.
_LONGEST_HOURS = 48
_MAX_ALERTS = 20
_MAX_NUMBER = 2**62


@dataclass(frozen=True)
class Sample:
    """
    The usage of a storage at one time.

    :param at: seconds since the epoch.
    :param by_kind: the bytes by the kind of their owner; None if the owners were not looked up.
    """

    at: int
    files: int
    used_bytes: int
    by_kind: tuple[int, ...] | None = None

    @classmethod
    def of(cls, at: float, files: int, used_bytes: int, by_kind: Mapping[Kind, int] | None = None) -> Sample:
        """Return a sample; ``by_kind`` has all kinds, and its sum is ``used_bytes``."""
        return cls(int(at), files, used_bytes, tuple(by_kind[kind] for kind in Kind) if by_kind else None)

    @classmethod
    def read(cls, row: Any) -> Sample:
        """Return the sample of a row of the record."""
        at, files, *counted = _numbers(row)
        if len(counted) not in (1, len(Kind)):
            raise ValueError(f"not a sample: {row!r:.200}")
        return cls(at, files, sum(counted), tuple(counted) if len(counted) > 1 else None)

    def to_row(self) -> list[int]:
        """Return what :meth:`read` reads."""
        return [self.at, self.files, *(self.by_kind or [self.used_bytes])]


@dataclass(frozen=True)
class Deleted:
    """What a cleanup or an eviction has deleted; ``at`` is in seconds since the epoch."""

    at: int
    files: int
    bytes: int

    @classmethod
    def read(cls, row: Any) -> Deleted:
        """Return what was deleted, from a row of the record."""
        return cls(*_numbers(row))

    def to_row(self) -> list[int]:
        """Return what :meth:`read` reads."""
        return [self.at, self.files, self.bytes]


@dataclass(frozen=True)
class History:
    """
    The history of a storage, each part in the order of time.

    :param alerts: when an alert was last given, in seconds since the epoch, by the key of the alert.
    """

    samples: Sequence[Sample] = ()
    cleanups: Sequence[Deleted] = ()
    evictions: Sequence[Deleted] = ()
    alerts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> History:
        """Read a record; one that is missing, broken, or none of this version is an empty history."""
        try:
            record = json.loads(text or "{}")
            if record["version"] != VERSION:
                return cls()
            return cls(
                tuple(Sample.read(row) for row in record["samples"]),
                tuple(Deleted.read(row) for row in record["cleanups"]),
                tuple(Deleted.read(row) for row in record["evictions"]),
                {str(key): _numbers([at])[0] for key, at in record["alerts"].items()},
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls()

    def to_json(self) -> str:
        """Return the record; the oldest of it is left out if it would be too long."""
        history = self
        while len(text := history._encoded()) > MAX_CHARACTERS:
            history = history._shortened()
        return text

    def is_due(self, sample: Sample) -> bool:
        """Return whether a sample adds something: the last one is an hour old, or does not know the owners."""
        last = next((one for one in reversed(self.samples) if one.at <= sample.at), None)
        if last is None or sample.at - last.at >= SAMPLE_SECONDS:
            return True
        return last.by_kind is None and sample.by_kind is not None

    def with_sample(self, sample: Sample) -> History:
        """Return the history with another sample, and without what is too old or too much."""
        return replace(self, samples=(*self.samples, sample)).thinned(sample.at)

    def thinned(self, now: float) -> History:
        """
        Return the history with one entry an hour for seven days, then one in six hours up to the thirtieth day.

        Of several samples, the fullest of those that know the owners stays. What was deleted is added up.
        """
        newest = sorted(self.alerts.items(), key=lambda item: item[1])[-_MAX_ALERTS:]
        return History(
            tuple(max(group, key=_weight) for group in _groups(self.samples, now)),
            tuple(_sum(group) for group in _groups(self.cleanups, now)),
            tuple(_sum(group) for group in _groups(self.evictions, now)),
            dict(newest),
        )

    def hours_until_full(self, used_bytes: int, quota_bytes: int, now: float) -> float | None:
        """
        Return in how many hours the storage is full at the rate of the last day; None if it does not fill up.

        The rate is the median of the slopes between all pairs of the last 24 hours' samples and the present usage.

        :param used_bytes: the present usage.
        """
        if used_bytes >= quota_bytes:
            return 0.0
        recent = [(one.at, one.used_bytes) for one in self.samples if now - _DAY <= one.at < now]
        pairs = combinations([*recent, (now, used_bytes)], 2)
        slopes = [(later - earlier) / (end - start) for (start, earlier), (end, later) in pairs if end > start]
        rate = median(slopes) if len(recent) > 1 else 0.0
        hours = (quota_bytes - used_bytes) / rate / 3600 if rate > 0 else float("inf")
        return hours if hours <= _LONGEST_HOURS else None

    def _encoded(self) -> str:
        record = {
            "version": VERSION,
            "samples": [one.to_row() for one in self.samples],
            "cleanups": [one.to_row() for one in self.cleanups],
            "evictions": [one.to_row() for one in self.evictions],
            "alerts": dict(self.alerts),
        }
        return json.dumps(record, separators=(",", ":"))

    def _shortened(self) -> History:
        """Return the history without the oldest tenth of what was deleted; without samples only if that is all."""
        if self.cleanups or self.evictions:
            return replace(self, cleanups=_newest(self.cleanups), evictions=_newest(self.evictions))
        return replace(self, samples=_newest(self.samples), alerts={})


def _groups(entries: Iterable[Any], now: float) -> list[list[Any]]:
    """Return entries in the groups of which one entry is left, in the order of time; without those that are too old."""
    groups: dict[int, list[Any]] = {}
    for entry in sorted(entries, key=lambda one: one.at):
        if entry.at > now + _AHEAD:
            continue
        step = next((step for age, step in _STEPS if now - entry.at <= age), None)
        if step is not None:
            groups.setdefault(entry.at // step * step, []).append(entry)
    return list(groups.values())


def _weight(sample: Sample) -> tuple[bool, int, int]:
    return sample.by_kind is not None, sample.used_bytes, sample.at


def _sum(group: Sequence[Deleted]) -> Deleted:
    return Deleted(group[-1].at, sum(one.files for one in group), sum(one.bytes for one in group))


def _newest(entries: Sequence[Any]) -> Sequence[Any]:
    return entries[len(entries) // 10 + 1 :]


def _numbers(row: Any) -> list[int]:
    """Return the numbers of a row; a record that somebody else has written may hold anything."""
    if not isinstance(row, list) or not all(type(one) is int and 0 <= one < _MAX_NUMBER for one in row):
        raise ValueError(f"not a row of whole numbers: {row!r:.200}")
    return row
