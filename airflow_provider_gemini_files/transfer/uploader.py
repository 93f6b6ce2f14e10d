"""The one driver of an upload session: it sends what the session says, straight from the source."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from airflow_provider_gemini_files.transfer.session import UploadSession
from airflow_provider_gemini_files.transfer.sources import Source
from airflow_provider_gemini_files.transfer.stream import HashedStream, SourceBrokenError

# Its debug lines repeat the headers of answers, and in them the session's URL, before anyone can mask it.
logging.getLogger("httpcore").setLevel(logging.INFO)


@dataclass(frozen=True)
class Uploaded:
    """
    What an upload came to.

    :param resource: the File resource the service answered.
    :param sha256: hex digest of the source, as it was read.
    :param sent: bytes of the source that were sent, those sent again included.
    """

    resource: dict[str, Any]
    sha256: str
    sent: int


def new_client(timeout: float, connections: int) -> httpx.Client:
    """
    Return a client for uploads, which may be used by several threads.

    :param timeout: seconds without any progress on the line.
    :param connections: how many uploads go on at once; their connections are kept and used again.
    """
    return httpx.Client(timeout=timeout, limits=httpx.Limits(max_keepalive_connections=connections))


def send(
    client: httpx.Client,
    session: UploadSession,
    source: Source,
    *,
    on_url: Callable[[str], None],
    on_progress: Callable[[int], None],
    on_trouble: Callable[[float], None],
) -> Uploaded:
    """
    Drive a session to its end.

    :param on_url: told the URL of a new session, which is a capability, before it is used.
    :param on_progress: told how many bytes further the upload has got.
    :param on_trouble: told how many seconds are waited after a failure.
    :raises GeminiFilesError: as the session does.
    """
    content = HashedStream(source, on_progress)
    while session.resource is None:
        if session.delay:
            on_trouble(session.delay)
            time.sleep(session.delay)
        known = session.url
        _exchange(client, session, content)
        if session.url and session.url != known:
            on_url(session.url)
    return Uploaded(session.resource, content.sha256(), content.sent)


def _exchange(client: httpx.Client, session: UploadSession, content: HashedStream) -> None:
    request = session.next_request()
    body = request.content if request.offset is None else content.read(request.offset, request.length)
    try:
        answer = client.post(request.url, headers=request.headers, content=body)
    except (httpx.TransportError, SourceBrokenError) as error:
        session.broken(error)
    else:
        session.answered(answer.status_code, answer.headers, answer.content)
