from __future__ import annotations

import pytest

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


def test_all_are_ready_in_the_order_asked_for():
    waits = FileWaits([B, A])

    waits.see(A, file(A), now=0)
    assert waits.pending == [B]
    waits.see(B, file(B), now=0)

    assert waits.pending == []
    assert [f.name for f in waits.ready()] == [B, A]


@pytest.mark.parametrize("state", ["PROCESSING", "STATE_UNSPECIFIED"])
def test_other_states_wait(state):
    waits = FileWaits([A])

    waits.see(A, file(state=state), now=0)

    assert waits.pending == [A]


def test_failed_ends_the_wait_with_the_reason():
    failed = file(state="FAILED", error={"code": 3, "message": "unknown codec"}, mime_type="video/mp4")

    with pytest.raises(GeminiFileFailedError, match=r"files/a .*unknown codec \(code 3\).*upload it again"):
        FileWaits([A]).see(A, failed, now=0)


def test_failed_without_a_reason_says_so():
    with pytest.raises(GeminiFileFailedError, match="it gave no reason"):
        FileWaits([A]).see(A, file(state="FAILED"), now=0)


def test_a_file_that_is_gone_ends_the_wait_at_once():
    with pytest.raises(GeminiFileGoneError):
        FileWaits([A]).see(A, GeminiFileGoneError("gone"), now=0)


def test_failed_polls_are_tolerated_until_there_are_too_many_in_a_row():
    waits = FileWaits([A])
    for _ in range(3):
        for _ in range(MAX_FAILED_POLLS - 1):
            waits.see(A, GeminiServiceError("503"), now=0)
        waits.see(A, file(state="PROCESSING"), now=0)

    for _ in range(MAX_FAILED_POLLS - 1):
        waits.see(A, GeminiRateLimitError("429"), now=0)
    with pytest.raises(GeminiServiceError, match="5 polls failed in a row; the last: 429"):
        waits.see(A, GeminiRateLimitError("429"), now=0)


def test_the_failed_polls_of_two_files_are_not_added_up():
    waits = FileWaits([A, B])
    for _ in range(MAX_FAILED_POLLS - 1):
        waits.see(A, GeminiServiceError("503"), now=0)
        waits.see(B, GeminiServiceError("503"), now=0)

    assert waits.pending == [A, B]


def test_the_deadline_ends_the_wait():
    waits = FileWaits([A], deadline=100)
    waits.see(A, file(state="PROCESSING"), now=99.9)

    with pytest.raises(GeminiWaitTimeoutError, match="last seen: PROCESSING"):
        waits.see(A, file(state="PROCESSING"), now=100)


def test_a_file_that_is_ready_at_the_deadline_is_ready():
    waits = FileWaits([A], deadline=100)

    waits.see(A, file(), now=200)

    assert waits.pending == []


def test_events_carry_files_over():
    files = [file(B, size_bytes=3), file(A)]

    assert files_of_event(ready_event(files)) == files


def test_events_carry_errors_over_as_what_they_were():
    with pytest.raises(GeminiFileGoneError, match="it is gone"):
        files_of_event(failed_event(GeminiFileGoneError("it is gone")))


@pytest.mark.parametrize("event", [None, {}, {"status": "?"}])
def test_an_event_that_says_nothing_is_an_error(event):
    with pytest.raises(GeminiServiceError, match="without a result"):
        files_of_event(event)
