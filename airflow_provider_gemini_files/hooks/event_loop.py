"""
The calls for files that are made from an event loop, straight over HTTP.

Importing google-genai stops a loop for a quarter of a second even from another thread, and a triggerer with it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from typing import Any

import anyio
import httpx

from airflow_provider_gemini_files.files.answers import error_from_answer, no_answer
from airflow_provider_gemini_files.files.limits import LIST_PAGE_SIZE
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.connection import GeminiConnection

#: Seconds; these calls only read or write metadata.
_TIMEOUT = 60.0


class EventLoopClient:
    """
    Asks the service once for each call; made in another thread than that of the event loop which uses it.

    :param connection: whose project is asked.
    """

    def __init__(self, connection: GeminiConnection) -> None:
        # What httpx would import at its first request, and then in the loop.
        anyio.run(anyio.sleep, 0)
        self._client = httpx.AsyncClient(
            base_url=f"{connection.base_url}/{connection.api_version}/",
            headers={"x-goog-api-key": connection.api_key},
            timeout=_TIMEOUT,
        )

    async def get_file(self, name: str) -> GeminiFile:
        """Return a file; raises what :func:`error_from_answer` makes of the answer, as all calls here do."""
        return GeminiFile.from_api(await self._call(f"get {name}", "GET", name))

    async def list_pages(self, names: Collection[str] | None) -> AsyncGenerator[list[GeminiFile], None]:
        """Read the project's list; yield for each page the files of some names, or all where None."""
        query: dict[str, Any] = {"pageSize": LIST_PAGE_SIZE}
        while True:
            page = await self._call("list files", "GET", "files", query)
            files = page.get("files", [])
            # Only what is wanted is read: most of a long list is not.
            yield [GeminiFile.from_api(file) for file in files if names is None or file["name"] in names]
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    async def delete_file(self, name: str) -> None:
        """Delete a file."""
        await self._call(f"delete {name}", "DELETE", name)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _call(self, doing: str, method: str, path: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = await self._client.request(method, path, params=query)
        except httpx.TransportError as error:
            raise no_answer(error, doing) from error
        try:
            body = answer.json()
        except ValueError:
            body = answer.text
        if answer.is_success and isinstance(body, dict):
            return body
        # What is no JSON object is no answer of the service's, whatever its status.
        code = answer.status_code if answer.is_error else 502
        raise error_from_answer(code, body, doing, answer.headers.get("retry-after"))
