from __future__ import annotations

import math
from datetime import timedelta

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files import retry_policy
from airflow_provider_gemini_files.retry_policy import GeminiRetryPolicy

HAS_POLICIES = retry_policy.RetryPolicy is not object


def after(error: e.GeminiFilesError, seconds: float | None) -> e.GeminiFilesError:
    error.retry_after = seconds
    return error


@pytest.mark.skipif(not HAS_POLICIES, reason="Airflow has retry policies since 3.3")
@pytest.mark.parametrize(
    ("error", "action", "seconds"),
    [
        (e.GeminiRateLimitError("slow down", 28), "retry", 28),
        (e.GeminiRateLimitError("the day's quota", 20 * 3600), "retry", 20 * 3600),
        (e.GeminiRateLimitError("no delay"), "default", None),
        (e.GeminiRateLimitError("a delay of nothing", 0.0), "default", None),
        (e.GeminiRateLimitError("int64's maximum", math.inf), "default", None),
        (after(e.GeminiServiceError("busy"), 9), "retry", 9),
        (e.GeminiServiceError("failed"), "default", None),
        (e.GeminiStorageFullError("full"), "retry", 900),
        (e.GeminiNoAnswerError("blocked"), "fail", None),
        (e.GeminiUnusableAnswerError("empty"), "default", None),
        (RuntimeError("of another task"), "default", None),
    ],
)
def test_retry_follows_the_delay_of_the_service(error, action, seconds):
    decision = GeminiRetryPolicy().evaluate(error, 1, 3)

    assert decision.action.value == action
    if seconds is None:
        assert decision.retry_delay is None
    else:
        assert timedelta(seconds=seconds) <= decision.retry_delay <= timedelta(seconds=seconds * 1.1)


@pytest.mark.skipif(not HAS_POLICIES, reason="Airflow has retry policies since 3.3")
def test_policy_can_be_serialized():
    assert isinstance(GeminiRetryPolicy.deserialize(GeminiRetryPolicy().serialize()), GeminiRetryPolicy)


def test_airflow_before_3_3_is_refused_with_an_alternative(monkeypatch):
    monkeypatch.setattr(retry_policy, "RetryPolicy", object)

    with pytest.raises(e.GeminiInputError, match=r"needs Airflow 3\.3 or later: set retry_delay"):
        GeminiRetryPolicy()
