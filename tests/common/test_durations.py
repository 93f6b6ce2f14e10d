from __future__ import annotations

from datetime import timedelta

import pendulum
import pytest

from airflow_provider_gemini_files.common.durations import seconds_of
from airflow_provider_gemini_files.exceptions import GeminiInputError


@pytest.mark.parametrize("value", [90, 90.0, "90", "90.0", timedelta(minutes=1.5), pendulum.duration(seconds=90)])
def test_duration_is_seconds_in_any_form(value):
    assert seconds_of(value, "timeout") == 90.0


@pytest.mark.parametrize(
    "value", [None, True, "soon", "nan", float("nan"), float("inf"), -1, [90], 10**400, timedelta(days=-1), 1e12]
)
def test_anything_else_is_refused_with_name_and_value(value):
    with pytest.raises(GeminiInputError, match="timeout is a duration in seconds"):
        seconds_of(value, "timeout")


def test_least_is_named():
    with pytest.raises(GeminiInputError, match=r"at least 0\.1; got 0"):
        seconds_of(0, "poll_interval", least=0.1)
