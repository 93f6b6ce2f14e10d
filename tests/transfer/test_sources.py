from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.transfer.sources import expand, find_source, is_many_sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.txt", "c.pdf", ".hidden"):
        (tmp_path / name).write_text(name)
    (tmp_path / "below").mkdir()
    return tmp_path


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_source_is_found_with_its_size_and_bytes(folder, form):
    source = find_source(form.format(folder / "a.txt"))

    assert (source.name, source.size) == ("a.txt", 5)
    with contextlib.closing(source.open(2)) as stream:
        assert stream.read(10) == b"txt"


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_the_fingerprint_changes_with_the_source(folder, form):
    where = form.format(folder / "a.txt")
    before = find_source(where).fingerprint
    assert find_source(where).fingerprint == before

    os.utime(folder / "a.txt", (1, 1))

    assert find_source(where).fingerprint != before


@pytest.mark.parametrize("form", ["{}", "file://{}"])
@pytest.mark.parametrize(
    ("name", "says"), [("none.txt", "cannot be read on this worker|does not exist"), ("below", "directory")]
)
def test_what_is_no_file_is_refused(folder, form, name, says):
    with pytest.raises(GeminiInputError, match=f"(?i){says}"):
        find_source(form.format(folder / name))


def test_an_empty_source_is_refused(tmp_path):
    (tmp_path / "empty").touch()

    with pytest.raises(GeminiInputError, match="is empty"):
        find_source(tmp_path / "empty")


def test_a_source_over_two_gib_is_refused(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2 * 1024**3 + 1)

    with pytest.raises(GeminiInputError, match=r"at most 2\.0 GiB"):
        find_source(tmp_path / "large")


def test_a_scheme_without_file_system_says_what_to_install():
    with pytest.raises(GeminiInputError, match="no file system for gs://"):
        find_source("gs://bucket/object")


def test_a_list_a_folder_and_a_glob_stand_for_their_files(folder):
    a, b, c = (str(folder / name) for name in ("a.txt", "b.txt", "c.pdf"))

    assert expand([b, a]) == [b, a]
    assert expand(str(folder)) == [a, b, c]
    assert expand(str(folder / "*.txt")) == [a, b]
    assert expand([str(folder / "*.pdf"), a]) == [c, a]


def test_a_folder_and_a_glob_of_object_storage_stand_for_their_files(folder):
    a, b, c = (f"file://{folder / name}" for name in ("a.txt", "b.txt", "c.pdf"))

    assert set(expand(f"file://{folder}/")) >= {a, b, c}
    assert expand(f"file://{folder}/*.txt") == [a, b]


@pytest.mark.parametrize("source", [[], "none*.txt"])
def test_nothing_is_an_error(source):
    with pytest.raises(GeminiInputError, match="No file matches"):
        expand(source)


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
    (tmp_path / "a[1].txt").write_text("x")
    where = str(tmp_path / "a[1].txt")

    assert not is_many_sources(where)
    assert expand(where) == [where]
