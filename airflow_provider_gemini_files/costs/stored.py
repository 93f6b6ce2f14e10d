"""The caches that tasks have created, and for how long they were stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_gemini_files.common.times import epoch_of
from airflow_provider_gemini_files.common.xcom import Entry
from airflow_provider_gemini_files.costs.entry import count_of, model_of, text_of

#: The longest time between a creation and the entry that tells of it; more is an error of whoever has written it.
_LONGEST = timedelta(days=366)


@dataclass
class StoredCache:
    """
    A cache.

    :param first: the first entry that tells of it, without its value, which can be large.
    :param tokens: that it holds; 0 if that is not known.
    :param expires: None if that is not known.
    :param told_at: the time of the last entry that tells of it; a later attempt may have changed when it expires.
    """

    first: Entry
    model: str
    conn_id: str | None
    tokens: int
    created: datetime
    expires: datetime | None
    told_at: datetime
    is_deleted: bool = False

    def token_seconds(self, until: datetime) -> int:
        """
        Return the tokens, times the seconds for which they were stored.

        :param until: when it was gone at the latest, or now.
        """
        end = min(until, self.expires or until)
        return self.tokens * max(round((end - self.created).total_seconds()), 0)


class StoredCaches:
    """The caches of XCom entries, each of which counts once, whatever number of tasks and attempts tell of it."""

    def __init__(self) -> None:
        self._caches: dict[str, StoredCache] = {}
        self._deleted: dict[str, datetime] = {}
        self._missing: dict[str, datetime] = {}

    def add(self, value: Mapping[str, Any], entry: Entry, conn_id: str | None) -> None:
        """
        Add a cache.

        :param value: XCom ``cache``, or ``recreated_cache`` of XCom ``response``.
        """
        name = _name_of(value.get("name"))
        if name is None:
            return
        created, expires = _time_of(value.get("create_time")), _time_of(value.get("expire_time"))
        if created is None or not entry.at - _LONGEST < created <= entry.at:
            created = entry.at
        told = StoredCache(
            first=entry._replace(value=None),
            model=model_of(value),
            conn_id=conn_id,
            tokens=count_of(value.get("tokens")),
            created=created,
            expires=expires,
            told_at=entry.at,
        )
        known = self._caches.setdefault(name, told)
        first, last = (known, told) if known.first.at <= told.first.at else (told, known)
        first.created = min(first.created, last.created)
        if last.told_at >= first.told_at:
            first.expires, first.told_at = last.expires, last.told_at
        self._caches[name] = first

    def end(self, value: Mapping[str, Any], at: datetime) -> None:
        """
        Take note of caches that a task has deleted, or has found gone.

        :param value: XCom ``deleted_caches``.
        """
        for key, ends in (("deleted", self._deleted), ("missing", self._missing)):
            given = value.get(key)
            for name in filter(None, map(_name_of, given if isinstance(given, list) else ())):
                ends[name] = min(ends.get(name, at), at)

    def at(self, now: datetime) -> Iterator[tuple[StoredCache, int]]:
        """Yield each cache as it is known now, with its tokens times the seconds for which they were stored."""
        for name, cache in self._caches.items():
            until = min(now, self._deleted.get(name, now), self._missing.get(name, now))
            cache.is_deleted = name in self._deleted
            yield cache, cache.token_seconds(until)


def _name_of(value: Any) -> str | None:
    name = text_of(value)
    return name if name and name.startswith("cachedContents/") else None


def _time_of(value: Any) -> datetime | None:
    epoch = epoch_of(text_of(value))
    try:
        return None if epoch is None else datetime.fromtimestamp(epoch, UTC)
    except (ValueError, OverflowError, OSError):
        return None
