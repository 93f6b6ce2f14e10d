from __future__ import annotations

import math
import random

import pytest

from airflow_provider_gemini_files.common.backoff import Backoff


def longest(low: float, high: float) -> float:
    return high


def test_pause_doubles_up_to_its_maximum():
    backoff = Backoff(initial=2, maximum=30)

    assert [backoff.pause(failures, longest) for failures in range(1, 7)] == [2, 4, 8, 16, 30, 30]


def test_many_failures_do_not_overflow():
    assert Backoff(maximum=1e9).pause(10_000, longest) == 1024


def test_pause_is_spread_out():
    spread = [Backoff(initial=10).pause(1, random.Random(seed).uniform) for seed in range(50)]

    assert 5 <= min(spread) < 6
    assert 9 < max(spread) <= 10


@pytest.mark.parametrize(("asked", "pause"), [(0, 0), (9, 9), (60, 60), (61, 60), (-5, 0), (math.inf, 60)])
def test_delay_that_the_service_asks_for_is_followed_up_to_a_bound(asked, pause):
    assert Backoff().pause(3, longest, asked) == pause


@pytest.mark.parametrize(("asked", "too_long"), [(None, False), (60, False), (60.1, True), (math.inf, True)])
def test_longer_delay_is_too_long(asked, too_long):
    assert Backoff().is_too_long(asked) is too_long
