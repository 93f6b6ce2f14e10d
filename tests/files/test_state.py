from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.common.waiting import MAX_FAILED_POLLS, Schedule
from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiFileFailedError,
    GeminiFileGoneError,
    GeminiRateLimitError,
    GeminiServiceError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.state import FileWait

A, B = "files/a", "files/b"


def file(name: str = A, state: str = "ACTIVE", **fields: object) -> GeminiFile:
    return GeminiFile(name, state=state, **fields)


def wait_for(*names: str, began: float = 0.0, **schedule: float) -> FileWait:
    return FileWait(names, Schedule(began, **schedule))


def polled(wait: FileWait, seen: dict[str, object], now: float = 0.0) -> bool:
    for name, what in seen.items():
        wait.see(name, what, now)
    return wait.check(now)


def test_files_are_ready_in_the_order_of_their_names():
    wait = wait_for(B, A)

    assert not polled(wait, {A: file(A)})
    assert wait.pending == [B]
    assert polled(wait, {B: file(B)})

    assert wait.pending == []
    assert [f.name for f in wait.ready()] == [B, A]


@pytest.mark.parametrize("state", ["PROCESSING", "STATE_UNSPECIFIED"])
def test_file_in_another_state_is_pending(state):
    wait = wait_for(A)

    assert not polled(wait, {A: file(state=state)})
    assert wait.pending == [A]


def test_failed_file_ends_the_wait_with_reason_and_name():
    failed = file(state="FAILED", error={"code": 3, "message": "unknown codec"}, mime_type="video/mp4")

    with pytest.raises(GeminiFileFailedError, match=r"files/a .*unknown codec \(code 3\)\. Check that") as caught:
        polled(wait_for(A), {A: failed})
    assert caught.value.file_names == (A,)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ({"code": 3}, "convert a video to H.264"),
        ({"code": 11}, "cut it into parts"),
        ({"code": 13}, "The service failed: upload it again"),
        (None, "it gave no reason. Check that the source plays"),
        ({"code": {"a": 1}}, r"reason \(code .'a': 1.\)\. Check that the source plays"),
        ({"code": [3]}, r"reason \(code \[3\]\)\. Check that the source plays"),
        ({"code": "3"}, r"reason \(code 3\)\. Check that the source plays"),
        ({"code": None, "message": ["a", "list"]}, r"\['a', 'list'\]\. Check that the source plays"),
    ],
)
def test_failed_file_comes_with_advice(error, advice):
    with pytest.raises(GeminiFileFailedError, match=advice):
        polled(wait_for(A), {A: file(state="FAILED", error=error)})


def test_display_name_of_a_failed_file_is_shown_in_one_clean_line():
    failed = file(state="FAILED", display_name="a\n::error::\u202eb https://u:s3cret@host/x")

    with pytest.raises(GeminiFileFailedError, match=r"files/a \(a ::error::b https://host/x, "):
        polled(wait_for(A), {A: failed})


def test_gone_file_ends_the_wait_at_once():
    with pytest.raises(GeminiFileGoneError):
        polled(wait_for(A), {A: GeminiFileGoneError("gone")})


def test_each_failed_file_is_named():
    failed = {name: file(name, state="FAILED") for name in (A, B)}

    with pytest.raises(GeminiFileFailedError, match=r"2 waits failed: .*files/a.*files/b") as caught:
        polled(wait_for(A, "files/c", B), failed)
    assert caught.value.file_names == (A, B)


def test_gravest_of_different_errors_is_raised():
    with pytest.raises(GeminiFileFailedError, match="it is gone") as caught:
        polled(wait_for(A, B), {A: GeminiFileGoneError("it is gone"), B: file(B, state="FAILED")})
    assert caught.value.file_names == (B,)


def test_failed_polls_are_tolerated_up_to_a_number_in_a_row():
    wait = wait_for(A)
    for _ in range(3):
        for _ in range(MAX_FAILED_POLLS - 1):
            assert not polled(wait, {A: GeminiServiceError("503")})
        assert not polled(wait, {A: file(state="PROCESSING")})

    for _ in range(MAX_FAILED_POLLS - 1):
        polled(wait, {A: GeminiServiceError("503")})
    with pytest.raises(GeminiServiceError, match="5 polls failed in a row; the last: 503"):
        polled(wait, {A: GeminiServiceError("503")})


def test_rate_limit_never_ends_a_wait_before_its_deadline():
    wait = wait_for(A, deadline=1000)

    for now in range(900):
        assert not polled(wait, {A: GeminiRateLimitError("429")}, now)


def test_failed_polls_of_two_files_are_not_added_up():
    wait = wait_for(A, B)
    for _ in range(MAX_FAILED_POLLS - 1):
        assert not polled(wait, {A: GeminiServiceError("503"), B: GeminiServiceError("503")})


def test_deadline_ends_the_wait_with_state_and_time():
    wait = wait_for(A, began=40, deadline=100)
    polled(wait, {A: file(state="PROCESSING")}, now=99.9)

    with pytest.raises(
        GeminiWaitTimeoutError,
        match=r"Waited 60 s for files/a \(PROCESSING\) to become ACTIVE: the deadline has passed",
    ):
        wait.check(100)


def test_file_that_is_active_at_the_deadline_is_ready():
    assert polled(wait_for(A, deadline=100), {A: file()}, now=200)


def test_expired_file_ends_the_wait():
    late = file(state="PROCESSING", expiration_time="1970-01-01T00:01:40Z")
    wait = wait_for(A)
    assert not polled(wait, {A: late}, now=99)

    with pytest.raises(GeminiFileGoneError, match="expired at 1970-01-01T00:01:40Z while it was still PROCESSING"):
        polled(wait, {A: late}, now=100)


@given(waited=st.floats(0, 1e6), least=st.floats(0.1, 100), most=st.floats(0.1, 100))
def test_polls_get_further_apart_within_bounds(waited, least, most):
    wait = wait_for(A, began=0, poll_interval=least, max_poll_interval=most)

    assert least <= wait.schedule.interval(waited) <= max(least, most)
    assert wait.schedule.interval(waited) <= wait.schedule.interval(waited + 1)
    assert wait.schedule.interval(0) == least


def test_last_poll_is_at_the_deadline():
    wait = wait_for(A, began=0, deadline=100, poll_interval=30)

    assert wait.next_poll(60) == 90
    assert wait.next_poll(90) == 100
    assert wait.next_poll(150) == 150


def test_wait_is_described_in_a_line():
    wait = wait_for(*(f"files/{c}" for c in "abcde"))
    wait.see(A, file(state="PROCESSING"), now=1)

    assert wait.describe(7) == (
        "Waited 7 s for files/a (PROCESSING), files/b (not polled yet), files/c (not polled yet) and 2 more "
        "to become ACTIVE"
    )
    assert wait.describe(0).startswith("Waiting for files/a (PROCESSING)")


def test_two_errors_of_a_class_are_one_of_that_class():
    with pytest.raises(GeminiAuthError, match="one two"):
        polled(wait_for(A, B), {A: GeminiAuthError("one"), B: GeminiAuthError("two")})


@pytest.mark.parametrize(("asked", "pause"), [(None, 5), (2, 5), (120, 120), (86_400, 600), (float("inf"), 600)])
def test_next_poll_follows_the_delay_that_the_service_asks_for(asked, pause):
    wait = wait_for(A)
    polled(wait, {A: GeminiRateLimitError("429", asked)})

    assert wait.next_poll(0) == pause


def test_delay_is_forgotten_after_a_successful_poll():
    wait = wait_for(A)
    polled(wait, {A: GeminiRateLimitError("429", 120)})
    polled(wait, {A: file(state="PROCESSING")})

    assert wait.next_poll(0) == 5
