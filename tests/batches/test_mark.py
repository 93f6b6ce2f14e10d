"""The display name of a job, and the files that jobs need by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.batches.job import ENDED, BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark, files_in_use
from airflow_provider_gemini_files.common.limits import MAX_DISPLAY_NAME
from airflow_provider_gemini_files.files.in_use import FilesInUse
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile

OWNER = Owner("invoices", "manual__2026-01-01T00:00:00+00:00", "extract", 3, "here")
RUN = ("here", "invoices", OWNER.run_id)
PRINT = "0123456789abcdef01234567"
INPUT = "files/afinput"
CREATED = "2026-01-01T12:00:00Z"
NOON = 1767268800.0
OLD = GeminiFile("files/old", create_time="2026-01-01T11:59:59Z")


def mark(**fields) -> BatchMark:
    return BatchMark(
        **{"fingerprint": PRINT, "owner": OWNER, "input": INPUT, "files": ("files/a", "files/b-1"), **fields}
    )


def job(display_name: str | None, state: str = "RUNNING", create_time: str | None = CREATED) -> BatchJob:
    return BatchJob("batches/x", state, display_name=display_name, create_time=create_time)


class TestRoundTrip:
    def test_name_is_readable(self):
        assert mark().display_name("extract (3 requests)") == (
            f"extract (3 requests) [batch {PRINT} input=afinput files=a,b-1]"
            " [airflow in=here dag=invoices run=manual__2026-01-01T00:00:00+00:00 task=extract map=3]"
        )

    @pytest.mark.parametrize(
        "one",
        [
            mark(),
            mark(files=()),
            mark(files=None),
            mark(owner=None),
            mark(files=None, of_run=True),
            mark(owner=Owner("a dag", "a [run]", "täsk")),
        ],
    )
    @pytest.mark.parametrize("label", ["extract", "", "a [batch of] invoices", "ü" * 500])
    def test_mark_is_read_back(self, one, label):
        name = one.display_name(label)

        assert BatchMark.parse(name) == one
        assert len(name) <= MAX_DISPLAY_NAME

    def test_files_of_the_run_are_not_listed(self):
        name = mark(of_run=True).display_name("extract")

        assert "files=run]" in name
        assert BatchMark.parse(name) == mark(files=None, of_run=True)

    def test_long_label_is_cut(self):
        assert mark().display_name("x" * 40).startswith("x" * 40 + " [batch ")
        assert mark().display_name("x" * 41).startswith("x" * 39 + "… [batch ")

    @given(st.integers(0, 300), st.booleans())
    def test_name_that_the_service_has_shortened_identifies_its_job_and_never_lies(self, length, of_run):
        whole = mark(of_run=of_run)
        name = whole.display_name("x" * 500)

        read = BatchMark.parse(name[:length])

        # "xxx… [batch 0123…" is enough.
        assert (read is not None) is (length >= 40 + len(" [batch ") + 24)
        if read:
            assert read.fingerprint == PRINT
            assert (read.input, read.files) in [(None, None), (INPUT, None if of_run else whole.files)]
            assert read.owner in (OWNER, None)
            assert read.of_run is (of_run and read.owner is not None)

    @pytest.mark.parametrize(
        "name", [None, "", "films", f"films [batch {PRINT[:-1]} input=a files=b]", f"[batch {PRINT} input=a files=b]"]
    )
    def test_other_names_have_no_mark(self, name):
        assert BatchMark.parse(name) is None

    @given(st.lists(st.text("abc123", min_size=1, max_size=40), max_size=60), st.text(max_size=700), st.booleans())
    def test_name_never_exceeds_the_limit_and_never_lies(self, files, text, of_run):
        owner = Owner(text[:200] or "d", text[200:400] or "r", text[400:] or "t")
        given_mark = mark(owner=owner, files=tuple(f"files/{one}" for one in files), of_run=of_run)

        name = given_mark.display_name(text)

        read = BatchMark.parse(name)
        assert len(name) <= MAX_DISPLAY_NAME
        assert (read.fingerprint, read.input) == (PRINT, INPUT)
        assert read.owner in (owner, None)
        assert read.files in (given_mark.files, None)
        assert not read.of_run or (of_run and read.owner == owner)


class TestWhatDoesNotFit:
    MANY = tuple(f"files/{number:040}" for number in range(20))

    def test_list_of_many_files_is_left_out_first(self):
        assert BatchMark.parse(mark(files=self.MANY).display_name("extract")) == mark(files=None)

    def test_owner_that_is_too_long_is_left_out_next(self):
        long = Owner("d" * 250, "r" * 250, "t")

        assert BatchMark.parse(mark(owner=long).display_name("extract")) == mark(owner=None, files=None)
        assert BatchMark.parse(mark(owner=long, of_run=True).display_name("extract")) == mark(owner=None, files=None)


class TestFilesInUse:
    def test_listed_files_and_the_requests_are_in_use(self):
        found = files_in_use([job(mark().display_name("x"))])

        assert found == FilesInUse(frozenset({INPUT, "files/a", "files/b-1"}))

    def test_job_without_files_needs_its_requests_alone(self):
        assert files_in_use([job(mark(files=()).display_name("x"))]) == FilesInUse(frozenset({INPUT}))

    def test_files_of_the_run_are_in_use(self):
        found = files_in_use([job(mark(of_run=True).display_name("x"))])

        assert found == FilesInUse(frozenset({INPUT}), frozenset({RUN}))

    @pytest.mark.parametrize("name", [None, "films"])
    def test_job_of_another_tool_may_need_all_older_files(self, name):
        found = files_in_use([job(name)])

        assert found.before == NOON
        assert found.reason(OLD) == (
            "batches/x has not ended, is younger than the file, and does not say which files it needs"
        )
        assert not found.is_certain(OLD)
        assert found.reason(GeminiFile("files/new", create_time=CREATED)) is None
        assert found.reason(GeminiFile("files/unknown")) is not None

    @pytest.mark.parametrize("name", [mark(files=None).display_name("x"), f"x [batch {PRINT} inp"])
    def test_job_of_this_package_without_space_for_its_files_needs_all_older_ones(self, name):
        found = files_in_use([job(name), job("films", create_time="2026-01-01T10:00:00Z")])

        assert (found.before, found.certain_before) == (NOON, NOON)
        assert found.is_certain(OLD)
        assert found.reason(OLD) == "a batch job that has not ended needs it"
        assert not found.is_certain(GeminiFile("files/new", create_time=CREATED))
        assert found.reason(GeminiFile("files/new", create_time=CREATED)) is None

    @pytest.mark.parametrize("time", [None, "yesterday"])
    def test_job_of_unknown_age_may_need_every_file(self, time):
        found = files_in_use([job("films", create_time=time)])

        assert found.reason(GeminiFile("files/new", create_time="2126-01-01T00:00:00Z")) is not None

    @pytest.mark.parametrize("state", sorted(ENDED))
    def test_job_that_has_ended_needs_nothing(self, state):
        jobs = [job(name, state) for name in (None, mark().display_name("x"))]

        assert files_in_use(jobs) == FilesInUse()

    @pytest.mark.parametrize("state", ["PENDING", "RUNNING", "STATE_UNSPECIFIED", "SOMETHING_NEW"])
    def test_job_in_any_other_state_needs_its_files(self, state):
        assert files_in_use([job(mark().display_name("x"), state)]).names == {INPUT, "files/a", "files/b-1"}

    def test_jobs_add_up(self):
        found = files_in_use(
            [
                job(mark(files=("files/a",)).display_name("x")),
                job(None, create_time="2026-01-01T10:00:00Z"),
                job(mark(of_run=True, input="files/other").display_name("x")),
                job("films"),
            ]
        )

        assert found.names == {INPUT, "files/a", "files/other"}
        assert found.runs == {RUN}
        assert (found.before, found.certain_before) == (NOON, float("-inf"))

    def test_no_jobs_need_nothing(self):
        assert files_in_use([]) == FilesInUse()
