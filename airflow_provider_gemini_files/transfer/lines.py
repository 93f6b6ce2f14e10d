"""The lines of a source, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.transfer.source import Readable, Source, source_errors

_BLOCK = 1024**2
#: Bytes of one line; a request of a batch has at most 20 MB of inline data.
_MAX_LINE = 64 * 1024**2


def lines_of(source: Source) -> Iterator[bytes]:
    """
    Yield the lines of a source without their ends.

    :raises GeminiInputError: if one is so long that the source is hardly a file of lines, or the source cannot be read.
    :raises GeminiServiceError: if its storage fails.
    """
    with source_errors(source):
        stream = source.open(0)
    rest = b""
    try:
        while block := _block(stream, source):
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
            if len(rest) > _MAX_LINE:
                raise GeminiInputError(
                    f"Source {source.uri!r} has a line of more than {human_bytes(_MAX_LINE)}: it must have one JSON "
                    "object on each line."
                )
    finally:
        stream.close()
    if rest:
        yield rest


def _block(stream: Readable, source: Source) -> bytes:
    with source_errors(source):
        return stream.read(_BLOCK)
