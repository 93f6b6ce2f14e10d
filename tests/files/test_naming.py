from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.common.redaction import escaped
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.naming import (
    Owner,
    display_name_for,
    is_shared,
    label_of,
    new_file_name,
    run_file_name,
    shared_file_name,
    slots_of,
)

IDS = st.text(min_size=1, max_size=80).filter(lambda s: not re.search(r"[\ud800-\udfff]", s))
OWNER = Owner("daily", "manual__2026-01-01T00:00:00+00:00", "upload", 3)


@given(owner=st.builds(Owner, IDS, IDS, IDS, st.integers(-1, 10_000)), label=st.text(max_size=60))
def test_owner_is_read_back_from_a_display_name(owner, label):
    name = display_name_for(label, owner)

    assert len(name) <= 512 or Owner.parse(name) is None
    assert Owner.parse(name) in (owner, None)
    if len(owner.mark()) < 400:
        assert Owner.parse(name) == owner
        assert label_of(name) == escaped(label)


def test_owner_is_readable_in_a_display_name():
    assert display_name_for("a.pdf", OWNER) == (
        "a.pdf [airflow dag=daily run=manual__2026-01-01T00:00:00+00:00 task=upload map=3]"
    )


def test_long_label_is_cut_so_that_the_owner_fits():
    name = display_name_for("x" * 512, OWNER)

    assert len(name) == 512
    assert Owner.parse(name) == OWNER


def test_owner_that_does_not_fit_is_left_out():
    assert display_name_for("a.pdf", Owner("d" * 250, "r" * 250, "t" * 250)) == "a.pdf"


def test_label_over_the_limit_is_refused():
    with pytest.raises(GeminiInputError, match="512 characters, got 513"):
        display_name_for("x" * 513, None)


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("a\nb\0", r"a\nb\x00"),
        ("caf\udce9.txt", r"caf\xe9.txt"),
        ("a\ud800b", r"a\ud800b"),
        ("Tür 日本 😀", "Tür 日本 😀"),
    ],
)
def test_label_that_no_database_takes_is_escaped(label, shown):
    assert display_name_for(label, OWNER) == f"{shown}{OWNER.mark()}"
    assert run_file_name("c", OWNER, (label,)) != run_file_name("c", OWNER, (shown, ""))


@pytest.mark.parametrize("owner", [OWNER, None, Owner("d" * 600, "r", "t")])
def test_label_that_has_the_mark_of_another_file_takes_over_no_owner(owner):
    taken = "a.pdf" + Owner("first", "run", "task").mark() + Owner("other", "run", "task", deployment="x").mark()

    assert display_name_for(taken, owner) == display_name_for("a.pdf", owner)
    assert not is_shared(display_name_for(display_name_for("a.pdf", None, shared=True), owner))


def test_shared_file_has_no_owner():
    name = display_name_for("a.pdf", OWNER, shared=True)

    assert name == "a.pdf [airflow shared]"
    assert label_of(name) == "a.pdf"
    assert is_shared(name)
    assert Owner.parse(name) is None


@pytest.mark.parametrize("name", [None, "", "a.pdf", "[airflow shared] a.pdf", display_name_for("a.pdf", OWNER)])
def test_display_name_without_the_mark_is_not_shared(name):
    assert not is_shared(name)


def test_shared_name_differs_by_bytes_type_and_connection():
    names = {
        shared_file_name(*identity)
        for identity in [("c", "0" * 64, "a/b"), ("c", "1" * 64, "a/b"), ("c", "0" * 64, "a/c"), ("d", "0" * 64, "a/b")]
    }

    assert len(names) == 4
    assert all(re.fullmatch(r"files/[a-z0-9]{1,38}", name) for name in names)


def test_successors_have_other_names_within_the_limit():
    assert slots_of("files/a") == ["files/a", "files/ab", "files/ac"]
    assert slots_of("files/" + "a" * 40) == ["files/" + "a" * 40]


def test_new_names_are_unique():
    assert len({new_file_name() for _ in range(100)}) == 100


@pytest.mark.parametrize("name", [None, "", "a.pdf", "a [airflow dag=d]", "[airflow dag=d run=r task=t]x"])
def test_display_name_without_the_mark_has_no_owner(name):
    assert Owner.parse(name) is None


def test_run_name_is_the_same_for_each_attempt_and_valid():
    name = run_file_name("conn", OWNER, ("/a", "1", "2"))

    assert name == run_file_name("conn", OWNER, ("/a", "1", "2"))
    assert re.fullmatch(r"files/[a-z0-9]{1,40}", name)


def test_run_name_differs_by_connection_run_map_index_and_source():
    one = ("conn", OWNER, ("/a", "1", "2"))
    others = [
        ("conn2", OWNER, ("/a", "1", "2")),
        ("conn", Owner("daily", "other", "upload", 3), ("/a", "1", "2")),
        ("conn", Owner("daily", OWNER.run_id, "upload", 4), ("/a", "1", "2")),
        ("conn", OWNER, ("/a", "1", "3")),
        ("conn", OWNER, ("/a1", "", "2")),
    ]

    assert len({run_file_name(*identity) for identity in [one, *others]}) == 6
