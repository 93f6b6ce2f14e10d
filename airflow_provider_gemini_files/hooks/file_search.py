"""The hook's calls for file search stores and their documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiFilesError,
    GeminiInputError,
    GeminiServiceError,
    GeminiStoreGoneError,
)
from airflow_provider_gemini_files.file_search.resources import (
    Document,
    DocumentLike,
    FileSearchStore,
    StoreLike,
    parse_document,
    parse_store,
)
from airflow_provider_gemini_files.file_search.state import DocumentWait
from airflow_provider_gemini_files.hooks import file_search_requests as requests
from airflow_provider_gemini_files.hooks.polling import Polling
from airflow_provider_gemini_files.hooks.requests import ApiRequest, Listing
from airflow_provider_gemini_files.hooks.service import GeminiService


class FileSearchCalls:
    """The calls for stores and documents."""

    def __init__(self, service: GeminiService) -> None:
        self._service = service
        self._log = service.log
        self._stores = Polling(service, requests.STORES)
        self._documents: dict[str, Polling[Document]] = {}

    def get_store(self, store: StoreLike) -> FileSearchStore:
        """
        Return a store.

        :raises GeminiStoreGoneError: if it does not exist (any more).
        """
        return self._stores.get(parse_store(store))

    def list_stores(self) -> list[FileSearchStore]:
        """Return all stores of the key's project."""
        return self._stores.list_all()

    def create_store(self, display_name: str, embedding_model: str | None = None) -> FileSearchStore:
        """
        Return the store of a display name: the oldest that there is, or a new one.

        The service chooses the name of a new store, and creates as many of one display name as it is asked for. So a
        store is looked for first, and once more after it was created: of two tasks at once, both return the older one.

        :raises GeminiInputError: if there is one with another embedding model.
        """
        display_name = _checked_display_name(display_name)
        found = self._oldest(display_name)
        if found is None:
            found = self._new_store(display_name, embedding_model)
        else:
            self._log.info("Using %s, which already exists.", found.name)
        if embedding_model and found.embedding_model and _model(found.embedding_model) != _model(embedding_model):
            raise GeminiInputError(
                f"The store {display_name!r} exists as {found.name} with the embedding model {found.embedding_model}, "
                f"not {embedding_model}: a store cannot change it. Choose another display_name."
            )
        return found

    def delete_store(self, store: StoreLike, *, force: bool = False, ignore_missing: bool = True) -> bool:
        """
        Delete a store.

        :param force: with all of its documents; else a store that has some is an error.
        :return: False if there was nothing to delete.
        """
        return self._delete(parse_store(store), force=force, ignore_missing=ignore_missing)

    def get_document(self, document: DocumentLike) -> Document:
        """
        Return a document.

        :raises GeminiStoreGoneError: if it does not exist (any more).
        """
        name = parse_document(document)
        return self._polling(name.partition("/documents/")[0]).get(name)

    def list_documents(self, store: StoreLike) -> list[Document]:
        """Return all documents of a store."""
        return self._polling(parse_store(store)).list_all()

    def first_documents(self, store: StoreLike, count: int) -> tuple[list[Document], bool]:
        """
        Return the documents on the first pages of a store's list, and whether there are more.

        :param count: once there are as many, no further page is read.
        """
        name = parse_store(store)
        listing = Listing(requests.documents_of(name), self._service.connection)
        documents: list[Document] = []
        while not listing.is_done and len(documents) < count:
            documents += self._polling(name).read_page(listing)
        return documents, not listing.is_done

    def delete_document(self, document: DocumentLike, *, ignore_missing: bool = True) -> bool:
        """
        Delete a document with its chunks.

        :return: False if there was nothing to delete.
        """
        return self._delete(parse_document(document), force=True, ignore_missing=ignore_missing)

    def import_file(self, store: str, file_name: str, fields: Mapping[str, Any]) -> str:
        """
        Copy a file into a store, and return the name of the operation, which is not that of the document.

        :param fields: ``customMetadata`` and ``chunkingConfig``.
        """
        operation = self._send_once(requests.import_file(store, file_name, fields)).get("name")
        if not isinstance(operation, str):
            raise GeminiServiceError(f"Cannot add {file_name} to {store}: the service named no operation.")
        return operation

    def operation_error(self, operation: str) -> str | None:
        """Return why an operation has failed; None if it has not, or if it does not exist any more."""
        try:
            data = self._service.call(lambda: self._service.files_client.send(requests.get_operation(operation)))
        except (GeminiStoreGoneError, GeminiInputError, GeminiAuthError):
            # The status of an operation that is gone is not documented. What else a key may not do shows elsewhere.
            return None
        error = data.get("error")
        if not isinstance(error, Mapping):
            return None
        return shown_text(error.get("message") or error, (self._service.connection.api_key,))

    def poll(self, store: str, wait: DocumentWait) -> bool:
        """
        Poll each pending document once, and return whether all are ACTIVE.

        :raises GeminiFilesError: as :meth:`Wait.check` does.
        """
        return self._polling(store).poll(wait)

    def finish(self, store: str, wait: DocumentWait) -> list[Document]:
        """
        Block until a wait is over, and return its documents.

        :raises GeminiFilesError: as :meth:`Wait.check` does.
        """
        return self._polling(store).finish(wait)

    def _polling(self, store: str) -> Polling[Document]:
        if store not in self._documents:
            self._documents[store] = Polling(self._service, requests.documents_of(store))
        return self._documents[store]

    def _new_store(self, display_name: str, embedding_model: str | None) -> FileSearchStore:
        request = requests.create_store(display_name, embedding_model)
        try:
            created = requests.STORES.read(self._send_once(request), self._service.connection)
        except GeminiServiceError as error:
            # It may exist all the same.
            self._log.warning("%s Looking whether the store exists.", error)
            found = self._oldest(display_name)
            if found is None:
                raise
            return found
        self._log.info("Created the store %s (%s)", created.name, display_name)
        # The new store may not be in the list yet.
        first = self._oldest(display_name)
        if first is None or first.name == created.name:
            return created
        self._log.info("Using %s, which is older; deleting the new store, which is empty.", first.name)
        try:
            self.delete_store(created.name)
        except GeminiFilesError as error:
            self._log.warning("%s It stays, and is not used.", error)
        return first

    def _send_once(self, request: ApiRequest) -> dict[str, Any]:
        """
        Send a request that creates something, and again only after a rate limit: then nothing was created.

        :raises GeminiServiceError: after any other failure; it may have been created.
        """
        client = self._service.files_client

        def send() -> dict[str, Any] | GeminiServiceError:
            try:
                return client.send(request)
            except GeminiServiceError as error:
                return error

        sent = self._service.call(send)
        if isinstance(sent, GeminiServiceError):
            raise sent
        return sent

    def _oldest(self, display_name: str) -> FileSearchStore | None:
        named = [store for store in self.list_stores() if store.display_name == display_name]
        return min(named, key=lambda store: (store.created_at() or 0.0, store.name), default=None)

    def _delete(self, name: str, *, force: bool, ignore_missing: bool) -> bool:
        attempts = 0

        def delete() -> None:
            nonlocal attempts
            attempts += 1
            self._service.files_client.send(requests.delete_resource(name, force=force))

        try:
            self._service.call(delete)
        except GeminiStoreGoneError:
            # Gone at the second attempt: the first one succeeded, and only its response was lost.
            if attempts == 1 and not ignore_missing:
                raise
            return attempts > 1
        return True


#: Control characters, and halves of characters, which cannot be sent.
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
#: Characters of a display name, as Google's documentation says.
_MAX_DISPLAY_NAME = 512


def _checked_display_name(given: object) -> str:
    """Return a display name without the white space around it, which templates leave."""
    name = given.strip() if isinstance(given, str) else ""
    if not name or len(name) > _MAX_DISPLAY_NAME or _UNUSABLE.search(name):
        raise GeminiInputError(
            f"display_name must be a text of 1 to {_MAX_DISPLAY_NAME} characters, without control characters; got "
            f"{given!r:.100}."
        )
    return name


def _model(name: str | None) -> str:
    return (name or "").removeprefix("models/")
