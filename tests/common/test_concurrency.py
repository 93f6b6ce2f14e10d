from __future__ import annotations

import threading

import pytest
from airflow_provider_gemini_files.transfer.many import for_each, shortened

from airflow_provider_gemini_files import exceptions as e


def explain(failed: list, good: list) -> str:
    return f"{failed!r} {good!r}"


def fail_with(errors: dict[int, Exception]):
    def work(item: int) -> int:
        if item in errors:
            raise errors[item]
        return item * 10

    return work


def test_results_are_in_order_whichever_ends_first():
    second = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            second.wait(5)
        else:
            second.set()
        return item

    assert for_each(work, [1, 2], 2, explain) == [1, 2]


def test_the_error_of_an_only_item_is_its_own():
    with pytest.raises(e.GeminiAuthError, match=r"^no key$"):
        for_each(fail_with({1: e.GeminiAuthError("no key")}), [1], 2, explain)


@pytest.mark.parametrize(
    ("errors", "raised"),
    [
        ({1: e.GeminiInputError("a"), 3: e.GeminiServiceError("b")}, e.GeminiServiceError),
        ({1: e.GeminiInputError("a"), 3: e.GeminiFileGoneError("b")}, e.GeminiInputError),
        ({2: e.GeminiRateLimitError("a", 5)}, e.GeminiRateLimitError),
    ],
)
def test_failures_are_permanent_only_together(errors, raised):
    with pytest.raises(e.GeminiFilesError) as failed:
        for_each(fail_with(errors), [1, 2, 3, 4], 2, explain)

    assert type(failed.value) is raised
    good = [item * 10 for item in (1, 2, 3, 4) if item not in errors]
    assert str(failed.value) == f"{list(errors.items())!r} {good!r}"


def test_what_all_would_fail_with_ends_it():
    done = []

    def work(item: int) -> int:
        done.append(item)
        raise e.GeminiStorageFullError("full")

    with pytest.raises(e.GeminiStorageFullError):
        for_each(work, list(range(100)), 1, explain)

    assert done == [0]


def test_an_error_that_is_none_of_ours_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        for_each(lambda item: item // 0, [1, 2], 2, explain)


def test_a_message_does_not_grow_without_bound():
    assert shortened([str(number) for number in range(12)]) == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9 ... and 2 more"
