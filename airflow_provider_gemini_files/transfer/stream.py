"""A source as a stream to send: read from any offset, each byte hashed once."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiPermanentError, GeminiServiceError
from airflow_provider_gemini_files.files.signatures import HEAD_BYTES, is_text
from airflow_provider_gemini_files.transfer.source import Readable, Source, source_errors

T = TypeVar("T")
#: Bytes of one read: large enough that Python's and the system calls' share of the time is small beside hashing.
READ_BYTES = 1024**2
#: Bytes of a text that are read to find out whether it is UTF-8: about as much as a model takes.
TEXT_BYTES = 4 * 1024**2


class SourceBrokenError(Exception):
    """Reading the source failed; another attempt may succeed."""


class HashedStream:
    """
    The bytes of a source, hashed once even if parts of it are read several times.

    :param on_progress: called with the number of bytes that were read for the first time.
    """

    def __init__(self, source: Source, on_progress: Callable[[int], None]) -> None:
        self._source = source
        self._on_progress = on_progress
        self._digest = hashlib.sha256()
        self._hashed = 0
        #: Bytes yielded so far; those yielded twice count twice.
        self.sent = 0

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """
        Yield ``length`` bytes from an offset on.

        Earlier bytes that an earlier attempt has sent, and this one has not read, are read first and hashed.

        :raises GeminiInputError: if the source has become shorter.
        :raises SourceBrokenError: if it cannot be read.
        """
        position, end = min(offset, self._hashed), offset + length
        if position == end:
            return
        with contextlib.closing(self._guard(lambda: self._source.open(position))) as stream:
            while position < end:
                # Never across the offset, so that no block has to be cut.
                wanted = min(READ_BYTES, (offset if position < offset else end) - position)
                data = self._guard(lambda size=wanted: stream.read(size))  # type: ignore[misc]
                if not data:
                    raise self._too_short(position)
                self._hash(position, data)
                if position >= offset:
                    self.sent += len(data)
                    yield data
                position += len(data)

    def sha256(self) -> str:
        """
        Return the hex digest of the whole source.

        Bytes that an earlier attempt has sent, and this one has not read, are read now.
        """
        for _ in self.read(self._source.size, 0):
            continue
        return self._digest.hexdigest()

    def _hash(self, position: int, data: bytes) -> None:
        end = position + len(data)
        if end > self._hashed:
            self._digest.update(memoryview(data)[self._hashed - position :])
            self._on_progress(end - self._hashed)
            self._hashed = end

    def _guard(self, read: Callable[[], T]) -> T:
        """Read, and turn a file system's own exceptions into SourceBrokenError."""
        try:
            return read()
        except GeminiPermanentError:
            raise
        except Exception as error:
            raise SourceBrokenError(f"reading {self._source.uri}: {type(error).__name__}: {error}") from error

    def _too_short(self, position: int) -> GeminiInputError:
        return GeminiInputError(
            f"Source {self._source.uri!r} became shorter while it was read: it ends after {position} of "
            f"{self._source.size} bytes. Upload it when no other process writes to it."
        )


def sha256_of(source: Source) -> str:
    """
    Read a source to its end, and return its hex digest.

    :raises SourceBrokenError: if it cannot be read.
    """
    return HashedStream(source, lambda _: None).sha256()


def read_all(source: Source) -> bytes:
    """
    Return all bytes of a source that fits into memory.

    :raises GeminiInputError: if it has changed since it was found.
    :raises GeminiServiceError: if reading it fails; another attempt may succeed.
    """
    try:
        data = b"".join(HashedStream(source, lambda _: None).read(0, source.size))
    except SourceBrokenError as error:
        raise GeminiServiceError(f"Source {source.uri!r} cannot be read: {error}. A retry reads it again.") from error
    if source.current is not None and source.current() != source.fingerprint:
        raise GeminiInputError(
            f"Source {source.uri!r} changed while it was read: clear the task to send the new version."
        )
    return data


def head_of(source: Source) -> bytes:
    """
    Read the first bytes of a source, enough to detect its type: 8 KiB, or 4 MiB if these are text.

    :raises GeminiInputError: if it does not exist, or may not be read.
    :raises GeminiServiceError: if reading it fails; another attempt may succeed.
    """
    with source_errors(source), contextlib.closing(source.open(0)) as stream:
        head = _read(stream, HEAD_BYTES)
        return head + _read(stream, TEXT_BYTES - HEAD_BYTES) if is_text(head) else head


def _read(stream: Readable, size: int) -> bytes:
    """Read ``size`` bytes, or fewer at the end; one read of a stream may return only some of them."""
    blocks = []
    while size > 0 and (data := stream.read(min(size, READ_BYTES))):
        blocks.append(data)
        size -= len(data)
    return b"".join(blocks)
