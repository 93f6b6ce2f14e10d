from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.exceptions import (
    GeminiFileFailedError,
    GeminiFileGoneError,
    GeminiRateLimitError,
    GeminiServiceError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.state import (
    MAX_FAILED_POLLS,
    FileWaits,
    failed_event,
    files_of_event,
    ready_event,
)

A, B = "files/a", "files/b"


def file(name: str = A, state: str = "ACTIVE", **fields: object) -> GeminiFile:
    return GeminiFile(name, state=state, **fields)


def looked(waits: FileWaits, seen: dict[str, object], now: float = 0.0) -> bool:
    for name, what in seen.items():
        waits.see(name, what, now)
    return waits.check(now)


def test_all_are_ready_in_the_order_asked_for():
    waits = FileWaits([B, A])

    assert not looked(waits, {A: file(A)})
    assert waits.pending == [B]
    assert looked(waits, {B: file(B)})

    assert waits.pending == []
    assert [f.name for f in waits.ready()] == [B, A]


@pytest.mark.parametrize("state", ["PROCESSING", "STATE_UNSPECIFIED"])
def test_other_states_wait(state):
    waits = FileWaits([A])

    assert not looked(waits, {A: file(state=state)})
    assert waits.pending == [A]


def test_failed_ends_the_wait_with_the_reason_and_the_name():
    failed = file(state="FAILED", error={"code": 3, "message": "unknown codec"}, mime_type="video/mp4")

    with pytest.raises(GeminiFileFailedError, match=r"files/a .*unknown codec \(code 3\)\. Check that") as caught:
        looked(FileWaits([A]), {A: failed})
    assert caught.value.file_names == (A,)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ({"code": 3}, "convert a video to H.264"),
        ({"code": 11}, "cut it into parts"),
        ({"code": 13}, "the service's: upload it again"),
        (None, "it gave no reason. Check that the source plays"),
    ],
)
def test_failed_says_what_the_author_can_do(error, advice):
    with pytest.raises(GeminiFileFailedError, match=advice):
        looked(FileWaits([A]), {A: file(state="FAILED", error=error)})


def test_a_file_that_is_gone_ends_the_wait_at_once():
    with pytest.raises(GeminiFileGoneError):
        looked(FileWaits([A]), {A: GeminiFileGoneError("gone")})


def test_each_file_that_failed_is_named():
    failed = {name: file(name, state="FAILED") for name in (A, B)}

    with pytest.raises(GeminiFileFailedError, match=r"2 files failed: .*files/a.*files/b") as caught:
        looked(FileWaits([A, "files/c", B]), failed)
    assert caught.value.file_names == (A, B)


def test_of_errors_that_differ_the_gravest_is_raised():
    with pytest.raises(GeminiFileFailedError, match="it is gone") as caught:
        looked(FileWaits([A, B]), {A: GeminiFileGoneError("it is gone"), B: file(B, state="FAILED")})
    assert caught.value.file_names == (B,)


def test_failed_polls_are_tolerated_until_there_are_too_many_in_a_row():
    waits = FileWaits([A])
    for _ in range(3):
        for _ in range(MAX_FAILED_POLLS - 1):
            assert not looked(waits, {A: GeminiServiceError("503")})
        assert not looked(waits, {A: file(state="PROCESSING")})

    for _ in range(MAX_FAILED_POLLS - 1):
        looked(waits, {A: GeminiServiceError("503")})
    with pytest.raises(GeminiServiceError, match="5 polls failed in a row; the last: 503"):
        looked(waits, {A: GeminiServiceError("503")})


def test_a_rate_limit_never_ends_a_wait_before_its_deadline():
    waits = FileWaits([A], deadline=1000)

    for now in range(900):
        assert not looked(waits, {A: GeminiRateLimitError("429")}, now)


def test_the_failed_polls_of_two_files_are_not_added_up():
    waits = FileWaits([A, B])
    for _ in range(MAX_FAILED_POLLS - 1):
        assert not looked(waits, {A: GeminiServiceError("503"), B: GeminiServiceError("503")})


def test_the_deadline_ends_the_wait_with_what_was_seen_last_and_how_long_it_took():
    waits = FileWaits([A], began=40, deadline=100)
    looked(waits, {A: file(state="PROCESSING")}, now=99.9)

    with pytest.raises(GeminiWaitTimeoutError, match=r"files/a \(PROCESSING\) to become ACTIVE, for 60 s: that is too"):
        waits.check(100)


def test_a_file_that_is_ready_at_the_deadline_is_ready():
    assert looked(FileWaits([A], deadline=100), {A: file()}, now=200)


def test_a_file_is_not_waited_for_after_its_expiry():
    late = file(state="PROCESSING", expiration_time="1970-01-01T00:01:40Z")
    waits = FileWaits([A])
    assert not looked(waits, {A: late}, now=99)

    with pytest.raises(GeminiFileGoneError, match="expired at 1970-01-01T00:01:40Z, still PROCESSING"):
        looked(waits, {A: late}, now=100)


@given(waited=st.floats(0, 1e6), least=st.floats(0.1, 100), most=st.floats(0.1, 100))
def test_looks_are_close_at_first_and_further_apart_later_within_bounds(waited, least, most):
    waits = FileWaits([A], began=0, poll_interval=least, max_poll_interval=most)

    assert least <= waits.interval(waited) <= max(least, most)
    assert waits.interval(waited) <= waits.interval(waited + 1)
    assert waits.interval(0) == least


def test_the_last_look_is_at_the_deadline():
    waits = FileWaits([A], began=0, deadline=100, poll_interval=30)

    assert waits.next_look(60) == 90
    assert waits.next_look(90) == 100
    assert waits.next_look(150) == 150


def test_what_is_waited_for_is_said_in_a_line():
    waits = FileWaits([f"files/{c}" for c in "abcde"], began=0)
    waits.see(A, file(state="PROCESSING"), now=1)

    assert waits.describe(7) == (
        "Waiting for files/a (PROCESSING), files/b (not seen yet), files/c (not seen yet) and 2 more to become ACTIVE, "
        "for 7 s"
    )


def test_events_carry_files_over():
    files = [file(B, size_bytes=3), file(A)]

    assert files_of_event(ready_event(files)) == files


def test_events_carry_errors_over_as_what_they_were():
    with pytest.raises(GeminiFileGoneError, match="it is gone"):
        files_of_event(failed_event(GeminiFileGoneError("it is gone")))


def test_events_carry_the_names_of_failed_files_over():
    with pytest.raises(GeminiFileFailedError) as caught:
        files_of_event(failed_event(GeminiFileFailedError("failed", [A])))
    assert caught.value.file_names == (A,)


@pytest.mark.parametrize("event", [None, {}, {"status": "?"}])
def test_an_event_that_says_nothing_is_an_error(event):
    with pytest.raises(GeminiServiceError, match="without a result"):
        files_of_event(event)
