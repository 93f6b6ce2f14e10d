from __future__ import annotations

import threading

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.common.concurrency import map_outcomes, shortened


def fail_with(errors: dict[int, Exception]):
    def work(item: int) -> int:
        if item in errors:
            raise errors[item]
        return item * 10

    return work


def test_outcomes_are_in_order_whichever_ends_first():
    second = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            assert second.wait(5)
        else:
            second.set()
        return item

    assert [outcome.result for outcome in map_outcomes(work, [1, 2], concurrency=2)] == [1, 2]


def test_no_more_items_at_once_than_allowed():
    running, most, lock = [0], [0], threading.Lock()
    three = threading.Barrier(3)

    def work(item: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        three.wait(5)
        with lock:
            running[0] -= 1

    map_outcomes(work, range(9), concurrency=3)

    assert most == [3]


def test_nothing_more_is_begun_after_so_many_failures_of_the_service_in_a_row():
    down = e.GeminiServiceError("down", unreachable=True)
    errors = {0: down, 1: down, 3: down, 4: e.GeminiServiceError("cannot read it"), 5: down, 6: down, 7: down}

    outcomes = map_outcomes(fail_with(errors), range(10), concurrency=1, most_failures=3)

    assert [outcome.begun for outcome in outcomes] == [True] * 8 + [False] * 2


@pytest.mark.parametrize("count", [1, 3])
def test_failed_item_keeps_its_error_and_stops_no_other(count):
    error = e.GeminiRateLimitError("slow down", 3600)

    outcomes = map_outcomes(fail_with({0: error}), range(count), concurrency=1)

    assert outcomes[0].error is error
    assert [outcome.result for outcome in outcomes[1:]] == [10, 20][: count - 1]
    assert all(outcome.begun for outcome in outcomes)


@pytest.mark.parametrize("fatal", [e.GeminiAuthError("no right"), e.GeminiStorageFullError("full")])
def test_no_item_is_begun_after_an_error_that_would_recur(fatal):
    outcomes = map_outcomes(fail_with({1: fatal}), range(4), concurrency=1)

    assert [outcome.begun for outcome in outcomes] == [True, True, False, False]
    assert [outcome.result for outcome in outcomes] == [0, None, None, None]
    assert outcomes[1].error is fatal


def test_error_of_another_kind_is_raised():
    with pytest.raises(ZeroDivisionError):
        map_outcomes(lambda item: item / 0, [1, 2])


def test_nothing_to_do_is_no_outcome():
    assert map_outcomes(fail_with({}), []) == []


def test_long_lists_are_shortened():
    assert shortened(["a", "b"]) == "a; b"
    assert shortened([str(n) for n in range(12)]).endswith("9 ... and 2 more")
