"""Download of a generated file: streamed, resumed where the service allows it, and verified."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urljoin

import httpx

from airflow_provider_gemini_files.common.backoff import Backoff
from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.failures import ApiResponse, error_of_response, unreachable
from airflow_provider_gemini_files.common.redaction import origin_of
from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiIntegrityError,
    GeminiRateLimitError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.transfer.certificates import ssl_context

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BLOCK = 1024**2
_BACKOFF = Backoff()
#: Bytes of an error response that are read.
_MAX_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True)
class Origin:
    """
    Where downloads come from: the parts of a connection that they need.

    :param api_url: start of the URL, with the version.
    :param address: what an error message shows of it.
    :param max_retries: failures in a row without a new byte after which the download fails.
    """

    api_url: str
    api_key: str
    address: str
    timeout: float
    max_retries: int


class Download:
    """
    The download of one file into an open local file.

    The service does not document whether it answers a request for the rest of a file with the rest. If it sends
    everything, the download begins again.

    :param into: open for reading and writing; what it holds is replaced.
    :param hide: keeps a URL to which the download is redirected out of the log; its query can be a secret.
    :param on_failure: called with the error and the seconds until the next request.
    """

    def __init__(
        self,
        file: GeminiFile,
        origin: Origin,
        into: BinaryIO,
        *,
        hide: Callable[[str], None],
        on_failure: Callable[[GeminiFilesError, float], None],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._file = file
        self._origin = origin
        self._into = into
        self._hide = hide
        self._on_failure = on_failure
        self._clock = clock
        self._offset = 0
        self._doing = f"download {file.name}"

    def run(self) -> int:
        """
        Download the file, and return its size in bytes.

        :raises GeminiFileGoneError: if it does not exist any more.
        :raises GeminiIntegrityError: if size or hash differ from what the service says of the file.
        :raises GeminiFilesError: if it cannot be downloaded.
        """
        self._restart()
        failures = furthest = 0
        with httpx.Client(timeout=self._origin.timeout, follow_redirects=False, verify=ssl_context()) as client:
            while True:
                try:
                    self._receive(client)
                    break
                except (GeminiServiceError, GeminiRateLimitError) as error:
                    # Bytes that come again after a new start are no progress.
                    failures = 1 if self._offset > furthest else failures + 1
                    furthest = max(furthest, self._offset)
                    if failures > self._origin.max_retries or _BACKOFF.is_too_long(error.retry_after):
                        raise
                    pause = _BACKOFF.pause(failures, self._clock.uniform, error.retry_after)
                    self._on_failure(error, pause)
                    self._clock.sleep(pause)
        self._verify()
        return self._offset

    def _restart(self) -> None:
        self._into.seek(0)
        self._into.truncate()
        self._offset = 0

    def _receive(self, client: httpx.Client) -> None:
        """Send one request, and write what comes; after an error, what has been written stays."""
        try:
            response = self._response(client)
            try:
                self._write(response)
            finally:
                response.close()
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise unreachable(error, self._doing, self._origin.address, (self._origin.api_key,)) from error

    def _response(self, client: httpx.Client) -> httpx.Response:
        url = f"{self._origin.api_url}/{self._file.name}:download?alt=media"
        headers = {"Accept-Encoding": "identity"}
        if self._offset:
            headers["Range"] = f"bytes={self._offset}-"
        own = origin_of(url)
        for _ in range(_MAX_REDIRECTS + 1):
            # The key is the connection's host's alone; a redirect can lead to another one.
            key = {"x-goog-api-key": self._origin.api_key} if origin_of(url) == own else {}
            response = client.send(client.build_request("GET", url, headers={**headers, **key}), stream=True)
            if response.status_code not in _REDIRECTS or "location" not in response.headers:
                return response
            response.close()
            url = self._redirected(url, response.headers["location"])
            self._hide(url.partition("?")[0])
        raise GeminiServiceError(f"Cannot {self._doing}: it was redirected more than {_MAX_REDIRECTS} times.")

    def _redirected(self, url: str, location: str) -> str:
        try:
            return urljoin(url, location)
        except ValueError as error:
            raise GeminiServiceError(f"Cannot {self._doing}: it was redirected to an invalid URL ({error}).") from error

    def _write(self, response: httpx.Response) -> None:
        if response.status_code == 416:
            # Nothing is left to send, or what has been written is not the beginning of this file.
            self._restart()
            raise GeminiServiceError(
                f"Cannot {self._doing}: the service does not have the requested range; downloading from the start."
            )
        if response.status_code not in (200, 206):
            raise self._refusal(response)
        is_page = response.headers.get("content-type", "").lower().startswith("text/html")
        if is_page and self._file.mime_type != "text/html":
            # The login page of a proxy; the file itself may have no size or hash that would tell.
            raise GeminiServiceError(
                f"Cannot {self._doing}: {self._origin.address} sent a web page instead of the file."
            )
        if response.headers.get("content-encoding", "identity") != "identity":
            raise GeminiServiceError(f"Cannot {self._doing}: the response is compressed although it must not be.")
        if response.status_code == 200 or _start_of(response.headers) != self._offset:
            self._restart()
            if response.status_code == 206:
                raise GeminiServiceError(f"Cannot {self._doing}: the response is not the requested range.")
        # As they arrive: larger blocks would be lost, in part, with a connection that breaks.
        for block in response.iter_bytes():
            self._into.write(block)
            self._offset += len(block)

    def _refusal(self, response: httpx.Response) -> GeminiFilesError:
        body = b""
        for block in response.iter_bytes(_MAX_ERROR_BYTES):
            body += block
            if len(body) >= _MAX_ERROR_BYTES:
                break
        headers = {name.lower(): value for name, value in response.headers.items()}
        answered = ApiResponse(response.status_code, headers, body)
        return error_of_response(answered, self._doing, file=self._file.name, secrets=(self._origin.api_key,))

    def _verify(self) -> None:
        expected = self._file.size_bytes
        if expected is not None and expected != self._offset:
            raise GeminiIntegrityError(
                f"{self._file.name} has {expected} bytes, and {self._offset} were received. A retry downloads it again."
            )
        if self._file.sha256 is None:
            return
        self._into.seek(0)
        digest = hashlib.sha256()
        while block := self._into.read(_BLOCK):
            digest.update(block)
        if digest.hexdigest() != self._file.sha256:
            raise GeminiIntegrityError(
                f"{self._file.name} has the sha256 {self._file.sha256}, and bytes with {digest.hexdigest()} were "
                "received. A retry downloads it again."
            )


def _start_of(headers: Mapping[str, str]) -> int | None:
    """Return the first byte that a part of a file holds: ``bytes 100-199/200`` begins at 100."""
    start = headers.get("content-range", "").removeprefix("bytes ").partition("-")[0].strip()
    return int(start) if start.isdigit() else None
