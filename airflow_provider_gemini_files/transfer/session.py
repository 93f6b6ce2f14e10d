"""
The resumable upload as pure logic: it says what to send, is told what came back, and does no I/O itself.

start -> send everything, finalize -> done; and after a broken request: query how far the service got, continue there.
While the transport holds, one request carries all the rest. Once a broken one turned out to have kept nothing, the rest
goes in pieces: one granule, and twice as much after each piece that arrived.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit, urlunsplit

from airflow_provider_gemini_files.common.backoff import Backoff
from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.failures import KEY_PLACE, ApiResponse, error_of_response
from airflow_provider_gemini_files.common.redaction import origin_of, shown_text
from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiInputError,
    GeminiRateLimitError,
    GeminiServiceError,
    GeminiStorageFullError,
)
from airflow_provider_gemini_files.files.naming import label_of
from airflow_provider_gemini_files.transfer.stream import SourceBrokenError

#: Statuses that answer sent bytes, after which the service is asked how far it got, instead of giving up.
_ASK_AGAIN = {308, 400, 408, 409, 412, 416, 429}
_BACKOFF = Backoff(maximum=30.0)
#: Seconds of pauses, added up, that an upload without any progress is given.
MAX_PATIENCE_SECONDS = 600.0
#: Failures in a row after which a session of an earlier attempt is replaced.
_MAX_FAILURES_REMEMBERED = 4
#: Sends in a row of which the service kept nothing, and which end the upload.
MAX_UNCHANGED = 3
#: Bytes that a piece must be a multiple of, if the service does not say: its value in everything that was seen.
DEFAULT_GRANULARITY = 8 * 1024**2


@dataclass(frozen=True)
class UploadRequest:
    """
    One request to send: a POST.

    :param offset: where in the source the body starts; None if ``content`` is the body.
    :param length: bytes of the source that are the body.
    """

    url: str
    headers: dict[str, str]
    content: bytes = b""
    offset: int | None = None
    length: int = 0


@dataclass(frozen=True)
class UploadKind:
    """
    What an upload creates.

    :param wrapper: the key of the start's body that holds the metadata; None if they are the body.
    :param key: the key of the last response that holds what was created.
    :param name: the key in there that has its name.
    :param is_operation: whether the last response is an operation, which can still fail.
    """

    wrapper: str | None
    key: str
    name: str
    is_operation: bool = False

    def body(self, metadata: Mapping[str, Any], mime_type: str, size: int) -> bytes:
        """Return the body of the start."""
        fields = {**metadata, "mimeType": mime_type, "sizeBytes": str(size)}
        return json.dumps({self.wrapper: fields} if self.wrapper else {**metadata, "mimeType": mime_type}).encode()

    def created(self, response: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what was created; None if the response does not say it."""
        resource = response.get(self.key)
        if not isinstance(resource, dict) or not isinstance(resource.get(self.name), str):
            return None
        return {**resource, "operation": response.get("name")} if self.is_operation else resource


FILE = UploadKind("file", "file", "name")
DOCUMENT = UploadKind(None, "response", "documentName", is_operation=True)


class UploadSession:
    """
    One file's upload.

    Ask :meth:`next_request`, pause for ``delay`` seconds, send it, then call :meth:`answered` or :meth:`broken`; until
    ``resource`` is set.

    :param start_url: ``{host}/upload/{version}/files``.
    :param api_key: sent with the start only; the session's URL authorises the rest.
    :param metadata: of what is created: ``displayName``, and ``name`` if the caller chooses one.
    :param mime_type: of the source.
    :param size: bytes of the source.
    :param max_failures: failures in a row, without progress between them, that end the upload.
    :param url: a session that an earlier attempt has opened; it is asked how far it got, and replaced if it is dead.
    :param kind: what is created: a file, or a document of a file search store.
    :param via_host: send the bytes to the host of ``start_url`` even if the service names another.
    """

    def __init__(
        self,
        *,
        start_url: str,
        api_key: str,
        key_place: str = KEY_PLACE,
        metadata: Mapping[str, Any],
        mime_type: str,
        size: int,
        max_failures: int,
        url: str | None = None,
        via_host: bool = False,
        kind: UploadKind = FILE,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._kind = kind
        self.resource: dict[str, Any] | None = None
        self.url = url
        self.delay = 0.0
        #: The last failure, for the log.
        self.failure: GeminiFilesError | None = None
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
            content=kind.body(metadata, mime_type, size),
        )
        self._size = size
        self._doing = f"upload {label_of(metadata.get('displayName')) or 'a file'!r}"
        self._secrets = (api_key,)
        self._key_place = key_place
        self._max_failures = max_failures
        self._via_host = via_host
        self._clock = clock
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
        """Return the request to send now."""
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

    def answered(self, response: ApiResponse) -> None:
        """
        Take a response.

        :raises GeminiFilesError: if no further request helps.
        """
        upload_status = response.headers.get("x-goog-upload-status")
        self._granularity = _number(response, "x-goog-upload-chunk-granularity") or self._granularity
        if not 200 <= response.status < 300:
            self._refused(response, upload_status)
        elif self._step == "start":
            self._started(response)
        elif upload_status == "final" or self._kind.key in _object(response):
            self._finished(response)
        elif upload_status == "active":
            self._continue(_number(response, "x-goog-upload-size-received"))
        elif upload_status is None:
            # Only the service knows whether it has taken the bytes: starting again could create a second file.
            self._ask(self._error("the response has no x-goog-upload-status"))
        else:
            self._restart(self._error(f"the upload session is {shown_text(upload_status)!r}"))

    def broken(self, error: Exception) -> None:
        """
        Take the failure of a request that got no response, or could not be sent to its end.

        :raises GeminiServiceError: after too many in a row.
        """
        if isinstance(error, SourceBrokenError):
            failure = self._error(shown_text(error))
        else:
            host = origin_of(self.next_request().url)
            reason = f"{type(error).__name__}: {shown_text(error, self._secrets)}"
            to = host or "an impossible address"
            failure = self._error(f"the request to {to} failed ({reason}){self._host_hint(host)}", unreachable=True)
        if self._step == "start":
            self._failed(failure)
        else:
            self._ask(failure)

    def _host_hint(self, host: str) -> str:
        """Return advice for a worker that reaches the connection's host, but not the one that the service names."""
        if host == origin_of(self._start.url):
            return ""
        return (
            "; the service has named this host for the bytes. If only the connection's host can be reached, such as "
            "behind a gateway, set the connection's extra upload_via_host"
        )

    def _error(self, reason: str, *, unreachable: bool = False) -> GeminiServiceError:
        return GeminiServiceError(f"Cannot {self._doing}: {reason}.", unreachable=unreachable)

    def _length(self) -> int:
        left = self._size - self._offset
        return left if self._piece is None else min(left, self._piece)

    def _is_last(self, length: int) -> bool:
        return self._offset + length == self._size

    def _started(self, response: ApiResponse) -> None:
        url = response.headers.get("x-goog-upload-url")
        if url is None and "error" in _object(response):
            self._refused(response.as_error(), None)
            return
        if url is None:
            self._failed(
                self._error("the response has no x-goog-upload-url; does a proxy or gateway remove response headers?")
            )
            return
        # Some gateways name a path only.
        url = url if "://" in url else urljoin(self._start.url, url)
        self.url = self._rewritten(url) if self._via_host else url
        if self._start.url.startswith("https:") and self.url.lower().startswith("http:"):
            raise GeminiInputError(
                f"Cannot {self._doing}: the service has named {origin_of(self.url)} for the bytes, which is not "
                "encrypted as the connection's host is: nothing was sent. Behind a gateway, set the connection's extra "
                "upload_via_host."
            )
        self._offset = 0
        self._send()

    def _rewritten(self, url: str) -> str:
        """Return a session's URL with the scheme and host of the connection, as gateways need it."""
        own, given = urlsplit(self._start.url), urlsplit(url)
        base = own.path.partition("/upload/")[0]
        path = given.path if given.path.startswith(f"{base}/") else base + given.path
        return urlunsplit((own.scheme, own.netloc, path, given.query, ""))

    def _send(self) -> None:
        self._step = "send"
        self.delay = 0.0

    def _continue(self, received: int | None) -> None:
        """Continue with a session that is open."""
        if self._step == "send":
            self._arrived(received)
        elif received is None:
            self._ask(self._error("the service does not say how far it got"))
        elif received > self._size:
            self._restart(self._error(f"the session has {received} bytes, and the source only {self._size}"))
        else:
            self._resume(received)

    def _arrived(self, received: int | None) -> None:
        """Continue after bytes that were acknowledged."""
        length = self._length()
        if self._is_last(length) or received not in (None, self._offset + length):
            # The session should be closed, or further: only the service knows what it lacks.
            self._step = "query"
            return
        self._progressed(self._offset + length)
        self._piece = 2 * length
        self._send()

    def _resume(self, received: int) -> None:
        """Continue where the service got to."""
        if received > self._offset:
            self._progressed(received)
            self._unchanged = 0
            self.resumes += 1
        elif not self._remembered:
            self._unchanged += 1
            if self._unchanged >= MAX_UNCHANGED:
                raise self._error(
                    f"the service kept nothing of {MAX_UNCHANGED} sends in a row, and still has {received} of "
                    f"{self._size} bytes. A retry continues from there, or starts again"
                )
            self._piece = self._granularity
            self.resumes += 1
        self._offset = received
        self._remembered = False
        self._send()

    def _progressed(self, offset: int) -> None:
        self._offset = offset
        if offset > self._best:
            # Only getting further than any session before earns new patience, so that there is an end.
            self._best = offset
            self._failures = 0
            self._waited = 0.0

    def _finished(self, response: ApiResponse) -> None:
        data = _object(response)
        self.resource = self._kind.created(data)
        if self.resource is not None:
            return
        # An operation may have failed already.
        failed = data.get("error") if self._kind.is_operation else None
        told = failed.get("message") if isinstance(failed, dict) else failed
        reason = f": {shown_text(told, self._secrets).rstrip('. ')}" if told else ""
        error = self._error(f"the service took all bytes but named no {self._kind.wrapper or 'document'}{reason}")
        if self._remembered:
            # Asking again would say the same in each attempt; a new session finds the file by its name.
            self._restart(error)
        else:
            # Seen in the wild: 200 without a file. Asking again tells whether one was created.
            self._ask(error)

    def _refused(self, response: ApiResponse, upload_status: str | None) -> None:
        error = error_of_response(
            response, self._doing, secrets=self._secrets, key_place=self._key_place, clock=self._clock
        )
        is_end = upload_status == "final" or isinstance(error, GeminiStorageFullError)
        if self._remembered and is_end:
            # The reason for which an earlier attempt was refused may have been fixed since.
            self._restart(error)
        elif is_end:
            raise error
        elif self._step == "start":
            if not isinstance(error, GeminiServiceError | GeminiRateLimitError):
                raise error
            self._failed(error)
        elif (
            response.status in (408, 429)
            or response.status >= 500
            or (self._step == "send" and response.status in _ASK_AGAIN)
        ):
            self._ask(error)
        else:
            # Whatever the response says of an old session, a new one can be opened.
            self._restart(GeminiServiceError(f"The upload session has ended. {error}", error.retry_after))

    def _ask(self, error: GeminiFilesError) -> None:
        """Ask how far the service got, after a failure."""
        if self._remembered and (self._is_last_failure() or _BACKOFF.is_too_long(error.retry_after)):
            # Only the host of the old session may be busy. If the whole service is, the start says so, and the session
            # stays remembered, because no other one takes its place.
            self._restart(error)
            return
        self._failed(error)
        self._step = "query"

    def _restart(self, error: GeminiFilesError) -> None:
        """Open a new session, because the old one is dead."""
        if self._remembered:
            # The death of an earlier attempt's session is no failure of this attempt.
            self._remembered = False
            self._failures = 0
            self.delay = 0.0
        else:
            self._failed(error)
        self.url = None
        self._step = "start"

    def _is_last_failure(self) -> bool:
        """Return whether one more failure ends the upload."""
        # Early enough to leave patience for a new session.
        return self._failures >= min(self._max_failures, _MAX_FAILURES_REMEMBERED)

    def _failed(self, error: GeminiFilesError) -> None:
        self._failures += 1
        self.failure = error
        self.delay = _BACKOFF.pause(self._failures, self._clock.uniform, error.retry_after)
        self._waited += self.delay
        is_over = self._failures > self._max_failures or self._waited > MAX_PATIENCE_SECONDS
        if is_over or _BACKOFF.is_too_long(error.retry_after):
            raise error


def _number(response: ApiResponse, name: str) -> int | None:
    value = response.headers.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else None


def _object(response: ApiResponse) -> dict[str, Any]:
    return response.data if isinstance(response.data, dict) else {}
