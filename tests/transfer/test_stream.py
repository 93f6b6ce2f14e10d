"""What is read of a source before it is sent."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.files.signatures import HEAD_BYTES
from airflow_provider_gemini_files.transfer.source import Source, bytes_source
from airflow_provider_gemini_files.transfer.stream import TEXT_BYTES, head_of
from airflow_provider_gemini_files.transfer.upload import Upload


class Trickle(io.BytesIO):
    """A stream that returns at most a thousand bytes at a time, as one of the web may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1000 if size is None or size < 0 else min(size, 1000))


def source_of(data: bytes) -> Source:
    return replace(bytes_source(data, "a.txt"), open=lambda offset: Trickle(data))


@pytest.mark.parametrize(
    ("data", "count"),
    [(b"\xff" * 20_000, HEAD_BYTES), (b"x" * 20_000, 20_000), (b"x" * (TEXT_BYTES + 5), TEXT_BYTES)],
    ids=["media", "text", "long text"],
)
def test_more_is_read_of_a_text_than_of_media(data, count):
    assert head_of(source_of(data)) == data[:count]


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (FileNotFoundError("x"), GeminiInputError, "does not exist"),
        (PermissionError("x"), GeminiInputError, "permission denied"),
        (TimeoutError("x"), GeminiServiceError, "its storage failed"),
    ],
)
def test_only_an_error_that_can_pass_is_worth_a_retry(error, kind, told):
    def failing(offset: int) -> Trickle:
        raise error

    with pytest.raises(kind, match=rf"'a\.txt':? {told}"):
        head_of(replace(bytes_source(b"x", "a.txt"), open=failing))


def test_text_that_is_not_utf_8_is_refused_before_anything_is_sent():
    with pytest.raises(GeminiInputError, match="looks like text in Latin-1"):
        Upload(source_of(b"x" * 1_000_000 + "größer".encode("latin-1"))).settled()
