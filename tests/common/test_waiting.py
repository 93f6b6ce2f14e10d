"""The schedule of polls; the decisions of waits are tested with the waits for files and for free space."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.common.waiting import Schedule


def test_interval_is_a_tenth_of_the_time_waited_within_bounds():
    schedule = Schedule(1000, poll_interval=5, max_poll_interval=30)

    assert [schedule.interval(1000 + waited) for waited in (0, 50, 100, 250, 900)] == [5, 5, 10, 25, 30]


def test_least_interval_wins_over_the_most():
    assert Schedule(0, poll_interval=60, max_poll_interval=30).interval(10_000) == 60


def test_interval_does_not_shrink_if_a_clock_goes_back():
    assert Schedule(1000).interval(900) == 5


@pytest.mark.parametrize(("now", "at"), [(0, 30), (60, 90), (90, 100), (100, 100), (150, 150)])
def test_no_poll_is_planned_after_the_deadline(now, at):
    assert Schedule(0, 100, poll_interval=30).next_poll(now) == at


def test_schedule_without_a_deadline_is_never_over():
    schedule = Schedule(0)

    assert not schedule.is_over(1e12)
    assert schedule.next_poll(1e12) == 1e12 + 30


@pytest.mark.parametrize(("now", "over"), [(99.9, False), (100, True), (101, True)])
def test_schedule_is_over_from_its_deadline_on(now, over):
    assert Schedule(0, 100).is_over(now) is over


def test_deadline_at_the_epoch_has_passed():
    assert Schedule(0, 0).is_over(1)
    assert Schedule(0, 0).next_poll(1) == 1


@given(
    now=st.floats(0, 1000), asked=st.floats(0, 1000), spread=st.floats(0.5, 1), deadline=st.none() | st.floats(0, 2000)
)
def test_next_poll_is_never_before_the_service_wants_it_unless_at_the_deadline(now, asked, spread, deadline):
    at = Schedule(0, deadline).next_poll(now, asked, spread)

    assert at >= now
    assert at >= now + asked or at == max(now, deadline)


def test_spread_shortens_the_interval_but_not_what_the_service_asks_for():
    schedule = Schedule(0, poll_interval=100)

    assert schedule.next_poll(0, spread=0.75) == 75
    assert schedule.next_poll(0, at_least=90, spread=0.75) == 90
