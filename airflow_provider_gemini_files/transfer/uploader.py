"""The one driver of an upload session: it sends what the session says, straight from the source."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import httpx

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.transfer.session import UploadSession
from airflow_provider_gemini_files.transfer.sources import Source

_READ_BYTES = 256 * 1024

# Its debug lines repeat the headers of answers, and in them the session's URL, before anyone can mask it.
logging.getLogger("httpcore").setLevel(logging.INFO)


@dataclass(frozen=True)
class Uploaded:
    """The File resource the service answered, and the sha256 (hex) of the bytes that were sent."""

    resource: dict[str, Any]
    sha256: str


def send(
    session: UploadSession,
    source: Source,
    *,
    timeout: float,
    on_url: Callable[[str], None],
    on_progress: Callable[[int], None],
) -> Uploaded:
    """
    Drive a session to its end.

    :param timeout: seconds without any progress on the line.
    :param on_url: told the session's URL, which is a capability, before it is used.
    :param on_progress: told the bytes sent so far.
    :raises GeminiFilesError: as the session does.
    """
    with httpx.Client(timeout=timeout) as client, source.open() as stream:
        content = _HashedStream(stream, source, on_progress)
        while session.resource is None:
            time.sleep(session.delay)
            request = session.next_request()
            body = request.content if request.offset is None else content.read_from(request.offset)
            try:
                answer = client.post(request.url, headers=request.headers, content=body)
            except httpx.TransportError as error:
                session.broken(error)
                continue
            known = session.url
            session.answered(answer.status_code, answer.headers, answer.content)
            if session.url and session.url != known:
                on_url(session.url)
        return Uploaded(session.resource, content.sha256())


class _HashedStream:
    """A source read forward, possibly several times over parts of it, and hashed once."""

    def __init__(self, stream: BinaryIO, source: Source, on_progress: Callable[[int], None]) -> None:
        self._stream = stream
        self._source = source
        self._on_progress = on_progress
        self._digest = hashlib.sha256()
        self._hashed = 0

    def read_from(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from an offset to the end that was declared."""
        self._stream.seek(offset)
        while offset < self._source.size:
            data = self._stream.read(min(_READ_BYTES, self._source.size - offset))
            if not data:
                raise GeminiInputError(
                    f"Source {self._source.uri!r} became shorter while it was read: it ends at {offset} of "
                    f"{self._source.size} bytes. Upload it when nothing writes to it."
                )
            self._hash(offset, data)
            offset += len(data)
            self._on_progress(offset)
            yield data

    def sha256(self) -> str:
        """Return the hex digest of what was read."""
        return self._digest.hexdigest()

    def _hash(self, offset: int, data: bytes) -> None:
        if offset + len(data) > self._hashed:
            self._digest.update(memoryview(data)[self._hashed - offset :])
            self._hashed = offset + len(data)
