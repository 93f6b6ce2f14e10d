"""The one driver of an upload session: it sends what the session says, straight from the source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.failures import ApiResponse
from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.transfer.certificates import ssl_context
from airflow_provider_gemini_files.transfer.session import UploadRequest, UploadSession
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.stream import HashedStream, SourceBrokenError


@dataclass(frozen=True)
class Uploaded:
    """
    The result of an upload.

    :param resource: the File resource that the service returned.
    :param sha256: hex digest of the source, as it was read.
    :param sent: bytes of the source that were sent, including those sent again.
    """

    resource: dict[str, Any]
    sha256: str
    sent: int


def new_client(timeout: float, connections: int) -> httpx.Client:
    """
    Return a client for uploads, which several threads may use.

    :param timeout: seconds without any progress of the transport, and for the whole response to a request.
    :param connections: uploads at once; their connections are kept and used again.
    """
    limits = httpx.Limits(max_keepalive_connections=connections)
    return httpx.Client(timeout=timeout, limits=limits, verify=ssl_context())


def send(
    client: httpx.Client,
    session: UploadSession,
    source: Source,
    *,
    on_url: Callable[[str], None],
    on_progress: Callable[[int], None],
    on_failure: Callable[[GeminiFilesError, float], None],
    clock: Clock = SYSTEM_CLOCK,
) -> Uploaded:
    """
    Drive a session to its end.

    :param on_url: called with the URL of a new session, which authorises anyone who has it, before it is used.
    :param on_progress: called with the number of bytes by which the upload has got further.
    :param on_failure: called with the error and the seconds until the next request.
    :raises GeminiFilesError: as the session does.
    """
    content = HashedStream(source, on_progress)
    while session.resource is None:
        if session.failure and session.delay:
            on_failure(session.failure, session.delay)
            clock.sleep(session.delay)
        known = session.url
        _exchange(client, session, content, clock)
        if session.url and session.url != known:
            on_url(session.url)
    return Uploaded(session.resource, content.sha256(), content.sent)


def _exchange(client: httpx.Client, session: UploadSession, content: HashedStream, clock: Clock) -> None:
    request = session.next_request()
    sent = iter((request.content,)) if request.offset is None else content.read(request.offset, request.length)
    try:
        response = _post(client, request, sent, clock)
    except (httpx.RequestError, httpx.InvalidURL, UnicodeError, OverflowError, SourceBrokenError) as error:
        # UnicodeError and OverflowError: the service or the store names a host or port that cannot exist.
        session.broken(error)
    else:
        session.answered(response)


def _post(client: httpx.Client, request: UploadRequest, content: Iterator[bytes], clock: Clock) -> ApiResponse:
    """
    Send a request, and return its response.

    Sending takes as long as it makes progress. The response has to end within the client's timeout after the last byte
    was sent: the client itself starts that timeout again with each byte that arrives.
    """
    limit = client.timeout.read
    began = clock.monotonic()

    def body() -> Iterator[bytes]:
        nonlocal began
        yield from content
        began = clock.monotonic()

    received = bytearray()
    # Stated, as httpx does not know the length of an iterator.
    length = {"Content-Length": str(len(request.content) if request.offset is None else request.length)}
    with client.stream("POST", request.url, headers=request.headers | length, content=body()) as response:
        for chunk in response.iter_bytes():
            received += chunk
            if limit is not None and clock.monotonic() - began > limit:
                raise httpx.ReadTimeout(f"the response did not end within {limit:g} s")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return ApiResponse(response.status_code, headers, bytes(received))
