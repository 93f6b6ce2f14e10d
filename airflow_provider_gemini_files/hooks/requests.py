"""The calls that need no SDK as plain requests, and the reading of their responses; ``rest.py`` sends them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from airflow_provider_gemini_files.batches.job import SUCCEEDED, BatchJob
from airflow_provider_gemini_files.common.failures import ApiResponse, error_of_response
from airflow_provider_gemini_files.common.limits import LIST_PAGE_SIZE
from airflow_provider_gemini_files.common.lookup import Named
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import (
    GeminiBatchGoneError,
    GeminiFileGoneError,
    GeminiFilesError,
    GeminiServiceError,
    GeminiStoreGoneError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.connection import GeminiConnection

log = logging.getLogger(__name__)

_LIST_KEYS = ("files", "operations", "fileSearchStores", "documents", "cachedContents", "nextPageToken")
#: Pages in a row that may have nothing new: the service may leave out what has expired.
_MAX_IDLE_PAGES = 200
#: A gateway that answers 200 says in one of these what is wrong.
_ERROR_KEYS = {"error", "errors", "detail", "fault", "message", "msg"}


@dataclass(frozen=True)
class Bearer:
    """
    Google credentials that a request is sent with, instead of the API key.

    :param token: never shown, not even by ``repr``.
    :param quota_project: the project that the request is made for; the credentials decide if None.
    """

    token: str = field(repr=False)
    quota_project: str | None = None


@dataclass(frozen=True)
class ApiRequest:
    """
    One request.

    :param doing: what it does, for error messages.
    :param path: what follows the API version in the URL.
    :param about: the name of the resource that it is about; None for a list and a creation.
    :param gone: the error of a resource that does not exist.
    :param body: what is sent as JSON; nothing if None.
    :param results: keys that make an object the service's result, whatever else it has.
    :param bearer: what the request is sent with; the API key if None.
    :param advice: what to do if the sender lacks the permission to do this; to check the key if None.
    :param timeout: seconds that the response may take; as long as a call for metadata takes if None.
    """

    doing: str
    method: str
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    about: str | None = None
    gone: type[GeminiFilesError] = GeminiFileGoneError
    body: Mapping[str, Any] | None = None
    results: tuple[str, ...] = ()
    bearer: Bearer | None = None
    advice: str | None = None
    timeout: float | None = None

    def secrets(self, connection: GeminiConnection) -> tuple[str, ...]:
        """Return the texts that no error about this request may show."""
        return (connection.api_key,) if self.bearer is None else (connection.api_key, self.bearer.token)

    def is_result(self, data: Mapping[str, Any]) -> bool:
        """Return whether an object is the service's result, and not the text of a gateway that answers 200."""
        if not self.results:
            # What is done without a result has an empty object as its response.
            return not data
        if any(key in data for key in self.results):
            return True
        if self.results == _LIST_KEYS:
            # An empty list has no key at all.
            return not data
        return not _ERROR_KEYS & {str(key).lower() for key in data}


def get_file(name: str) -> ApiRequest:
    """Return the request for a file's metadata."""
    return ApiRequest(f"get {name}", "GET", name, about=name, results=("name",))


def delete_file(name: str) -> ApiRequest:
    """Return the request that deletes a file."""
    return ApiRequest(f"delete {name}", "DELETE", name, about=name)


def register_files(uris: Sequence[str], bearer: Bearer, doing: str, advice: str) -> ApiRequest:
    """
    Return the request that registers objects of Cloud Storage as files.

    :param uris: ``gs://bucket/key`` of each.
    """
    return ApiRequest(
        doing, "POST", "files:register", body={"uris": list(uris)}, results=("files",), bearer=bearer, advice=advice
    )


def get_batch(name: str) -> ApiRequest:
    """Return the request for a batch job."""
    return ApiRequest(f"get {name}", "GET", name, about=name, gone=GeminiBatchGoneError, results=("name", "metadata"))


def create_batch(model: str, display_name: str, input_file: str) -> ApiRequest:
    """
    Return the request that submits a batch job.

    :param input_file: ``files/...`` with one request on each line.
    """
    batch = {"displayName": display_name, "inputConfig": {"fileName": input_file}}
    path = f"{model if '/' in model else f'models/{model}'}:batchGenerateContent"
    return ApiRequest(
        f"submit a batch job to {model}", "POST", path, body={"batch": batch}, results=("name", "metadata")
    )


def cancel_batch(name: str) -> ApiRequest:
    """Return the request that cancels a batch job."""
    return ApiRequest(f"cancel {name}", "POST", f"{name}:cancel", about=name, gone=GeminiBatchGoneError, body={})


def delete_batch(name: str) -> ApiRequest:
    """Return the request that deletes a batch job."""
    return ApiRequest(f"delete {name}", "DELETE", name, about=name, gone=GeminiBatchGoneError)


#: The cheapest call that needs a valid key and a Files API.
PING = ApiRequest("list files", "GET", "files", {"pageSize": 1}, results=_LIST_KEYS)


def read_response(response: ApiResponse, request: ApiRequest, connection: GeminiConnection) -> dict[str, Any]:
    """
    Return the JSON object of a response.

    :raises GeminiFilesError: if the response is an error, or anything but a JSON object.
    """
    is_success = 200 <= response.status < 300
    if is_success and not response.body and not request.results:
        # A gateway may remove the empty object that answers a deletion.
        return {}
    if is_success and isinstance(response.data, dict) and request.is_result(response.data):
        return dict(response.data)
    if is_success:
        # A login page or a gateway's text is no result, whatever its status says.
        response = response.as_error()
    error = error_of_response(
        response,
        request.doing,
        file=request.about,
        secrets=request.secrets(connection),
        key_place=connection.key_place,
        advice=request.advice,
    )
    # A request for something else may name a file, and then it may be the file that is gone.
    is_of_file = request.gone is GeminiFileGoneError or "access the File " in response.text
    if isinstance(error, GeminiFileGoneError | GeminiStoreGoneError) and not is_of_file:
        raise request.gone(
            f"{request.about} does not exist: it was deleted, or belongs to another project than the key of connection "
            f"{connection.conn_id!r}."
        )
    raise error


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


def read_batch(operation: Mapping[str, Any], connection: GeminiConnection) -> BatchJob:
    """
    Return the batch job of an operation.

    :raises GeminiServiceError: if it cannot be read.
    """
    try:
        return BatchJob.from_api(operation, connection.conn_id, (connection.api_key,))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GeminiServiceError(
            f"The service returned a batch job that cannot be read: {shown_text(repr(error))}."
        ) from error


T = TypeVar("T", bound=Named)


def _always(_: object) -> bool:
    return True


@dataclass(frozen=True)
class Resource(Generic[T]):
    """
    A kind of resource: how it is listed, got and read.

    :param plural: for messages, and the path of its list.
    :param key: the key of a page that has the items.
    :param parent: the resource that they belong to; None for those of the project.
    :param gone: the error of a parent or an item that does not exist.
    :param page_size: items of a page, the most that the service gives.
    :param says_all: whether an item of a list says all that getting it would.
    """

    plural: str
    key: str
    get: Callable[[str], ApiRequest]
    read: Callable[[Mapping[str, Any], GeminiConnection], T]
    page_size: int = LIST_PAGE_SIZE
    parent: str | None = None
    gone: type[GeminiFilesError] = GeminiFileGoneError
    says_all: Callable[[T], bool] = _always


FILES: Resource[GeminiFile] = Resource("files", "files", get_file, read_file)
#: The list of jobs leaves out results that are in the job itself.
BATCHES: Resource[BatchJob] = Resource(
    "batches",
    "operations",
    get_batch,
    read_batch,
    says_all=lambda job: job.state not in SUCCEEDED or job.has_results,
)


class Listing(Generic[T]):
    """
    The list of a project's resources of one kind, page after page; it sends nothing itself.

    While :meth:`next_request` returns a request, send it and give the response's object to :meth:`read`.

    :param names: only items of these names; all if None.
    """

    def __init__(
        self, resource: Resource[T], connection: GeminiConnection, names: Collection[str] | None = None
    ) -> None:
        self._resource = resource
        self._connection = connection
        self._names = names
        self._token: str | None = None
        self._tokens: set[str] = set()
        self._is_done = False
        # By name: an item comes again on the next page if others are created meanwhile.
        self._seen: set[str] = set()
        #: All names on the pages, wanted or not.
        self._listed: set[str] = set()
        self._idle_pages = 0
        #: Items that could not be read; they count as kept, and nothing is known of them.
        self.unreadable = 0

    @property
    def is_done(self) -> bool:
        """Return whether the last page has been read."""
        return self._is_done

    def next_request(self) -> ApiRequest | None:
        """Return the request for the next page; None after the last."""
        if self._is_done:
            return None
        query: dict[str, str | int] = {"pageSize": self._resource.page_size}
        if self._token:
            query["pageToken"] = self._token
        kind = self._resource
        return ApiRequest(
            f"list {kind.plural}", "GET", kind.plural, query, about=kind.parent, gone=kind.gone, results=_LIST_KEYS
        )

    def read(self, page: Mapping[str, Any]) -> list[T]:
        """
        Return the items of a page that no earlier page had; one that cannot be read is left out with a warning.

        :raises GeminiServiceError: if the service repeats a page token or its pages, so that the list would never end.
        """
        doing = f"Cannot list {self._resource.plural}"
        listed, token = page.get(self._resource.key), page.get("nextPageToken") or None
        listed = [] if listed is None else listed
        if not isinstance(listed, list) or not isinstance(token, str | None):
            raise GeminiServiceError(f"{doing}: the service returned a page that cannot be read.")
        items = {item.name: item for resource in listed if (item := self._item(resource))}
        found = [item for name, item in items.items() if name not in self._seen]
        self._seen.update(items)
        self._token = token
        self._is_done = self._token is None
        self._check_progress(listed, doing)
        if self._token in self._tokens:
            raise GeminiServiceError(
                f"{doing}: the service returned the same page token twice, so the list would never end."
            )
        if self._token:
            self._tokens.add(self._token)
        return found

    def _check_progress(self, listed: Sequence[Any], doing: str) -> None:
        """Raise an error if page after page has nothing new, as of a gateway that ignores the token but renews it."""
        names = {str(one.get("name")) for one in listed if isinstance(one, Mapping)} - self._listed
        self._listed |= names
        self._idle_pages = 0 if names else self._idle_pages + 1
        if self._idle_pages > _MAX_IDLE_PAGES and not self._is_done:
            raise GeminiServiceError(
                f"{doing}: {self._idle_pages} pages in a row had nothing new, so the list would never end."
            )

    def _item(self, resource: Any) -> T | None:
        name = resource.get("name") if isinstance(resource, Mapping) else None
        if self._names is not None and not (isinstance(name, str) and name in self._names):
            # Only items that are wanted are read: most of a long list are not.
            return None
        try:
            item = self._resource.read(resource, self._connection)
        except GeminiServiceError as error:
            self.unreadable += 1
            log.warning(
                "One of the %s of connection %r is skipped and kept: %s",
                self._resource.plural, self._connection.conn_id, error,
            )  # fmt: skip
            return None
        return item if self._names is None or self._resource.says_all(item) else None
