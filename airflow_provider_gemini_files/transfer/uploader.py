"""The one driver of an upload session: it sends what the session says, straight from the source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.failures import ApiResponse
from airflow_provider_gemini_files.transfer.session import UploadSession
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

    :param timeout: seconds without any progress of the transport.
    :param connections: uploads at once; their connections are kept and used again.
    """
    return httpx.Client(timeout=timeout, limits=httpx.Limits(max_keepalive_connections=connections))


def send(
    client: httpx.Client,
    session: UploadSession,
    source: Source,
    *,
    on_url: Callable[[str], None],
    on_progress: Callable[[int], None],
    on_failure: Callable[[float], None],
    clock: Clock = SYSTEM_CLOCK,
) -> Uploaded:
    """
    Drive a session to its end.

    :param on_url: called with the URL of a new session, which authorises anyone who has it, before it is used.
    :param on_progress: called with the number of bytes by which the upload has got further.
    :param on_failure: called with the seconds until the next request, after a failure.
    :raises GeminiFilesError: as the session does.
    """
    content = HashedStream(source, on_progress)
    while session.resource is None:
        if session.delay:
            on_failure(session.delay)
            clock.sleep(session.delay)
        known = session.url
        _exchange(client, session, content)
        if session.url and session.url != known:
            on_url(session.url)
    return Uploaded(session.resource, content.sha256(), content.sent)


def _exchange(client: httpx.Client, session: UploadSession, content: HashedStream) -> None:
    request = session.next_request()
    body = request.content if request.offset is None else content.read(request.offset, request.length)
    try:
        response = client.post(request.url, headers=request.headers, content=body)
    except (httpx.RequestError, httpx.InvalidURL, UnicodeError, OverflowError, SourceBrokenError) as error:
        # UnicodeError and OverflowError: the service or the store names a host or port that cannot exist.
        session.broken(error)
    else:
        headers = {name.lower(): value for name, value in response.headers.items()}
        session.answered(ApiResponse(response.status_code, headers, response.content))
