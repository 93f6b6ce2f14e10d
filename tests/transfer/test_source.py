from __future__ import annotations

import contextlib
import io

import pytest

from airflow_provider_gemini_files.common.limits import MAX_FILE_BYTES
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.transfer.source import Source, bytes_source, checked_size, skip


def source_of(size: int) -> Source:
    return Source("/data/a.txt", "a.txt", size, ("1",), lambda offset: io.BytesIO())


def test_bytes_are_a_source_that_can_be_opened_anywhere():
    source = bytes_source(b"hello", "a.txt")

    assert (source.uri, source.name, source.size, source.origin) == ("a.txt", "a.txt", 5, None)
    with contextlib.closing(source.open(3)) as stream:
        assert stream.read(10) == b"lo"


def test_fingerprint_of_bytes_depends_on_name_and_content():
    fingerprints = {bytes_source(data, name).fingerprint for data in (b"x", b"y") for name in ("a.txt", "b.txt")}

    assert len(fingerprints) == 4
    assert bytes_source(b"x", "a.txt").fingerprint in fingerprints


def test_no_bytes_are_refused():
    with pytest.raises(GeminiInputError, match=r"'a\.txt' is empty"):
        bytes_source(b"", "a.txt")


def test_largest_file_is_accepted_and_one_byte_more_is_not():
    assert checked_size(source_of(MAX_FILE_BYTES)).size == MAX_FILE_BYTES
    with pytest.raises(GeminiInputError, match=r"has 2\.0 GiB; a Gemini file has at most 2\.0 GiB"):
        checked_size(source_of(MAX_FILE_BYTES + 1))


@pytest.mark.parametrize(("count", "rest"), [(0, b"hello"), (3, b"lo"), (5, b""), (9, b"")])
def test_skipped_bytes_are_not_read_again(count, rest):
    stream = io.BytesIO(b"hello")

    skip(stream, count)

    assert stream.read() == rest
