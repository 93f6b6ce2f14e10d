"""Reads from XCom entries what tasks have spent: tokens of answers, batches and caches, and documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from airflow_provider_gemini_files.batches.rows import RowKind
from airflow_provider_gemini_files.common.xcom import Entry
from airflow_provider_gemini_files.costs.entry import (
    BATCH_KEY,
    CACHE_KEY,
    DELETED_CACHES_KEY,
    INDEXED_KEY,
    RESPONSE_KEY,
    count_of,
    model_of,
    text_of,
)
from airflow_provider_gemini_files.costs.stored import StoredCache, StoredCaches

#: The kinds of tokens that an entry counts, by the names that ``content/tokens.py`` gives them.
_TOKENS = ("prompt", "tools", "cached", "answer", "thoughts")
#: States of task instances whose last attempt has failed.
_FAILED = ("failed", "up_for_retry")
#: Rows of a batch whose answers were paid for, whether or not they could be used.
_ANSWERED = tuple(str(kind) for kind in (RowKind.SUCCESS, RowKind.INVALID, RowKind.BLOCKED, RowKind.CUT))


class Kind(StrEnum):
    """A kind of what was paid for."""

    ANSWER = "answer"
    BATCH = "batch"
    CACHE = "cache"
    DOCUMENTS = "documents"


@dataclass(frozen=True)
class What:
    """
    What something was spent for.

    :param day: in UTC, on which it was recorded; of a cache, on which it was created.
    :param conn_id: None if the entry does not say.
    :param has_failed: whether the task has failed although this was paid for.
    :param from_cache: whether some of the input came from a cache, which can be a price that is missing.
    :param is_known: whether its tokens are known; without them, there is no cost.
    """

    day: date
    dag_id: str
    task_id: str
    model: str
    conn_id: str | None
    kind: Kind
    has_failed: bool = False
    from_cache: bool = False
    is_known: bool = True


@dataclass
class Usage:
    """
    What was used.

    :param calls: answers that were paid for, and caches that were created.
    :param prompt: tokens that were sent, with ``cached`` and without ``tools``; of a cache, those that it holds.
    :param token_seconds: of caches: tokens, times the seconds for which they were stored.
    :param open_caches: caches of which no task has recorded that it has deleted them.
    :param documents: that were sent to file search stores. It is not known how many tokens they have.
    """

    calls: int = 0
    prompt: int = 0
    tools: int = 0
    cached: int = 0
    answer: int = 0
    thoughts: int = 0
    token_seconds: int = 0
    open_caches: int = 0
    documents: int = 0
    document_bytes: int = 0

    @property
    def input(self) -> int:
        """Return the tokens that were sent."""
        return self.prompt + self.tools

    @property
    def output(self) -> int:
        """Return the tokens that were received; thoughts are billed like the answer."""
        return self.answer + self.thoughts

    def add(self, other: Usage) -> None:
        """Add what else was used."""
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)


class Spending:
    """
    The sums of XCom entries.

    :param now: until when the storage of caches counts that still live.
    :ivar unreadable: entries of which Airflow's database has only a URI, as with an XCom backend of object storage.
    :ivar missing_before: the time before which entries were not read, because there are too many; None if all were.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._used: dict[What, Usage] = {}
        self._caches = StoredCaches()
        self.unreadable = 0
        self.missing_before: datetime | None = None

    def add(self, entry: Entry) -> None:
        """Add an entry; entries of the same keys that are not of this package count for nothing."""
        value = entry.decoded()
        if isinstance(value, str) and "://" in value:
            self.unreadable += 1
        if not isinstance(value, Mapping):
            return
        conn_id = text_of(value.get("conn_id"))
        if entry.key == DELETED_CACHES_KEY:
            self._caches.end(value, entry.at)
        elif entry.key == INDEXED_KEY:
            self._add_documents(entry, value, conn_id)
        elif entry.key == CACHE_KEY:
            self._caches.add(value, entry, conn_id)
        elif used := used_by(entry.key, value):
            model, kind, usage = used
            self._add(_what(entry, model, conn_id, kind, from_cache=usage.cached > 0), usage)
        if entry.key == RESPONSE_KEY and isinstance(recreated := value.get("recreated_cache"), Mapping):
            self._caches.add(recreated, entry, conn_id)

    def _add_documents(self, entry: Entry, value: Mapping[str, Any], conn_id: str | None) -> None:
        if documents := count_of(value.get("documents")):
            used = Usage(documents=documents, document_bytes=count_of(value.get("bytes")))
            self._add(_what(entry, "unknown", conn_id, Kind.DOCUMENTS, is_known=False), used)

    def _add(self, what: What, used: Usage) -> None:
        self._used.setdefault(what, Usage()).add(used)

    def __iter__(self) -> Iterator[tuple[What, Usage]]:
        yield from self._used.items()
        caches: dict[What, Usage] = {}
        for cache, token_seconds in self._caches.at(self._now):
            what = _what(
                cache.first, cache.model, cache.conn_id, Kind.CACHE, day=cache.created, is_known=cache.tokens > 0
            )
            caches.setdefault(what, Usage()).add(_usage_of_cache(cache, token_seconds))
        yield from caches.items()


def used_by(key: str, value: Mapping[str, Any]) -> tuple[str, Kind, Usage] | None:
    """
    Return the model of an answer or a batch, what it is, and what it has used.

    :param value: XCom ``response`` or ``batch``.
    :return: None if the value is not of this package, or nothing was answered.
    """
    usage = value.get("usage")
    if not isinstance(usage, Mapping) or "prompt" not in usage or "answer" not in usage:
        return None
    calls = _calls_of(key, value)
    if not calls:
        return None
    used = Usage(calls, **{kind: count_of(usage.get(kind)) for kind in _TOKENS})
    return model_of(value), Kind.BATCH if key == BATCH_KEY else Kind.ANSWER, used


def _usage_of_cache(cache: StoredCache, token_seconds: int) -> Usage:
    open_caches = 0 if cache.is_deleted else 1
    return Usage(calls=1, prompt=cache.tokens, token_seconds=token_seconds, open_caches=open_caches)


def _what(
    entry: Entry, model: str, conn_id: str | None, kind: Kind, *, day: datetime | None = None, **told: bool
) -> What:
    return What(
        day=(day or entry.at).astimezone(UTC).date(),
        dag_id=entry.dag_id,
        task_id=entry.task_id,
        model=model,
        conn_id=conn_id,
        kind=kind,
        has_failed=entry.state in _FAILED,
        **told,
    )


def _calls_of(key: str, value: Mapping[str, Any]) -> int:
    if key == RESPONSE_KEY:
        return count_of(value.get("calls", 1))
    counts = value.get("counts")
    return sum(count_of(counts.get(kind)) for kind in _ANSWERED) if isinstance(counts, Mapping) else 0
