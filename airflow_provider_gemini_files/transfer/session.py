"""
The resumable upload as pure logic: it says what to send, is told what came back, and does no I/O itself.

start -> send everything, finalize -> done; and after a broken request: query how far the service got, go on there.
While the line holds, one request carries all the rest. Once a broken one turned out to have kept nothing, the rest goes
in pieces: one granule, and twice as much after each piece that arrived.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiRateLimitError,
    GeminiServiceError,
    GeminiStorageFullError,
)
from airflow_provider_gemini_files.files.answers import error_from_answer

#: Answers to sent bytes after which the service is asked how far it got, instead of giving up.
_ASK_AGAIN = {308, 400, 408, 409, 412, 416, 429}
_MAX_DELAY_SECONDS = 30.0
#: Seconds of waiting, summed up, that an upload which does not move on is given.
MAX_PATIENCE_SECONDS = 600.0
#: Sends in a row of which the service kept nothing, and which end the upload.
MAX_UNCHANGED = 3
#: Bytes that a piece must be a multiple of, where the service does not say: its value in all that was seen.
DEFAULT_GRANULARITY = 8 * 1024**2


@dataclass(frozen=True)
class UploadRequest:
    """
    One request to send: a POST.

    :param offset: where in the source the body starts; None where ``content`` is the body.
    :param length: bytes of the source that are the body.
    """

    url: str
    headers: dict[str, str]
    content: bytes = b""
    offset: int | None = None
    length: int = 0


class UploadSession:
    """
    One file's way to the service.

    Ask :meth:`next_request`, wait ``delay`` seconds, send it, then tell :meth:`answered` or :meth:`broken`; until
    ``resource`` is set.

    :param start_url: ``{host}/upload/{version}/files``.
    :param api_key: sent with the start only; the session's URL authorises the rest.
    :param metadata: the File to create: ``displayName``, and ``name`` where the caller chooses one.
    :param size: bytes of the source.
    :param max_failures: failures in a row, without progress between them, that end the upload.
    :param url: a session that an earlier try has opened; it is asked how far it got, and replaced where it is dead.
    """

    def __init__(
        self,
        *,
        start_url: str,
        api_key: str,
        metadata: Mapping[str, str],
        mime_type: str,
        size: int,
        max_failures: int,
        url: str | None = None,
    ) -> None:
        self.resource: dict[str, Any] | None = None
        self.url = url
        self.delay = 0.0
        self.resumes = 0
        self._start = UploadRequest(
            start_url,
            {
                "x-goog-api-key": api_key,
                "Content-Type": "application/json",
                "X-Goog-Upload-Protocol": "resumable",
                "X-Goog-Upload-Command": "start",
                "X-Goog-Upload-Header-Content-Length": str(size),
                "X-Goog-Upload-Header-Content-Type": mime_type,
            },
            content=json.dumps({"file": {**metadata, "mimeType": mime_type, "sizeBytes": str(size)}}).encode(),
        )
        self._size = size
        self._doing = f"upload {metadata.get('displayName', 'a file')!r}"
        self._max_failures = max_failures
        self._failures = 0
        self._unchanged = 0
        self._waited = 0.0
        self._offset = 0
        self._granularity = DEFAULT_GRANULARITY
        self._piece: int | None = None
        self._best = 0
        self._remembered = url is not None
        self._step: Literal["start", "send", "query"] = "query" if url else "start"

    def next_request(self) -> UploadRequest:
        """Return what to send now."""
        if self._step == "start" or self.url is None:
            return self._start
        if self._step == "query":
            return UploadRequest(self.url, {"X-Goog-Upload-Command": "query", "Content-Length": "0"})
        length = self._length()
        headers = {
            "X-Goog-Upload-Command": "upload, finalize" if self._is_last(length) else "upload",
            "X-Goog-Upload-Offset": str(self._offset),
            "Content-Length": str(length),
        }
        return UploadRequest(self.url, headers, offset=self._offset, length=length)

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """
        Take an answer.

        :param headers: with lower-case names.
        :raises GeminiFilesError: where no further request helps.
        """
        upload_status = headers.get("x-goog-upload-status")
        self._granularity = _number(headers, "x-goog-upload-chunk-granularity") or self._granularity
        if status != 200:
            self._refused(status, upload_status, body)
        elif self._step == "start":
            self._started(headers)
        elif upload_status == "final" or "file" in _json(body):
            self._finished(body)
        elif upload_status == "active":
            self._go_on(_number(headers, "x-goog-upload-size-received"))
        elif upload_status is None:
            # Only the service knows whether it has taken the bytes: starting anew could make a second file.
            self._ask(GeminiServiceError(f"Cannot {self._doing}: the answer has no x-goog-upload-status."))
        else:
            self._restart(GeminiServiceError(f"Cannot {self._doing}: the upload session is {upload_status!r}."))

    def broken(self, error: Exception) -> None:
        """
        Take the news that a request got no answer, or could not be sent to its end.

        :raises GeminiServiceError: after too many in a row.
        """
        failure = GeminiServiceError(f"Cannot {self._doing}: it broke off ({type(error).__name__}: {error}).")
        if self._step == "start":
            self._failed(failure)
        else:
            self._ask(failure)

    def _length(self) -> int:
        left = self._size - self._offset
        return left if self._piece is None else min(left, self._piece)

    def _is_last(self, length: int) -> bool:
        return self._offset + length == self._size

    def _started(self, headers: Mapping[str, str]) -> None:
        self.url = headers.get("x-goog-upload-url")
        if self.url is None:
            self._failed(
                GeminiServiceError(
                    f"Cannot {self._doing}: the answer has no x-goog-upload-url; does a proxy or gateway drop headers?"
                )
            )
            return
        self._offset = 0
        self._send()

    def _send(self) -> None:
        self._step = "send"
        self.delay = 0.0

    def _go_on(self, received: int | None) -> None:
        """Go on with a session that is open."""
        if self._step == "send":
            self._arrived(received)
        elif received is None:
            self._ask(GeminiServiceError(f"Cannot {self._doing}: the service does not say how far it got."))
        else:
            self._told(received)

    def _arrived(self, received: int | None) -> None:
        """Go on after bytes that were answered."""
        length = self._length()
        if self._is_last(length) or received not in (None, self._offset + length):
            # The session should be closed, or further: only the service knows what it lacks.
            self._step = "query"
            return
        self._progressed(self._offset + length)
        self._piece = 2 * length
        self._send()

    def _told(self, received: int) -> None:
        """Go on where the service got to."""
        if received > self._offset:
            self._progressed(received)
            self._unchanged = 0
            self.resumes += 1
        elif not self._remembered:
            self._unchanged += 1
            if self._unchanged >= MAX_UNCHANGED:
                raise GeminiServiceError(
                    f"Cannot {self._doing}: the service kept nothing of {MAX_UNCHANGED} sends in a row, and still has "
                    f"{received} of {self._size} bytes. A retry goes on from there, or starts anew."
                )
            self._piece = self._granularity
            self.resumes += 1
        self._offset = received
        self._remembered = False
        self._send()

    def _progressed(self, offset: int) -> None:
        self._offset = offset
        if offset > self._best:
            # Further than any session before: only that earns new patience, so that there is an end.
            self._best = offset
            self._failures = 0
            self._waited = 0.0

    def _finished(self, body: bytes) -> None:
        resource = _json(body).get("file")
        if isinstance(resource, dict) and "name" in resource:
            self.resource = resource
            return
        # Seen in the wild: 200 without a file. Asking again tells whether one was made.
        self._ask(GeminiServiceError(f"Cannot {self._doing}: the service took all bytes but named no file."))

    def _refused(self, status: int, upload_status: str | None, body: bytes) -> None:
        error = error_from_answer(status, _json(body) or body.decode("utf-8", "replace"), self._doing)
        if self._remembered and upload_status == "final":
            # What an earlier try was refused for may have been mended since.
            self._restart(error)
            return
        if upload_status == "final" or isinstance(error, GeminiStorageFullError):
            raise error
        if self._step == "start":
            if not isinstance(error, GeminiServiceError | GeminiRateLimitError):
                raise error
            self._failed(error)
        elif status in (408, 429) or status >= 500 or (self._step == "send" and status in _ASK_AGAIN):
            self._ask(error)
        else:
            # Whatever it says of an old session, a retry opens a new one.
            self._restart(GeminiServiceError(f"The upload session is dead. {error}"))

    def _ask(self, error: GeminiFilesError) -> None:
        """Ask how far the service got, after a failure."""
        self._failed(error)
        self._step = "query"

    def _restart(self, error: GeminiFilesError) -> None:
        """Open a new session, the old one being dead."""
        if self._remembered:
            # That one of an earlier try has died meanwhile is no failure of this one.
            self._remembered = False
        else:
            self._failed(error)
        self.url = None
        self._step = "start"

    def _failed(self, error: GeminiFilesError) -> None:
        self._failures += 1
        asked = error.retry_after if isinstance(error, GeminiRateLimitError) else None
        backoff = random.uniform(0.5, 1.0) * 2 ** min(self._failures - 1, 10)  # noqa: S311 - jitter
        self.delay = min(asked or backoff, _MAX_DELAY_SECONDS)
        self._waited += self.delay
        if self._failures > self._max_failures or self._waited > MAX_PATIENCE_SECONDS:
            raise error


def _number(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else None


def _json(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
