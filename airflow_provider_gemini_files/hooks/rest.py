"""
The calls for files that are there, straight over HTTP, blocking and from an event loop.

Importing google-genai costs each task about a second of CPU, and stops a triggerer's loop for a quarter of a second
even from another thread. Airflow has imported httpx anyway.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Collection
from typing import Any

import anyio
import httpx

from airflow_provider_gemini_files.exceptions import GeminiServiceError
from airflow_provider_gemini_files.files.answers import error_from_answer, no_answer
from airflow_provider_gemini_files.files.limits import LIST_PAGE_SIZE
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.connection import GeminiConnection

#: Seconds; these calls only read or write metadata. The connection's timeout is for uploads and answers.
_TIMEOUT = 60.0


class FilesClient:
    """
    Asks the service once for each call; several threads may use it.

    All calls raise what :func:`error_from_answer` makes of the answer.

    :param connection: whose project is asked.
    """

    def __init__(self, connection: GeminiConnection) -> None:
        self._client = httpx.Client(**_options(connection))
        weakref.finalize(self, self._client.close)

    def get_file(self, name: str) -> GeminiFile:
        """Return a file."""
        return _file(self._call(f"get {name}", "GET", name))

    def list_files(self) -> list[GeminiFile]:
        """Return all files, page after page."""
        # By name, as a file can come again on the next page when others are uploaded meanwhile.
        found: dict[str, GeminiFile] = {}
        query: dict[str, Any] | None = {"pageSize": LIST_PAGE_SIZE}
        while query:
            page = self._call("list files", "GET", "files", query)
            found.update((file.name, file) for file in map(_file, page.get("files") or []))
            query = _next_page(page)
        return list(found.values())

    def ping(self) -> None:
        """Make the cheapest call that needs a valid key and a Files API."""
        self._call("list files", "GET", "files", {"pageSize": 1})

    def delete_file(self, name: str) -> None:
        """Delete a file."""
        self._call(f"delete {name}", "DELETE", name)

    def _call(self, doing: str, method: str, path: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, params=query)
        except httpx.RequestError as error:
            raise no_answer(error, doing) from error
        return _read(answer, doing)


class AsyncFilesClient:
    """
    Does as :class:`FilesClient`, for the event loop that uses it; made in another thread than that loop's.

    :param connection: whose project is asked.
    """

    def __init__(self, connection: GeminiConnection) -> None:
        # What httpx would import at its first request, and then in the loop.
        anyio.run(anyio.sleep, 0)
        self._client = httpx.AsyncClient(**_options(connection))

    async def get_file(self, name: str) -> GeminiFile:
        """Return a file."""
        return _file(await self._call(f"get {name}", "GET", name))

    async def list_pages(self, names: Collection[str] | None) -> AsyncGenerator[list[GeminiFile], None]:
        """Read the project's list; yield for each page the files of some names, or all where None."""
        query: dict[str, Any] | None = {"pageSize": LIST_PAGE_SIZE}
        while query:
            page = await self._call("list files", "GET", "files", query)
            files = page.get("files") or []
            # Only what is wanted is read: most of a long list is not.
            yield [_file(file) for file in files if names is None or file.get("name") in names]
            query = _next_page(page)

    async def delete_file(self, name: str) -> None:
        """Delete a file."""
        await self._call(f"delete {name}", "DELETE", name)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _call(self, doing: str, method: str, path: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = await self._client.request(method, path, params=query)
        except httpx.RequestError as error:
            raise no_answer(error, doing) from error
        return _read(answer, doing)


def _options(connection: GeminiConnection) -> dict[str, Any]:
    return {
        "base_url": f"{connection.base_url}/{connection.api_version}/",
        "headers": {"x-goog-api-key": connection.api_key},
        "timeout": _TIMEOUT,
    }


def _next_page(page: dict[str, Any]) -> dict[str, Any] | None:
    """Return the query for the page after this one; None after the last."""
    token = page.get("nextPageToken")
    return {"pageSize": LIST_PAGE_SIZE, "pageToken": token} if token else None


def _file(resource: dict[str, Any]) -> GeminiFile:
    try:
        return GeminiFile.from_api(resource)
    except (KeyError, TypeError, ValueError) as error:
        raise GeminiServiceError(f"The service answered with a file that cannot be read: {error!r}.") from error


def _read(answer: httpx.Response, doing: str) -> dict[str, Any]:
    """Return the JSON object of an answer, or raise the error it means."""
    if answer.is_success and not answer.content:
        # A gateway may strip the empty object of a deletion.
        return {}
    try:
        body = answer.json()
    except ValueError:
        body = None
    is_object = isinstance(body, dict)
    if answer.is_success and is_object:
        return dict(body)
    # What is no JSON object is no answer of the service's, however well it says it is.
    code = 502 if answer.is_success else answer.status_code
    retry_after, location = answer.headers.get("retry-after"), answer.headers.get("location")
    raise error_from_answer(code, body if is_object else answer.text, doing, retry_after, location)
