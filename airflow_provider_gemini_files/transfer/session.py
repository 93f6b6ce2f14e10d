"""
The resumable upload as pure logic: it says what to send, is told what came back, and does no I/O itself.

start -> send everything, finalize -> done; and after a broken request: query how far the service got, go on there.
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
)
from airflow_provider_gemini_files.files.answers import error_from_answer

#: Answers after which the service is asked how far it got, instead of giving up.
_ASK_AGAIN = {308, 400, 408, 412, 416, 429}
_MAX_DELAY_SECONDS = 30.0


@dataclass(frozen=True)
class UploadRequest:
    """
    One request to send: a POST.

    :param offset: where in the source the body starts; None where ``content`` is the body.
    """

    url: str
    headers: dict[str, str]
    content: bytes = b""
    offset: int | None = None


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
    ) -> None:
        self.resource: dict[str, Any] | None = None
        self.url: str | None = None
        self.delay = 0.0
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
        self._offset = 0
        self._step: Literal["start", "send", "query"] = "start"

    def next_request(self) -> UploadRequest:
        """Return what to send now."""
        if self._step == "start" or self.url is None:
            return self._start
        if self._step == "query":
            return UploadRequest(self.url, {"X-Goog-Upload-Command": "query", "Content-Length": "0"})
        headers = {
            "X-Goog-Upload-Command": "upload, finalize",
            "X-Goog-Upload-Offset": str(self._offset),
            "Content-Length": str(self._size - self._offset),
        }
        return UploadRequest(self.url, headers, offset=self._offset)

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """
        Take an answer.

        :param headers: with lower-case names.
        :raises GeminiFilesError: where no further request helps.
        """
        upload_status = headers.get("x-goog-upload-status")
        if status != 200:
            self._refused(status, upload_status, body)
        elif upload_status == "final":
            self._finished(body)
        elif self._step == "start":
            self._started(headers)
        elif upload_status == "active":
            self._go_on(int(headers.get("x-goog-upload-size-received", 0)) if self._step == "query" else None)
        else:
            self._restart(GeminiServiceError(f"Cannot {self._doing}: the upload session is {upload_status!r}."))

    def broken(self, error: Exception) -> None:
        """
        Take the news that a request got no answer.

        :raises GeminiServiceError: after too many in a row.
        """
        self._failed(
            GeminiServiceError(f"Cannot {self._doing}: the connection broke ({type(error).__name__}: {error}).")
        )
        if self._step == "send":
            self._step = "query"

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
        self._step = "send"

    def _go_on(self, received: int | None) -> None:
        if received is None:
            # Everything was sent and the session is still open: only the service knows what it lacks.
            self._step = "query"
            return
        if received > self._offset:
            self._failures = 0
        self._offset = received
        self._step = "send"
        self.delay = 0.0

    def _finished(self, body: bytes) -> None:
        resource = _json(body).get("file")
        if isinstance(resource, dict) and "name" in resource:
            self.resource = resource
            return
        # Seen in the wild: 200 without a file. Asking again tells whether one was made.
        self._failed(GeminiServiceError(f"Cannot {self._doing}: the service took all bytes but named no file."))
        self._step = "query"

    def _refused(self, status: int, upload_status: str | None, body: bytes) -> None:
        error = error_from_answer(status, _json(body) or body.decode("utf-8", "replace"), self._doing)
        if self._step == "start":
            if not isinstance(error, GeminiServiceError | GeminiRateLimitError):
                raise error
            self._failed(error)
        elif upload_status == "final":
            raise error
        elif self._step == "send" and (status in _ASK_AGAIN or status >= 500):
            self._failed(error)
            self._step = "query"
        elif status in (408, 429) or status >= 500:
            self._failed(error)
        else:
            self._restart(error)

    def _restart(self, error: GeminiFilesError) -> None:
        """Open a new session, the old one being dead."""
        self._failed(error)
        self.url = None
        self._step = "start"

    def _failed(self, error: GeminiFilesError) -> None:
        self._failures += 1
        if self._failures > self._max_failures:
            raise error
        asked = error.retry_after if isinstance(error, GeminiRateLimitError) else None
        backoff = random.uniform(0.5, 1.0) * 2 ** (self._failures - 1)  # noqa: S311 - jitter
        self.delay = min(asked or backoff, _MAX_DELAY_SECONDS)


def _json(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
