"""The choice between reading the list and getting each file, against a project's list in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.common.lookup import Lookup
from airflow_provider_gemini_files.files.reference import GeminiFile

PER_PAGE = 3


def files(*numbers: int) -> list[GeminiFile]:
    return [GeminiFile(f"files/f{number}") for number in numbers]


def names(*numbers: int) -> list[str]:
    return [file.name for file in files(*numbers)]


def pages_of(count: int) -> list[list[GeminiFile]]:
    """Return the list of a project with so many files; an empty list has one page, too."""
    return [files(*range(first, min(first + PER_PAGE, count))) for first in range(0, max(count, 1), PER_PAGE)]


def read(lookup: Lookup, pages: list[list[GeminiFile]]) -> tuple[list[str], int]:
    """Return the names that the list has shown, and the pages that it took."""
    found: list[str] = []
    count = 0
    while lookup.wants_page():
        found += [file.name for file in lookup.page_read(pages[count], is_last=count == len(pages) - 1)]
        count += 1
    return found, count


def test_single_file_is_gotten_by_its_name():
    lookup = Lookup(names(1))

    assert read(lookup, pages_of(3)) == ([], 0)
    assert lookup.missing == names(1)


def test_several_files_are_read_from_the_list():
    lookup = Lookup(names(1, 0))

    assert read(lookup, pages_of(3)) == (names(0, 1), 1)
    assert lookup.missing == []


def test_file_that_is_not_in_the_list_is_left_to_be_gotten():
    lookup = Lookup([*names(0, 1), "files/gone"])

    read(lookup, pages_of(3))

    assert lookup.missing == ["files/gone"]


def test_file_that_was_gotten_is_not_missing_any_more():
    lookup = Lookup(names(1, 2))

    lookup.gotten("files/f1")

    assert lookup.missing == names(2)


def test_repeated_name_is_looked_up_once():
    assert Lookup([*names(1), *names(1)]).missing == names(1)


def test_list_is_not_read_beyond_the_page_with_the_last_file():
    assert read(Lookup(names(0, 1, 2)), pages_of(30)) == (names(0, 1, 2), 1)


def test_list_is_given_up_once_it_has_taken_as_many_calls_as_getting_each_file():
    lookup = Lookup(names(28, 29))

    assert read(lookup, pages_of(30)) == ([], 2)
    assert lookup.missing == names(28, 29)


def test_next_lookup_does_not_try_a_list_that_is_known_to_be_too_long():
    first = Lookup(names(28, 29))
    read(first, pages_of(30))

    assert not Lookup(names(28, 29), first.pages).wants_page()


def test_next_lookup_of_more_files_than_pages_reads_the_list_again():
    first = Lookup(names(28, 29))
    read(first, pages_of(30))

    assert Lookup(names(26, 27, 28, 29), first.pages).wants_page()


@pytest.mark.parametrize("count", [0, 1])
def test_list_of_one_page_is_known_as_such(count):
    lookup = Lookup(names(0, 1, 2))

    read(lookup, pages_of(count))

    assert lookup.pages == 1


def test_nothing_to_look_up_takes_no_call():
    lookup = Lookup([])

    assert not lookup.wants_page()
    assert lookup.missing == []


@given(
    wanted=st.lists(st.integers(0, 40), max_size=15, unique=True),
    count=st.integers(0, 40),
    pages=st.integers(1, 20),
)
def test_lookup_finds_or_leaves_each_file_with_at_most_twice_the_calls_of_getting_each(wanted, count, pages):
    lookup = Lookup(names(*wanted), pages)

    found, calls = read(lookup, pages_of(count))

    assert sorted(found + lookup.missing) == sorted(names(*wanted))
    assert calls + len(lookup.missing) <= 2 * len(wanted)
