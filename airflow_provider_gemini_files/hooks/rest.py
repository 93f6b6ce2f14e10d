"""
The calls that need no SDK over HTTP, blocking and from an event loop.

Importing google-genai costs each task about a second of CPU, and stops a triggerer's loop for a quarter of a second
even from another thread (``benchmarks/import_cost.py``). Airflow has imported httpx anyway.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import anyio
import httpx

from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.failures import ApiResponse, date_of, unreachable
from airflow_provider_gemini_files.hooks import requests
from airflow_provider_gemini_files.hooks.connection import GeminiConnection
from airflow_provider_gemini_files.hooks.environment import environment_error
from airflow_provider_gemini_files.hooks.requests import ApiRequest, Listing, Resource, T
from airflow_provider_gemini_files.transfer.certificates import ssl_context

#: Seconds for each step of a request, and for its whole response; these calls only read or write metadata. The
#: connection's timeout is for uploads and models.
_TIMEOUT = 60.0
#: The request has not been sent as a whole, so it was not carried out.
_NOT_SENT = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.WriteError, httpx.WriteTimeout,
    httpx.UnsupportedProtocol, httpx.ProxyError, httpx.LocalProtocolError,
)  # fmt: skip
#: Seconds that two clocks may differ.
_CLOCK_TOLERANCE = 5.0


class FilesClient:
    """
    Sends each request once; several threads may use it.

    All calls raise the error that the response means: see :mod:`~airflow_provider_gemini_files.common.failures`.
    """

    def __init__(self, connection: GeminiConnection, clock: Clock = SYSTEM_CLOCK) -> None:
        self.connection = connection
        self._clock = clock
        #: Seconds by which the service's clock is ahead of this machine's.
        self.clock_offset = 0.0
        self._client = _client(httpx.Client, connection)
        weakref.finalize(self, self._client.close)

    def get(self, resource: Resource[T], name: str) -> T:
        """Return one item."""
        return resource.read(self.send(resource.get(name)), self.connection)

    def read_page(self, listing: Listing[T]) -> list[T]:
        """Read the next page of a list that is not done."""
        request = listing.next_request()
        return listing.read(self.send(request)) if request else []

    def ping(self) -> None:
        """Make the cheapest call that needs a valid key and a Files API."""
        self.send(requests.PING)

    def send(self, request: ApiRequest) -> dict[str, Any]:
        """Send a request, and return the object of its response."""
        seconds = request.timeout or _TIMEOUT
        deadline = self._clock.monotonic() + seconds
        body = bytearray()
        try:
            with self._client.stream(**_arguments(request, self.connection)) as response:
                # The client's own timeout starts again with each chunk; a response can arrive byte by byte.
                for chunk in response.iter_bytes():
                    body += chunk
                    if self._clock.monotonic() > deadline:
                        raise _too_slow(seconds)
        except httpx.RequestError as error:
            raise _unreachable(error, request, self.connection) from error
        self._set_clock(response)
        return requests.read_response(_plain(response, bytes(body)), request, self.connection)

    def _set_clock(self, response: httpx.Response) -> None:
        told = date_of(response.headers.get("date", ""))
        if told is not None:
            offset = told - self._clock.now()
            # The header has whole seconds, and a response takes a moment.
            self.clock_offset = offset if abs(offset) > _CLOCK_TOLERANCE else 0.0


class AsyncFilesClient:
    """Async counterpart of :class:`FilesClient`. Construct it off the event loop: loading TLS certificates blocks."""

    def __init__(self, connection: GeminiConnection) -> None:
        # httpx would import the event loop's back end at its first request, and so inside the loop.
        anyio.run(anyio.sleep, 0)
        self.connection = connection
        self._client = _client(httpx.AsyncClient, connection)

    async def get(self, resource: Resource[T], name: str) -> T:
        """Return one item."""
        return resource.read(await self.send(resource.get(name)), self.connection)

    async def read_page(self, listing: Listing[T]) -> list[T]:
        """Read the next page of a list that is not done."""
        request = listing.next_request()
        return listing.read(await self.send(request)) if request else []

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send(self, request: ApiRequest) -> dict[str, Any]:
        """Send a request, and return the object of its response."""
        seconds = request.timeout or _TIMEOUT
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.request(**_arguments(request, self.connection))
        except TimeoutError as error:
            raise _unreachable(_too_slow(seconds), request, self.connection) from error
        except httpx.RequestError as error:
            raise _unreachable(error, request, self.connection) from error
        return requests.read_response(_plain(response, response.content), request, self.connection)


def _arguments(request: ApiRequest, connection: GeminiConnection) -> dict[str, Any]:
    body = {} if request.body is None else {"json": request.body}
    timeout = {} if request.timeout is None else {"timeout": request.timeout}
    return {
        "method": request.method,
        # Without the slash, what stands before a colon would be a scheme.
        "url": f"/{request.path}",
        "params": dict(request.query),
        "headers": _authorization(request, connection),
        **body,
        **timeout,
    }


def _authorization(request: ApiRequest, connection: GeminiConnection) -> dict[str, str]:
    """Return the headers that say who sends a request: the service refuses the API key beside a bearer token."""
    if request.bearer is None:
        return {"x-goog-api-key": connection.api_key}
    project = request.bearer.quota_project
    return {
        "authorization": f"Bearer {request.bearer.token}",
        **({"x-goog-user-project": project} if project else {}),
    }


def _client(kind: Any, connection: GeminiConnection) -> Any:
    """
    Return an httpx client.

    :raises GeminiInputError: if the worker's environment (proxy, certificates) cannot be used.
    """
    try:
        return kind(base_url=f"{connection.api_url}/", timeout=_TIMEOUT, verify=ssl_context())
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        raise environment_error(error) from error


def _unreachable(error: Exception, request: ApiRequest, connection: GeminiConnection) -> Exception:
    failure = unreachable(error, request.doing, connection.address(), request.secrets(connection))
    failure.unanswered = not isinstance(error, _NOT_SENT)
    return failure


def _too_slow(seconds: float) -> httpx.ReadTimeout:
    return httpx.ReadTimeout(f"the response did not end within {seconds:g} s")


def _plain(response: httpx.Response, body: bytes) -> ApiResponse:
    return ApiResponse(response.status_code, {key.lower(): value for key, value in response.headers.items()}, body)
