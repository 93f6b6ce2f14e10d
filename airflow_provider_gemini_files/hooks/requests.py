"""The calls for files as plain requests, and the reading of their responses; two drivers in ``rest.py`` send them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_gemini_files.common.failures import ApiResponse, error_of_response
from airflow_provider_gemini_files.common.limits import LIST_PAGE_SIZE
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import GeminiServiceError
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.connection import GeminiConnection

log = logging.getLogger(__name__)

_LIST_KEYS = ("files", "nextPageToken")
#: A gateway that answers 200 says in one of these what is wrong.
_ERROR_KEYS = {"error", "errors", "detail", "fault", "message", "msg"}


@dataclass(frozen=True)
class ApiRequest:
    """
    One request.

    :param doing: what it does, for error messages.
    :param path: what follows the API version in the URL.
    :param file: the file whose resource it is about, if it is one.
    :param results: keys that make an object the service's result, whatever else it has.
    """

    doing: str
    method: str
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    file: str | None = None
    results: tuple[str, ...] = ()

    def is_result(self, data: Mapping[str, Any]) -> bool:
        """Return whether an object is the service's result, and not the text of a gateway that answers 200."""
        if self.method == "DELETE":
            return not data
        return any(key in data for key in self.results) or not _ERROR_KEYS & {str(key).lower() for key in data}


def get_file(name: str) -> ApiRequest:
    """Return the request for a file's metadata."""
    return ApiRequest(f"get {name}", "GET", name, file=name, results=("name",))


def delete_file(name: str) -> ApiRequest:
    """Return the request that deletes a file."""
    return ApiRequest(f"delete {name}", "DELETE", name, file=name)


#: The cheapest call that needs a valid key and a Files API.
PING = ApiRequest("list files", "GET", "files", {"pageSize": 1}, results=_LIST_KEYS)


def read_response(response: ApiResponse, request: ApiRequest, connection: GeminiConnection) -> dict[str, Any]:
    """
    Return the JSON object of a response.

    :raises GeminiFilesError: if the response is an error, or anything but a JSON object.
    """
    is_success = 200 <= response.status < 300
    if is_success and not response.body:
        # A gateway may remove the empty object that answers a deletion.
        return {}
    if is_success and isinstance(response.data, dict) and request.is_result(response.data):
        return dict(response.data)
    if is_success:
        # A login page or a gateway's text is no result, whatever its status says.
        response = ApiResponse(502, response.headers, response.body)
    raise error_of_response(response, request.doing, file=request.file, secrets=(connection.api_key,))


def read_file(resource: Mapping[str, Any], connection: GeminiConnection) -> GeminiFile:
    """
    Return the file of a File resource.

    :raises GeminiServiceError: if it cannot be read.
    """
    try:
        return GeminiFile.from_api(resource, connection.conn_id)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise GeminiServiceError(
            f"The service returned a file that cannot be read: {shown_text(repr(error))}."
        ) from error


class Listing:
    """
    The list of a project's files, page after page; it sends nothing itself.

    While :meth:`next_request` returns a request, send it and give the response's object to :meth:`read`.

    :param names: only files of these names; all if None.
    """

    def __init__(self, connection: GeminiConnection, names: Collection[str] | None = None) -> None:
        self._connection = connection
        self._names = names
        self._token: str | None = None
        self._tokens: set[str] = set()
        self._is_done = False
        # By name: a file comes again on the next page if others are uploaded meanwhile.
        self._seen: set[str] = set()
        #: Files that could not be read; they count as kept, and nothing is known of them.
        self.unreadable = 0

    @property
    def is_done(self) -> bool:
        """Return whether the last page has been read."""
        return self._is_done

    def next_request(self) -> ApiRequest | None:
        """Return the request for the next page; None after the last."""
        if self._is_done:
            return None
        query: dict[str, str | int] = {"pageSize": LIST_PAGE_SIZE}
        if self._token:
            query["pageToken"] = self._token
        return ApiRequest("list files", "GET", "files", query, results=_LIST_KEYS)

    def read(self, page: Mapping[str, Any]) -> list[GeminiFile]:
        """
        Return the files of a page that no earlier page had; one that cannot be read is left out with a warning.

        :raises GeminiServiceError: if the service repeats a page token, so that the list would never end.
        """
        listed, token = page.get("files") or [], page.get("nextPageToken") or None
        if not isinstance(listed, list) or not isinstance(token, str | None):
            raise GeminiServiceError("Cannot list files: the service returned a page that cannot be read.")
        files = [file for resource in listed if (file := self._file(resource))]
        found = [file for file in files if file.name not in self._seen]
        self._seen.update(file.name for file in found)
        self._token = token
        self._is_done = self._token is None
        if self._token in self._tokens:
            raise GeminiServiceError(
                "Cannot list files: the service returned the same page token twice, so the list would never end."
            )
        if self._token:
            self._tokens.add(self._token)
        return found

    def _file(self, resource: Any) -> GeminiFile | None:
        name = resource.get("name") if isinstance(resource, Mapping) else None
        if self._names is not None and not (isinstance(name, str) and name in self._names):
            # Only files that are wanted are read: most of a long list are not.
            return None
        try:
            return read_file(resource, self._connection)
        except GeminiServiceError as error:
            self.unreadable += 1
            log.warning("A file of connection %r is skipped and kept: %s", self._connection.conn_id, error)
            return None
