from __future__ import annotations

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.common.waiting import MAX_FAILED_POLLS, Schedule
from airflow_provider_gemini_files.files.free_space import FreeSpaceWait
from airflow_provider_gemini_files.files.storage_usage import StorageUsage

FULL = StorageUsage(used_bytes=950, quota_bytes=1000, files=3)
ROOMY = StorageUsage(used_bytes=900, quota_bytes=1000, files=2)


@pytest.fixture
def wait() -> FreeSpaceWait:
    """Return a wait for 100 bytes, from 1000 to 2000 seconds after the epoch."""
    return FreeSpaceWait(100, Schedule(1000.0, 2000.0))


def polled(wait: FreeSpaceWait, seen: StorageUsage | e.GeminiFilesError, now: float = 1001) -> bool:
    wait.see(wait.name, seen, now)
    return wait.check(now)


def test_space_that_fits_exactly_is_enough(wait):
    assert not polled(wait, FULL)
    assert polled(wait, ROOMY)
    assert wait.ready() == [ROOMY]


def test_enough_space_after_the_deadline_is_enough(wait):
    assert polled(wait, ROOMY, now=5000)


def test_deadline_ends_the_wait_with_the_last_usage(wait):
    with pytest.raises(
        e.GeminiWaitTimeoutError, match=r"Waited 1000 s for 100 B of free space .3 files, 950 B of 1000 B"
    ):
        polled(wait, FULL, now=2000)


def test_some_polls_in_a_row_may_fail(wait):
    for seen in (e.GeminiServiceError("down"), FULL):
        for _ in range(MAX_FAILED_POLLS - 1):
            assert not polled(wait, seen)
    for _ in range(MAX_FAILED_POLLS - 1):
        assert not polled(wait, e.GeminiServiceError("down"))
    for _ in range(10):
        assert not polled(wait, e.GeminiRateLimitError("slower"))

    with pytest.raises(e.GeminiServiceError, match="5 polls failed in a row; the last: down"):
        polled(wait, e.GeminiServiceError("down"))


def test_permanent_error_ends_the_wait_at_once(wait):
    with pytest.raises(e.GeminiAuthError):
        polled(wait, e.GeminiAuthError("no key"))


def test_more_than_the_whole_storage_is_not_waited_for():
    wait = FreeSpaceWait(1001, Schedule(1000.0, 2000.0))

    with pytest.raises(e.GeminiInputError, match=r"1001 B of free space is more than the whole storage .*1000 B"):
        polled(wait, ROOMY)
    assert not polled(FreeSpaceWait(1000, Schedule(1000.0, 2000.0)), ROOMY)
