from __future__ import annotations

import pytest
from airflow_provider_gemini_files.files.room import RoomWait, room_event, usage_of_event

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.state import MAX_FAILED_POLLS, failed_event
from airflow_provider_gemini_files.files.storage_usage import StorageUsage

FULL = StorageUsage(used_bytes=950, quota_bytes=1000, files=3)
ROOMY = StorageUsage(used_bytes=900, quota_bytes=1000, files=2)


def wait(**options) -> RoomWait:
    return RoomWait(100, **{"began": 1000.0, "deadline": 2000.0, **options})


def test_there_is_room_when_it_fits_exactly():
    assert wait().see(FULL, 1001) is False
    assert wait().see(ROOMY, 1001) is True
    assert wait().see(ROOMY, 5000) is True


def test_the_deadline_ends_it_with_what_was_seen_last():
    with pytest.raises(e.GeminiWaitTimeoutError, match=r"100 B of room, for 1000 s: 3 files, 950 B of 1000 B"):
        wait().see(FULL, 2000)


def test_looks_are_a_tenth_of_the_time_waited_apart_and_never_beyond_the_deadline():
    one = wait(poll_interval=5, max_poll_interval=30)

    assert [one.interval(1000 + waited) for waited in (0, 50, 100, 250, 900)] == [5, 5, 10, 25, 30]
    assert 3.75 <= one.pause(1000) <= 5
    assert one.pause(1999) == 1
    assert one.pause(2001) == 0


def test_a_few_looks_may_fail():
    one = wait()
    for _ in range(MAX_FAILED_POLLS - 1):
        assert one.see(e.GeminiServiceError("down"), 1001) is False
    assert one.see(FULL, 1001) is False
    for _ in range(MAX_FAILED_POLLS - 1):
        assert one.see(e.GeminiServiceError("down"), 1001) is False
    for _ in range(10):
        assert one.see(e.GeminiRateLimitError("slower"), 1001) is False
    with pytest.raises(e.GeminiServiceError, match="5 looks at the usage failed in a row; the last: down"):
        one.see(e.GeminiServiceError("down"), 1001)


def test_what_no_retry_mends_ends_it_at_once():
    with pytest.raises(e.GeminiAuthError):
        wait().see(e.GeminiAuthError("no key"), 1001)


def test_events_are_read_back():
    assert usage_of_event(room_event(ROOMY)) == ROOMY.to_dict()
    with pytest.raises(e.GeminiWaitTimeoutError, match="too long"):
        usage_of_event(failed_event(e.GeminiWaitTimeoutError("too long")))
    with pytest.raises(e.GeminiServiceError, match="without a result"):
        usage_of_event({})
