"""The record of how full a storage was, and what follows from it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.files.kinds import Kind
from airflow_provider_gemini_files.files.usage_history import MAX_CHARACTERS, Deleted, History, Sample

HOUR = 3600
DAY = 24 * HOUR
#: The beginning of an hour, and of six hours.
NOW = 1_800_014_400
OWNED = dict.fromkeys(Kind, 0) | {Kind.RUNNING: 1, Kind.FINISHED: 20, Kind.SHARED: 300, Kind.FOREIGN: 4000}
#: More than any storage has.
LARGE = 10**13


def samples(*used: int, end: float = NOW - HOUR) -> History:
    """Return a history with a sample an hour, the last one at ``end``."""
    return History(tuple(Sample(int(end) - HOUR * back, 1, used[-1 - back]) for back in range(len(used) - 1, -1, -1)))


# --- the record ----------------------------------------------------------------------------------------------------


def test_record_is_read_as_it_was_written():
    history = History(
        (Sample(NOW - HOUR, 3, 500), Sample.of(NOW + 0.7, 4, 4321, OWNED)),
        (Deleted(NOW, 2, 30),),
        (Deleted(NOW, 1, 7),),
        {"0.9": NOW},
    )
    text = history.to_json()

    assert History.parse(text) == history
    assert json.loads(text) == {
        "version": 1,
        "samples": [[NOW - HOUR, 3, 500], [NOW, 4, 1, 20, 300, 0, 0, 4000]],
        "cleanups": [[NOW, 2, 30]],
        "evictions": [[NOW, 1, 7]],
        "alerts": {"0.9": NOW},
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2},
        {"samples": [[NOW, 3]]},
        {"samples": [[NOW, 3, 1, 2]]},
        {"samples": [[NOW, 3, -1]]},
        {"samples": [[NOW, 3, 1.5]]},
        {"samples": [[NOW, 3, True]]},
        {"samples": [[NOW, 3, 10**400]]},
        {"samples": [{"at": NOW}]},
        {"samples": None},
        {"cleanups": [[NOW, 1]]},
        {"evictions": [[NOW, 1, 2, 3]]},
        {"alerts": [NOW]},
        {"alerts": {"0.9": "yesterday"}},
    ],
)
def test_record_that_is_not_ours_is_an_empty_history(changed):
    record = json.loads(samples(1, 2).to_json()) | changed

    assert History.parse(json.dumps(record)) == History()


@pytest.mark.parametrize("text", [None, "", "null", "[]", "7", '"text"', "{", "{}", "[" * 100_000])
def test_text_that_is_no_record_is_an_empty_history(text):
    assert History.parse(text) == History()


# --- what is added -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "due"),
    [(HOUR, True), (HOUR - 1, False), (0, False)],
)
def test_sample_is_due_an_hour_after_the_last_one(seconds, due):
    assert samples(5, end=NOW).is_due(Sample(NOW + seconds, 1, 9)) is due
    assert History().is_due(Sample(NOW, 1, 9))


def test_sample_that_knows_the_owners_follows_one_that_does_not_but_only_once():
    known = Sample.of(NOW + 60, 1, 4321, OWNED)
    history = samples(5000, end=NOW)
    assert history.is_due(known)
    after = history.with_sample(known)

    assert after.samples == (known,)
    assert not after.is_due(replace(known, at=NOW + 120))
    assert not after.is_due(Sample(NOW + 120, 1, 9))


def test_sample_of_a_clock_that_is_ahead_does_not_hold_up_the_others():
    history = samples(5, end=NOW).with_sample(Sample(NOW + 20 * HOUR, 1, 6))

    assert history.is_due(Sample(NOW + HOUR, 1, 7))
    assert len(history.with_sample(Sample(NOW + HOUR, 1, 7)).samples) == 3
    # A day is too much.
    assert len(samples(5, end=NOW + 2 * DAY).with_sample(Sample(NOW, 1, 7)).samples) == 1


# --- thinning ------------------------------------------------------------------------------------------------------


def test_samples_are_thinned_with_age_and_the_fullest_stays():
    every_ten_minutes = tuple(Sample(NOW - 600 * back, 1, back) for back in range(40 * 24 * 6, -1, -1))
    kept = History(every_ten_minutes).thinned(NOW).samples

    assert [one.at for one in kept] == sorted(one.at for one in kept)
    assert kept[0].at >= NOW - 30 * DAY
    assert len([one for one in kept if one.at > NOW - 7 * DAY]) in (168, 169)
    assert len([one for one in kept if one.at < NOW - 7 * DAY]) in (92, 93)
    # In these samples, the fullest of an hour is its first one.
    assert {one.at % HOUR for one in kept[-100:]} == {0}


def test_what_was_deleted_is_added_up_when_it_is_thinned():
    cleanups = (Deleted(NOW + 60, 1, 10), Deleted(NOW + 120, 2, 20), Deleted(NOW + HOUR, 4, 40))
    old = (Deleted(NOW - 8 * DAY, 1, 10), Deleted(NOW - 8 * DAY + 5 * HOUR, 2, 20))
    history = History(cleanups=(*old, *cleanups), evictions=cleanups).thinned(NOW + HOUR)

    assert history.cleanups == (
        Deleted(NOW - 8 * DAY + 5 * HOUR, 3, 30), Deleted(NOW + 120, 3, 30), Deleted(NOW + HOUR, 4, 40),
    )  # fmt: skip
    assert history.evictions == history.cleanups[1:]


def test_alerts_are_bounded():
    alerts = {f"alert-{number}": NOW + number for number in range(100)}

    assert sorted(History(alerts=alerts).thinned(NOW).alerts.values()) == [NOW + number for number in range(80, 100)]


times = st.integers(NOW - 60 * DAY, NOW + 3 * DAY)
numbers = st.integers(0, LARGE)
some_samples = st.lists(st.builds(Sample, times, numbers, numbers), max_size=30)
some_deletions = st.lists(st.builds(Deleted, times, numbers, numbers), max_size=30)


@given(some_samples, some_deletions, some_deletions)
def test_thinning_again_changes_nothing_and_loses_no_deletion_of_the_month(all_samples, cleanups, evictions):
    thin = History(tuple(all_samples), tuple(cleanups), tuple(evictions)).thinned(NOW)

    assert thin.thinned(NOW) == thin
    in_range = [one for one in cleanups if NOW - 30 * DAY <= one.at <= NOW + DAY]
    assert sum(one.bytes for one in thin.cleanups) == sum(one.bytes for one in in_range)
    hours = [one.at // HOUR for one in thin.samples]
    assert len(set(hours)) == len(hours)


def test_busiest_month_of_the_largest_storage_fits_with_all_samples():
    ats = range(NOW - 40 * DAY, NOW, HOUR)
    deleted = tuple(Deleted(at, 99_999, 21_474_836_480) for at in ats)
    owned = tuple(
        Sample(at, 99_999, 21_474_836_480, (7_158_278_826, 7_158_278_826, 7_158_278_828, 0, 0, 0)) for at in ats
    )
    full = History(owned, deleted, deleted).thinned(NOW)
    text = full.to_json()

    assert len(text) <= MAX_CHARACTERS
    kept = History.parse(text)
    assert kept.samples == full.samples
    assert len(kept.cleanups) > 7 * 24


def test_record_is_short_whatever_the_numbers_are():
    many = tuple(Deleted(NOW, 2**61, 2**61) for _ in range(2000))
    history = History(
        tuple(Sample(NOW, 2**61, 2**61, (2**58,) * 6) for _ in range(2000)), many, many, {"x" * 50_000: 1}
    )
    text = history.to_json()

    assert len(text) <= MAX_CHARACTERS
    assert History.parse(text).samples


# --- the rate ------------------------------------------------------------------------------------------------------


def hours(history: History, used: int, quota: int = 1000) -> float | None:
    return history.hours_until_full(used, quota, NOW)


def test_steady_growth_is_continued():
    assert hours(samples(100, 200, 300), 400) == pytest.approx(6)


def test_one_odd_sample_does_not_turn_the_rate():
    assert hours(samples(100, 200, 300, 0, 500, 600, 700), 800) == pytest.approx(2)
    assert hours(samples(100, 200, 300, 999, 500, 600, 700), 800) == pytest.approx(2)


@pytest.mark.parametrize(
    ("used", "now"),
    [
        ((), 400),
        ((300,), 400),
        ((400, 400, 400), 400),
        ((500, 450, 420), 400),
        # Nearly steady: files are gone before the storage would be full.
        ((390, 393, 396), 399),
        # Filled and cleaned up, again and again.
        ((100, 300, 500, 100, 300, 500, 100, 300, 500), 100),
    ],
)
def test_nothing_is_said_of_a_storage_that_does_not_fill_up(used, now):
    assert hours(samples(*used), now) is None


def test_only_the_last_day_counts():
    recent = samples(100, 200, 300)
    before = (Sample(NOW - 3 * DAY, 1, 999), *samples(0, 500, 999, end=NOW - 25 * HOUR).samples)

    assert hours(History(before), 400) is None
    assert hours(History((*before, *recent.samples)), 400) == pytest.approx(6)


def test_full_storage_is_full_now():
    assert hours(History(), 1000) == 0
    assert hours(History(), 1001) == 0


def test_samples_at_the_same_time_and_of_a_clock_ahead_are_no_rate():
    assert hours(History((Sample(NOW + HOUR, 1, 500), Sample(NOW + HOUR, 1, 600))), 400) is None
    assert hours(History((Sample(NOW - HOUR, 1, 400), Sample(NOW - HOUR, 1, 400))), 400) is None


@given(some_samples, numbers, st.integers(1, LARGE))
def test_forecast_is_within_two_days_or_missing(all_samples, used, quota):
    forecast = History(tuple(all_samples)).hours_until_full(used, quota, NOW)

    assert forecast is None or 0 <= forecast <= 48
