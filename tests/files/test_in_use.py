"""Files that batch jobs need, as far as it is known."""

from __future__ import annotations

import pytest

from airflow_provider_gemini_files.files.in_use import FilesInUse, run_of
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile

OWNER = Owner("dag", "run", "task", deployment="here")
KNOWN = "a batch job that has not ended needs it"
NAMED = FilesInUse(frozenset({"files/a"}))
OF_RUN = FilesInUse(runs=frozenset({("here", "dag", "run")}))
#: 2026-01-01.
NOON = 1767268800.0
OLDER = FilesInUse(before=NOON, why="a job may need it")


def file(name: str = "files/a", **fields) -> GeminiFile:
    return GeminiFile(name, **{"state": "ACTIVE", "create_time": "2026-01-01T11:00:00Z", **fields})


@pytest.mark.parametrize(
    ("in_use", "one", "reason"),
    [
        (FilesInUse(), file(), None),
        (FilesInUse(), file(create_time=None), None),
        (NAMED, file(), KNOWN),
        (NAMED, file("files/b"), None),
        (OF_RUN, file(owner=OWNER), KNOWN),
        (OF_RUN, file(owner=Owner("dag", "run", "another", 4, "here")), KNOWN),
        (OF_RUN, file(owner=Owner("dag", "run", "task", deployment="elsewhere")), None),
        (OF_RUN, file(owner=Owner("dag", "run", "task")), None),
        (OF_RUN, file(owner=Owner("dag", "other", "task", deployment="here")), None),
        (OF_RUN, file(), None),
        (OLDER, file(), "a job may need it"),
        (OLDER, file(create_time="2026-01-01T12:00:00Z"), None),
        (OLDER, file(create_time=None), "a job may need it"),
        (FilesInUse.unknown("the list failed"), file(create_time="2126-01-01T12:00:00Z"), "the list failed"),
    ],
)
def test_reason_says_why_a_file_may_be_needed(in_use, one, reason):
    assert in_use.reason(one) == reason


@pytest.mark.parametrize("in_use", [NAMED, OF_RUN, OLDER, FilesInUse.unknown("the list failed")])
def test_failed_file_is_of_no_use_to_a_job(in_use):
    assert in_use.reason(file(owner=OWNER, state="FAILED")) is None


def test_several_jobs_need_the_files_of_each():
    together = FilesInUse.of_all([NAMED, OF_RUN, OLDER, FilesInUse(before=5, certain_before=5, why="an old job")])

    assert together == FilesInUse(NAMED.names, OF_RUN.runs, OLDER.before, 5, OLDER.why)
    assert FilesInUse.of_all([]) == FilesInUse()


def test_jobs_of_other_tools_make_nothing_certain():
    assert NAMED.is_certain(file())
    assert OF_RUN.is_certain(file(owner=OWNER))
    assert not OLDER.is_certain(file())
    assert not FilesInUse.unknown("the list failed").is_certain(file())


@pytest.mark.parametrize(
    ("created", "is_certain"), [("2026-01-01T11:59:59Z", True), ("2026-01-01T12:00:00Z", False), (None, True)]
)
def test_job_of_this_package_that_lists_no_files_needs_all_older_ones(created, is_certain):
    one = file(create_time=created)
    in_use = FilesInUse(before=NOON, certain_before=NOON, why="a job may need it")

    assert in_use.is_certain(one) is is_certain
    assert in_use.reason(one) == (KNOWN if is_certain else None)
    assert not FilesInUse().is_certain(one)


def test_run_includes_its_deployment():
    assert run_of(OWNER) == ("here", "dag", "run")
