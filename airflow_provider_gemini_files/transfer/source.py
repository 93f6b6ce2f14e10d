"""A source: something that was found and can be uploaded."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_gemini_files.common.limits import MAX_FILE_BYTES
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.reference import UploadedFrom
from airflow_provider_gemini_files.transfer.object_storage import storage_errors

_SKIP_BLOCK = 256 * 1024


class Readable(Protocol):
    """An open source."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""

    def close(self) -> None:
        """Close it."""


@dataclass(frozen=True)
class Source:
    """
    Something that can be uploaded: found, readable, not empty and not too large.

    :param uri: absolute path or URI that can be shown: without a user, password or query.
    :param name: last part of the path, as text that can be shown.
    :param size: bytes.
    :param fingerprint: changes when the source does; nothing is read for it.
    :param open: opens the source at an offset.
    :param origin: what a later task needs to find it again, None if nothing helps.
    :param current: returns the fingerprint as it is now; None if the source cannot change.
    """

    uri: str
    name: str
    size: int
    fingerprint: tuple[str, ...]
    open: Callable[[int], Readable]
    origin: UploadedFrom | None = None
    current: Callable[[], tuple[str, ...]] | None = None


def bytes_source(data: bytes, name: str) -> Source:
    """
    Return a source of bytes in memory.

    :param name: a file name; its suffix tells the MIME type.
    :raises GeminiInputError: if there are none, or too many.
    """

    def open_at(offset: int) -> Readable:
        stream = io.BytesIO(data)
        stream.seek(offset)
        return stream

    digest = hashlib.sha256(data).hexdigest()
    return checked_size(Source(uri=name, name=name, size=len(data), fingerprint=("bytes", name, digest), open=open_at))


def source_errors(source: Source) -> AbstractContextManager[None]:
    """Raise the errors of our tree while a source is read: see :func:`storage_errors`."""
    return storage_errors(source.uri, conn_id=source.origin.conn_id if source.origin else None)


def checked_size(source: Source) -> Source:
    """
    Return the source.

    :raises GeminiInputError: if it is empty or larger than a Gemini file can be.
    """
    if source.size == 0:
        raise GeminiInputError(f"Source {source.uri!r} is empty; the service does not accept a file of 0 bytes.")
    if source.size > MAX_FILE_BYTES:
        limit = human_bytes(MAX_FILE_BYTES)
        raise GeminiInputError(
            f"Source {source.uri!r} has {human_bytes(source.size)}; a Gemini file has at most {limit}."
        )
    return source


def skip(stream: Readable, count: int) -> None:
    """Read and discard bytes: ``count``, or fewer if the stream ends before."""
    while count > 0 and (data := stream.read(min(count, _SKIP_BLOCK))):
        count -= len(data)
