"""Caches count once, and until they are gone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_gemini_files.common.xcom import Entry
from airflow_provider_gemini_files.costs.entry import CACHE_KEY, DELETED_CACHES_KEY, RESPONSE_KEY
from airflow_provider_gemini_files.costs.spent import Kind, Spending, Usage, What

CREATED = datetime(2026, 11, 30, 12, tzinfo=UTC)
NOW = CREATED + timedelta(hours=30)
HOUR = 3600
CACHE: dict[str, Any] = {
    "name": "cachedContents/a",
    "model": "flash",
    "tokens": 2000,
    "conn_id": "a",
    "create_time": "2026-11-30T12:00:00Z",
    "expire_time": "2026-11-30T14:00:00Z",
}


def entry(
    value: Any, key: str = CACHE_KEY, *, minutes: float = 0, task: str = "cache", state: str = "success"
) -> Entry:
    return Entry(key, value, CREATED + timedelta(minutes=minutes), "films", task, state)


def deleted(*, minutes: float, kind: str = "deleted", name: str = "cachedContents/a") -> Entry:
    return entry({"deleted": [], "missing": [], kind: [name]}, DELETED_CACHES_KEY, minutes=minutes, task="delete")


def spent(*entries: Entry, now: datetime = NOW) -> list[tuple[What, Usage]]:
    spending = Spending(now)
    for one in entries:
        spending.add(one)
    return list(spending)


def test_cache_counts_its_tokens_once_and_its_storage_until_it_expires():
    [(what, usage)] = spent(entry(CACHE, minutes=1))

    assert what == What(date(2026, 11, 30), "films", "cache", "flash", "a", Kind.CACHE)
    assert usage == Usage(calls=1, prompt=2000, token_seconds=2000 * 2 * HOUR, open_caches=1)


def test_storage_ends_when_a_task_has_deleted_the_cache():
    [(_, usage)] = spent(deleted(minutes=45), entry(CACHE))

    assert (usage.token_seconds, usage.open_caches) == (2000 * 45 * 60, 0)


def test_cache_that_a_task_has_found_gone_was_stored_until_then_at_most():
    [(_, usage)] = spent(entry(CACHE), deleted(minutes=45, kind="missing"))
    assert (usage.token_seconds, usage.open_caches) == (2000 * 45 * 60, 1)
    [(_, usage)] = spent(entry(CACHE), deleted(minutes=180, kind="missing"))
    assert usage.token_seconds == 2000 * 2 * HOUR


def test_storage_of_a_cache_that_lives_counts_until_now():
    [(_, usage)] = spent(entry(CACHE), now=CREATED + timedelta(minutes=10))
    assert usage.token_seconds == 2000 * 600
    [(_, usage)] = spent(entry({**CACHE, "expire_time": None}), now=CREATED + timedelta(hours=5))
    assert usage.token_seconds == 2000 * 5 * HOUR


def test_cache_that_a_later_attempt_has_found_and_extended_was_created_once():
    later = {**CACHE, "expire_time": "2026-11-30T17:00:00Z"}
    told = [spent(*entries) for entries in ([entry(later, minutes=180)], [entry(CACHE), entry(later, minutes=180)])]

    assert told[0] == told[1]
    [(what, usage)] = told[0]
    assert (what.day, usage.calls, usage.token_seconds) == (date(2026, 11, 30), 1, 2000 * 5 * HOUR)


def test_cache_counts_on_the_day_on_which_it_was_created():
    [(what, _)] = spent(entry({**CACHE, "expire_time": "2026-12-02T12:00:00Z"}, minutes=24 * 60))

    assert what.day == date(2026, 11, 30)


def test_cache_that_requests_have_recreated_counts_once_for_all_of_them():
    cache = {**CACHE, "name": "cachedContents/b"}
    response = {"conn_id": "a", "model": "flash", "usage": {"prompt": 5, "answer": 1}, "recreated_cache": cache}
    asked = [entry(response, RESPONSE_KEY, minutes=minute, task="ask") for minute in range(3)]
    told = [(what.kind, what.task_id, usage.calls, usage.prompt) for what, usage in spent(entry(CACHE), *asked)]

    assert told == [(Kind.ANSWER, "ask", 3, 15), (Kind.CACHE, "cache", 1, 2000), (Kind.CACHE, "ask", 1, 2000)]


def test_cache_of_an_earlier_release_was_created_when_it_was_recorded():
    former = {name: value for name, value in CACHE.items() if name != "create_time"}
    [(_, usage)] = spent(entry(former, minutes=60))

    assert usage.token_seconds == 2000 * HOUR


def test_cache_of_unknown_size_is_told_as_not_known():
    [(what, usage)] = spent(entry({**CACHE, "tokens": None}))

    assert (what.is_known, usage) == (False, Usage(calls=1, open_caches=1))


def test_failed_task_has_paid_for_its_cache():
    [(what, _)] = spent(entry(CACHE, state="failed"))

    assert what.has_failed


@pytest.mark.parametrize(
    "value",
    [{**CACHE, "name": None}, {**CACHE, "name": "my_cache"}, {"name": 5}, {"size": 3}, "a cache", None, [CACHE]],
)
def test_skipped_cache_and_entries_of_other_tasks_count_for_nothing(value):
    assert spent(entry(value)) == []
    assert spent(entry(value, DELETED_CACHES_KEY)) == []


@pytest.mark.parametrize(
    "time", ["soon", 5, None, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2126-01-01T00:00:00Z"]
)
def test_times_that_cannot_be_are_not_taken(time):
    [(what, usage)] = spent(entry({**CACHE, "create_time": time}))
    assert (what.day, usage.token_seconds) == (date(2026, 11, 30), 2000 * 2 * HOUR)
    [(_, usage)] = spent(entry({**CACHE, "expire_time": time}))
    assert 0 <= usage.token_seconds <= 2000 * 30 * HOUR
    assert spent(entry({"deleted": [time, {}], "missing": time}, DELETED_CACHES_KEY), entry(CACHE))


def test_deleted_cache_of_nobody_counts_for_nothing():
    assert spent(deleted(minutes=1)) == []
