"""The lines of a source."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transfer_store import ObjectStorage

from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.transfer import lines
from airflow_provider_gemini_files.transfer.lines import lines_of
from airflow_provider_gemini_files.transfer.source import Source, bytes_source
from airflow_provider_gemini_files.transfer.sources import find_source


def source(data: bytes) -> Source:
    return bytes_source(data, "in.jsonl")


class Stream(io.BytesIO):
    """A stream that fails at some byte."""

    fails_at = 10**9

    def read(self, size: int = -1, /) -> bytes:
        if self.tell() >= self.fails_at:
            raise OSError("reset by peer")
        return super().read(size)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK", 4)
    monkeypatch.setattr(lines, "_MAX_LINE", 10)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"one\ntwo\n", [b"one", b"two"]),
        (b"one\ntwo", [b"one", b"two"]),
        (b"\n\none\n\n", [b"", b"", b"one", b""]),
        (b"one\r\ntwo\r\n", [b"one\r", b"two\r"]),
        ("ü\u2028ü\n".encode(), ["ü\u2028ü".encode()]),
    ],
)
def test_lines_come_without_their_ends(data, expected):
    assert list(lines_of(source(data))) == expected


@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b".")), min_size=1, max_size=8))
def test_lines_are_joined_over_blocks(parts):
    data = b"\n".join(parts) + b"\n"
    blocks = pytest.MonkeyPatch()
    blocks.setattr(lines, "_BLOCK", 4)

    try:
        assert list(lines_of(source(data))) == parts
    finally:
        blocks.undo()


def test_source_is_closed_at_the_end_and_after_an_error(small_blocks):
    opened: list[Stream] = []

    def open_at(_: int) -> Stream:
        opened.append(Stream(b"one\ntwo\n" + b"x" * 50))
        return opened[-1]

    one = replace(source(b"?"), open=open_at)
    with pytest.raises(GeminiInputError):
        list(lines_of(one))
    begun = lines_of(one)
    next(begun)
    begun.close()

    assert [stream.closed for stream in opened] == [True, True]


def test_source_that_is_hardly_a_file_of_lines_is_refused(small_blocks):
    with pytest.raises(
        GeminiInputError, match=r"Source 'in.jsonl' has a line of more than 10 B: it must have one JSON"
    ):
        list(lines_of(source(b"one\n" + b"x" * 100)))


def test_source_that_is_gone_is_an_input_error(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("one\n")
    found = find_source(path)
    path.unlink()

    with pytest.raises(GeminiInputError, match=r"in.jsonl' does not exist"):
        list(lines_of(found))


def test_failing_storage_is_worth_a_retry():
    storage = ObjectStorage()
    storage.put(**{"in.jsonl": b"one\n"})
    found = find_source(storage.uri("in.jsonl"))
    storage.failure = OSError("reset by peer")

    with pytest.raises(GeminiServiceError, match=r"in.jsonl' .connection .*: its storage failed .OSError: reset"):
        list(lines_of(found))


def test_storage_that_fails_within_the_source_is_worth_a_retry(small_blocks):
    stream = Stream(b"one\ntwo\n")
    stream.fails_at = 4

    with pytest.raises(GeminiServiceError, match=r"in.jsonl': its storage failed .OSError: reset by peer"):
        list(lines_of(replace(source(b"?"), open=lambda _: stream)))
