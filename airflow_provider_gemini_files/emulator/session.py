"""Upload sessions: which bytes are safe, and how a session ended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.faults import Fault
from airflow_provider_gemini_files.emulator.file import KEPT_BYTES
from airflow_provider_gemini_files.emulator.projects import MAX_FILE_BYTES, MAX_KEPT_BYTES, Project

#: Returns the JSON of the response to a finished upload.
Result = Callable[[], dict[str, Any]]


@dataclass
class Upload:
    """
    An upload session.

    :param mime_type: type of the file.
    :param declared_size: size in bytes from the start request; None if it gave none.
    :param expires: end of the session in seconds since the epoch.
    :param complete: called once with the whole upload; returns the result that is repeated from then on.
    :param received: bytes that are safe.
    :param content: the first bytes, for the models to read.
    :param status: ``active``, ``final``, ``cancelled`` or ``terminated``.
    :param rejection: the error that ended the session, repeated from then on.
    :param intake: the request that is sending bytes.
    :param fault: the fault of the request that completes the upload.
    """

    id: str
    project: Project
    mime_type: str
    display_name: str | None
    declared_size: int | None
    expires: float
    complete: Callable[[Upload], Result]
    received: int = 0
    hasher: Any = field(default_factory=hashlib.sha256)
    content: bytearray = field(default_factory=bytearray)
    status: str = "active"
    result: Result | None = None
    rejection: errors.ServiceError | None = None
    intake: Intake | None = None
    fault: Fault | None = None

    @property
    def kept_bytes(self) -> int:
        """Return how many of the first bytes are kept: for JSON, all that a project can keep, as batches read it."""
        return MAX_KEPT_BYTES if "json" in self.mime_type else KEPT_BYTES

    def terminate(self) -> None:
        """End the session; nothing can continue it."""
        self.status = "terminated"
        self.intake = None


class Intake:
    """
    The bytes of one request; they join the upload when they are safe.

    A newer request takes the session over: bytes that an older, broken request still delivers are dropped.

    :param granularity: in bytes; partial chunks are kept in multiples of it.
    :param keep_partial: whether bytes before a break are kept.
    """

    def __init__(self, upload: Upload, granularity: int, *, keep_partial: bool) -> None:
        self._upload = upload
        self._granularity = granularity
        self._keep_partial = keep_partial
        self._received = upload.received
        self._hasher = upload.hasher.copy()
        self._content = bytearray()
        upload.intake = self

    def take(self, data: bytes) -> None:
        """
        Take the next bytes; if partial chunks are kept, they become safe at each granularity boundary.

        :raises ServiceError: for more bytes than declared or allowed, or after another request has taken over.
        """
        limit = MAX_FILE_BYTES if self._upload.declared_size is None else self._upload.declared_size
        if self._received + len(data) > limit:
            self._refuse(len(data), limit)
        view = memoryview(data)
        while view:
            part = view[: self._granularity - self._received % self._granularity]
            view = view[len(part) :]
            self._hasher.update(part)
            self._received += len(part)
            space = self._upload.kept_bytes - len(self._upload.content) - len(self._content)
            if space > 0:
                self._content += part[:space]
            if self._keep_partial and self._received % self._granularity == 0:
                self._commit()

    def finish(self, *, last: bool) -> None:
        """
        End the request; all its bytes are safe then.

        :raises TextError: 400 for a chunk that is neither the last nor a multiple of the granularity.
        """
        if not last and self._received % self._granularity:
            raise errors.TextError(400, f"Chunk size must be a multiple of {self._granularity} bytes.", "active")
        self._commit()
        self._upload.intake = None

    def _commit(self) -> None:
        upload = self._upload
        if upload.intake is not self:
            raise errors.TextError(409, "Another request has taken this upload over.")
        upload.received = self._received
        upload.hasher = self._hasher.copy()
        if self._content:
            upload.content += self._content
            self._content.clear()

    def _refuse(self, more: int, limit: int) -> None:
        if self._upload.declared_size is not None:
            raise errors.TextError(400, f"Upload has more than the {limit} bytes that were declared.", "active")
        self._upload.terminate()
        raise errors.too_large(self._received + more, limit)
