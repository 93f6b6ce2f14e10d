"""What the page shows of one file when its row is opened."""

from __future__ import annotations

from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.ui.details import details_of

FILE = GeminiFile(
    name="files/a",
    uri="https://example.test/v1beta/files/a?key=secret",
    sha256="0" * 64,
    display_name="a.txt [airflow in=berlin dag=d run=r task=t]",
    create_time="2026-11-30T12:00:00Z",
)


def job(name: str, files: tuple[str, ...], state: str = "RUNNING") -> BatchJob:
    mark = BatchMark("0123456789abcdef01234567", Owner("d", "r", "t"), "files/input", files)
    return BatchJob(name=name, state=state, display_name=mark.display_name("label"))


def test_details_have_what_the_row_does_not_have():
    assert details_of(FILE, []) == {
        "name": "files/a",
        "display_name": FILE.display_name,
        "uri": "https://example.test/v1beta/files/a",
        "sha256": "0" * 64,
        "deployment": "berlin",
        "jobs": [],
    }


def test_jobs_that_say_that_they_read_the_file_are_named():
    jobs = [job("batches/reads", ("files/a",)), job("batches/other", ("files/b",))]
    ended = job("batches/ended", ("files/a",), state="SUCCEEDED")

    assert details_of(FILE, [*jobs, ended])["jobs"] == ["batches/reads"]


def test_unknown_jobs_are_not_taken_for_none():
    assert details_of(FILE, None)["jobs"] is None
