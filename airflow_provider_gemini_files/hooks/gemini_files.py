"""The hook: a Gemini connection, and every call that is made through it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_provider_gemini_files.batches.job import BatchJob, BatchLike
from airflow_provider_gemini_files.caches.cache import CacheLike, GeminiCache
from airflow_provider_gemini_files.caches.recipe import CacheRecipe
from airflow_provider_gemini_files.caches.spec import CacheSpec
from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.durations import LEAST_POLL_INTERVAL, Duration, seconds_of
from airflow_provider_gemini_files.content.answer import Answer
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.file_search.resources import Document, DocumentLike, FileSearchStore, StoreLike
from airflow_provider_gemini_files.files.cleanup_report import CleanupReport
from airflow_provider_gemini_files.files.deletion import Deletion
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile
from airflow_provider_gemini_files.files.storage_usage import StorageUsage
from airflow_provider_gemini_files.hooks.ask import Ask, Asked, AskOptions, FindUpload, OnMaxTokens
from airflow_provider_gemini_files.hooks.batch_input import BatchSpec
from airflow_provider_gemini_files.hooks.batch_run import BatchRun
from airflow_provider_gemini_files.hooks.batches import BatchCalls
from airflow_provider_gemini_files.hooks.cached_request import CachedRequest
from airflow_provider_gemini_files.hooks.caches import CacheCalls
from airflow_provider_gemini_files.hooks.connection import (
    CONN_TYPE,
    DEFAULT_CONN_ID,
    DEFAULT_HOST,
    HOOK_NAME,
    GeminiConnection,
)
from airflow_provider_gemini_files.hooks.content import ContentCalls
from airflow_provider_gemini_files.hooks.document_sync import DocumentSync
from airflow_provider_gemini_files.hooks.extras import connection_type
from airflow_provider_gemini_files.hooks.file_search import FileSearchCalls
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.hooks.google_credentials import DEFAULT_GCP_CONN_ID, GoogleIdentity
from airflow_provider_gemini_files.hooks.registration import Registration
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.hooks.shown_sources import ShownSources, SourceOptions
from airflow_provider_gemini_files.hooks.storage import StorageCalls
from airflow_provider_gemini_files.hooks.uploads import UploadCalls, as_source
from airflow_provider_gemini_files.hooks.wanted_documents import SyncSpec
from airflow_provider_gemini_files.pricing import Pricing
from airflow_provider_gemini_files.runs import RunLookup
from airflow_provider_gemini_files.transfer.memory import StateStore
from airflow_provider_gemini_files.transfer.source import Source, bytes_source
from airflow_provider_gemini_files.transfer.upload import DEFAULT_MIN_REMAINING_TTL, Upload

if TYPE_CHECKING:
    from google import genai  # noqa: TID251 - for type checkers only


class GeminiFilesHook(BaseHook):
    """
    The interface to the Gemini API: it reads the connection, and has a method for each call.

    Nothing is read or sent before the first call. Every call raises errors of
    :mod:`airflow_provider_gemini_files.exceptions`, and repeats a failed request up to the connection's ``max_retries``
        times.

    :param gemini_conn_id: a connection of type ``gemini``.
    :param clock: for tests.
    """

    conn_name_attr = "gemini_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONN_TYPE
    hook_name = HOOK_NAME

    def __init__(self, gemini_conn_id: str = DEFAULT_CONN_ID, *, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__()
        self.gemini_conn_id = gemini_conn_id
        self._service = GeminiService(gemini_conn_id, self, clock)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the connection form for Airflow 3.1; later versions read it from the provider's metadata."""
        behaviour = connection_type()["ui-field-behaviour"]
        return {
            "hidden_fields": behaviour["hidden-fields"],
            "relabeling": behaviour["relabeling"],
            "placeholders": behaviour["placeholders"],
        }

    @property
    def connection(self) -> GeminiConnection:
        """
        Return the connection's settings, checked.

        :raises GeminiInputError: if it does not exist or has a setting that cannot be used.
        :raises GeminiAuthError: if it has no key.
        """
        return self._service.connection

    @property
    def client(self) -> genai.Client:
        """Return the google-genai client of the connection, for everything that this hook has no method for."""
        return self._service.client

    def get_conn(self) -> genai.Client:
        """Return :attr:`client`, under the name that every hook has."""
        return self.client

    def test_connection(self) -> tuple[bool, str]:
        """Send one cheap request; return whether it succeeded, and a sentence about the result."""
        try:
            self._service.files_client.ping()
        except GeminiFilesError as error:
            return False, str(error)
        connection = self.connection
        host = "" if connection.base_url == DEFAULT_HOST else f" at {connection.base_url}"
        return True, f"The Gemini API{host} accepts the key and lists files ({connection.api_version})."

    def server_now(self) -> float:
        """Return the time of the service's clock in seconds since the epoch, if its responses have told it."""
        return self._service.server_now()

    # The parts, for the operators of this package; their methods are not public.

    @cached_property
    def files(self) -> FileCalls:
        """Return the calls for existing files."""
        return FileCalls(self._service)

    @cached_property
    def uploads(self) -> UploadCalls:
        """Return the calls that create files."""
        return UploadCalls(self._service, self.files)

    @cached_property
    def registration(self) -> Registration:
        """Return the registration of objects of Cloud Storage."""
        return Registration(self._service, self.files)

    @cached_property
    def storage(self) -> StorageCalls:
        """Return the calls for the project's storage."""
        return StorageCalls(self._service, self.files, self.batches)

    @cached_property
    def batches(self) -> BatchCalls:
        """Return the calls for batch jobs."""
        return BatchCalls(self._service, self.files)

    @property
    def pricing(self) -> Pricing:
        """Return the prices of this worker; not public."""
        return self._service.pricing

    def shown_sources(self, options: SourceOptions) -> ShownSources:
        """Return what shows the sources of one request, or of a batch."""
        return ShownSources(self._service, self.files, self.uploads, self.registration, options)

    def batch_run(self, spec: BatchSpec) -> BatchRun:
        """Return the use case of one batch."""
        return BatchRun(self._service, self.files, self.uploads, self.content, self.batches, spec)

    @cached_property
    def content(self) -> ContentCalls:
        """Return the calls to models."""
        return ContentCalls(self._service)

    @cached_property
    def file_search(self) -> FileSearchCalls:
        """Return the calls for file search stores and documents."""
        return FileSearchCalls(self._service)

    @cached_property
    def caches(self) -> CacheCalls:
        """Return the calls for caches."""
        return CacheCalls(self._service, self.content)

    def provide_cache(self, spec: CacheSpec, find_upload: FindUpload | None) -> GeminiCache:
        """Return the cache of a spec, as :meth:`create_cache` does; not public."""
        return self.caches.provide(spec, lambda: self._files_of(spec.contents, find_upload))

    def _files_of(self, contents: Contents, find_upload: FindUpload | None) -> list[GeminiFile]:
        """Return the files of contents as those of a request are looked up."""
        return self.asking(ModelRequest(contents), AskOptions(find_upload=find_upload)).files()

    def cached_request(
        self, request: ModelRequest, recipe: CacheRecipe, find_upload: FindUpload | None, *, recreate: bool = True
    ) -> CachedRequest:
        """Return the use case of a request that uses a cache."""
        return CachedRequest(
            self._service,
            self.caches,
            lambda contents: self._files_of(contents, find_upload),
            request,
            recipe,
            recreate=recreate,
        )

    def document_sync(self, spec: SyncSpec, store: StateStore | None = None) -> DocumentSync:
        """Return the use case of one sync."""
        return DocumentSync(self._service, self.file_search, self.uploads, spec, store)

    # Files

    def get_file(self, file: FileLike) -> GeminiFile:
        """
        Return a file as the service has it now.

        :raises GeminiFileGoneError: if it does not exist (any more).
        """
        return self.files.get_file(file)

    def list_files(self) -> list[GeminiFile]:
        """Return all files of the key's project, every page, newest first."""
        return self.files.list_files()

    def delete_file(self, file: FileLike, *, ignore_missing: bool = True) -> bool:
        """
        Delete a file.

        :param ignore_missing: do not raise if the file does not exist.
        :return: False if there was nothing to delete.
        """
        return self.files.delete_file(file, ignore_missing=ignore_missing)

    def delete_files(self, files: Sequence[FileLike]) -> list[Deletion]:
        """Delete several files at the same time; return the outcome for each, in order. Failures raise no error."""
        return self.files.delete_files(files)

    def wait_for_file(
        self, file: FileLike, *, timeout: Duration = 3600, poll_interval: Duration = 5, max_poll_interval: Duration = 30
    ) -> GeminiFile:
        """
        Block until a file is ACTIVE, and return it.

        :param timeout: seconds, or a timedelta, until the wait fails, as for the next two; the file stays.
        :param poll_interval: minimum seconds between two polls; they grow to a tenth of the time waited.
        :param max_poll_interval: maximum seconds between two polls.
        :raises GeminiFileFailedError: if the service could not process it.
        :raises GeminiWaitTimeoutError: after the timeout.
        """
        return self.files.wait_for_file(
            file,
            timeout=seconds_of(timeout, "timeout"),
            poll_interval=seconds_of(poll_interval, "poll_interval", least=LEAST_POLL_INTERVAL),
            max_poll_interval=seconds_of(max_poll_interval, "max_poll_interval", least=LEAST_POLL_INTERVAL),
        )

    # Uploads

    def upload_file(
        self,
        source: Source | str | os.PathLike[str],
        *,
        mime_type: str | None = None,
        display_name: str | None = None,
        name: str | None = None,
        share: bool = False,
        owner: Owner | None = None,
        min_remaining_ttl: Duration = DEFAULT_MIN_REMAINING_TTL,
    ) -> GeminiFile:
        """
        Upload a source as a stream, and verify the result.

        :param source: a path or URI as :func:`~airflow_provider_gemini_files.transfer.sources.find_source` takes it.
        :param mime_type: detected from the source's name and content if None.
        :param display_name: the source's name if None; the mark of the owner is appended.
        :param name: ``files/...`` to create or to find; a new name if None.
        :param share: share one file among all runs that upload the same bytes with the same type.
        :param owner: the task instance that the file belongs to.
        :param min_remaining_ttl: seconds, or a timedelta, that an existing file must still live to be used.
        :return: the file, often still PROCESSING.
        :raises GeminiIntegrityError: if size or hash differ; the remote file is then deleted.
        """
        ttl = seconds_of(min_remaining_ttl, "min_remaining_ttl")
        upload = Upload(as_source(source), mime_type, display_name, name, share, owner, ttl)
        return self.uploads.upload_files([upload])[0]

    def upload_bytes(
        self,
        data: bytes,
        name: str,
        *,
        mime_type: str | None = None,
        display_name: str | None = None,
        share: bool = False,
        owner: Owner | None = None,
        min_remaining_ttl: Duration = DEFAULT_MIN_REMAINING_TTL,
    ) -> GeminiFile:
        """
        Upload bytes that are in memory; the arguments are those of :meth:`upload_file`.

        :param name: a file name, from which the MIME type is detected; the default display name.
        """
        ttl = seconds_of(min_remaining_ttl, "min_remaining_ttl")
        upload = Upload(bytes_source(data, name), mime_type, display_name, None, share, owner, ttl)
        return self.uploads.upload_files([upload])[0]

    def upload_files(self, uploads: Sequence[Upload], *, store: StateStore | None = None) -> list[GeminiFile]:
        """
        Upload several sources, some at the same time, and return their files in order.

        One that fails does not stop the others.

        :param store: Airflow's ``task_state_store``: a later attempt of the task resumes an interrupted upload.
        :raises GeminiFilesError: the error of the upload that failed, or one error that names all that failed.
        """
        return self.uploads.upload_files(uploads, store=store)

    def reupload_file(self, gone: GeminiFile) -> GeminiFile:
        """
        Upload a file that is gone again from its source, and wait until it is ACTIVE.

        :param gone: the metadata of the file, as its upload has returned it.
        :raises GeminiFileGoneError: if its source is not known or cannot be read.
        """
        return self.uploads.reupload_file(gone)

    def register_files(
        self,
        source: Any,
        *,
        source_conn_id: str | None = None,
        gcp_conn_id: str = DEFAULT_GCP_CONN_ID,
        quota_project: str | None = None,
        impersonation_chain: str | Sequence[str] | None = None,
        store: StateStore | None = None,
    ) -> list[GeminiFile]:
        """
        Register objects in Google Cloud Storage as files, without copying them; return the files in order.

        :param source: ``gs://`` URI of an object, a prefix or a glob; or a list of these.
        :param source_conn_id: connection to find the objects with; if None, the one in the URI, or ``gcp_conn_id``.
        :param gcp_conn_id: connection whose credentials are sent instead of the API key. If the default connection does
            not exist, the worker's application default credentials are used.
        :param quota_project: project that the request is made for; if None, the project of the credentials.
        :param impersonation_chain: a chain of service accounts to impersonate; the last one makes the request.
        :param store: Airflow's ``task_state_store``: a later attempt of the task finds what this one has registered.
            Without it, objects are registered again, which costs nothing.
        :raises GeminiInputError: for anything that is not in Cloud Storage, before anything is sent.
        :raises GeminiAuthError: if there are no Google credentials, or if they, or those of the service, lack
            permission to read.
        """
        identity = GoogleIdentity.of(gcp_conn_id, quota_project, impersonation_chain)
        found = self.registration.find(source, source_conn_id, identity.gcp_conn_id)
        return self.registration.register(found.sources, identity, store=store)

    # Models

    def ask(
        self,
        prompt: str | None = None,
        files: Any = None,
        *,
        contents: Any = None,
        model: str | None = None,
        system_instruction: str | None = None,
        generation_config: Mapping[str, Any] | None = None,
        response_schema: Any = None,
        cached_content: CacheLike | None = None,
        repair_answer: bool = False,
        on_max_tokens: OnMaxTokens = "fail",
        max_input_tokens: int | None = None,
        repeat_unanswered: bool = False,
        find_upload: FindUpload | None = None,
        on_response: Callable[[dict[str, Any]], None] | None = None,
    ) -> Asked:
        """
        Ask a model, and return a usable answer; the arguments are those of ``GeminiGenerateContentOperator``.

        :param cached_content: a cache that comes before the contents, in any form.
        :param find_upload: finds the metadata of a file that is gone by its name, so that its source is uploaded again.
        :param on_response: called with the token counts and other details after each response, before it is validated.
        :return: the text or the JSON value, and its token counts.
        :raises GeminiInputError: for a request that cannot be sent, before anything is sent.
        :raises GeminiNoAnswerError: if the same request would again get no usable answer.
        :raises GeminiUnusableAnswerError: if another attempt may succeed.
        """
        request = ModelRequest.of(
            prompt=prompt,
            files=files,
            contents=contents,
            model=model,
            system_instruction=system_instruction,
            generation_config=generation_config,
            response_schema=response_schema,
        )
        options = AskOptions(
            repair_answer, on_max_tokens, max_input_tokens, repeat_unanswered, find_upload, on_response
        )
        if cached_content is not None:
            cached = self.cached_request(request, CacheRecipe.read(cached_content), find_upload)
            request, options = cached.to_send(), replace(options, on_cache_gone=cached.recreated)
        with self.asking(request, options) as asking:
            return asking.run()

    def asking(self, request: ModelRequest, options: AskOptions) -> Ask:
        """Return the use case of one request; not public."""
        sources = self.shown_sources(options.sources)
        return Ask(self._service, self.files, self.content, sources, self.reupload_file, request, options)

    def generate_content(
        self,
        contents: Contents | str,
        files: Sequence[GeminiFile] = (),
        *,
        model: str | None = None,
        system_instruction: str | None = None,
        generation_config: Mapping[str, Any] | None = None,
        schema: Schema | None = None,
        repeat_unanswered: bool = False,
    ) -> Answer:
        """
        Send one request to a model, and return its answer without validation; see also :meth:`ask`.

        :param contents: a prompt, which follows the files; or the result of :meth:`Contents.parse`.
        :param files: ACTIVE files, for the names of the contents in their order.
        :param model: the connection's if None.
        :param generation_config: fields of ``google.genai.types.GenerateContentConfig``.
        :param schema: the schema that the answer has to follow.
        :param repeat_unanswered: repeat a request that was sent but not answered, which may be billed twice.
        :raises GeminiInputError: before anything is sent, for what the SDK's own types do not accept.
        """
        request = ModelRequest(_contents(contents, files), model, system_instruction, generation_config, schema)
        return self.content.generate(request.checked(), files, repeat_unanswered=repeat_unanswered)

    def count_tokens(
        self,
        contents: Contents | str,
        files: Sequence[GeminiFile] = (),
        *,
        model: str | None = None,
        system_instruction: str | None = None,
    ) -> int:
        """Return the number of tokens of a request, which costs nothing; as for :meth:`generate_content`."""
        return self.content.count_tokens(ModelRequest(_contents(contents, files), model, system_instruction), files)

    # Caches

    def create_cache(
        self,
        files: Any = None,
        *,
        contents: Any = None,
        model: str | None = None,
        system_instruction: str | None = None,
        ttl: Duration = 3600,
        display_name: str = "cache",
        owner: Owner | None = None,
        find_upload: FindUpload | None = None,
    ) -> GeminiCache:
        """
        Return a cache of files and contents; create one only if there is none with the same contents and owner.

        The storage of a cache is billed by its tokens and its hours.

        :param files: as for ``GeminiCreateCacheOperator``, as are ``contents``, ``model`` and ``system_instruction``.
        :param ttl: how long it lives from now, in seconds or as a timedelta.
        :param display_name: a text for people; the mark by which the cache is found is appended.
        :param owner: the task instance that the cache belongs to.
        :param find_upload: finds the metadata of a file that is gone by its name, so that its source is uploaded again.
        :raises GeminiCacheTooSmallError: if the contents have too few tokens; nothing was created.
        """
        spec = CacheSpec.of(
            Contents.parse(None, files, contents or []),
            model=model or self.connection.model,
            ttl=seconds_of(ttl, "ttl", least=1.0),
            system_instruction=system_instruction,
            conn_id=self.gemini_conn_id,
            owner=owner,
            label=display_name,
        )
        return self.provide_cache(spec, find_upload)

    def get_cache(self, cache: CacheLike) -> GeminiCache:
        """
        Return a cache as the service has it now, but not its contents.

        :param cache: its name, ``cachedContents/...``, or a dict with ``name``.
        :raises GeminiCacheGoneError: if it does not exist (any more).
        """
        return self.caches.get_cache(cache)

    def list_caches(self) -> list[GeminiCache]:
        """Return all caches of the key's project."""
        return self.caches.list_caches()

    def delete_cache(self, cache: CacheLike, *, ignore_missing: bool = True) -> bool:
        """
        Delete a cache, so that its storage is no longer billed.

        :return: False if there was nothing to delete.
        """
        return self.caches.delete_cache(cache, ignore_missing=ignore_missing)

    # Batch jobs

    def get_batch(self, batch: BatchLike) -> BatchJob:
        """
        Return a batch job as the service has it now, with the reason if it has failed.

        :param batch: its name, ``batches/...``, or a dict with ``name``.
        :raises GeminiBatchGoneError: if it does not exist (any more).
        """
        return self.batches.get_batch(batch)

    def list_batches(self) -> list[BatchJob]:
        """Return all batch jobs of the key's project, every page, newest first."""
        return self.batches.list_batches()

    def cancel_batch(self, batch: BatchLike, *, ignore_missing: bool = True) -> bool:
        """
        Ask the service to cancel a batch job. It ends a while later, and may still end in another state.

        :return: False if it has ended already, or does not exist.
        """
        return self.batches.cancel_batch(batch, ignore_missing=ignore_missing)

    def delete_batch(self, batch: BatchLike, *, ignore_missing: bool = True) -> bool:
        """
        Delete a batch job that has ended; its result file stays.

        :return: False if there was nothing to delete.
        :raises GeminiInputError: for a job that has not ended.
        """
        return self.batches.delete_batch(batch, ignore_missing=ignore_missing)

    # File search

    def create_file_search_store(self, display_name: str, embedding_model: str | None = None) -> FileSearchStore:
        """
        Return the oldest file search store with this display name; create one if there is none.

        :raises GeminiInputError: if the store exists with another embedding model.
        """
        return self.file_search.create_store(display_name, embedding_model)

    def list_file_search_stores(self) -> list[FileSearchStore]:
        """Return all file search stores of the key's project."""
        return self.file_search.list_stores()

    def delete_file_search_store(self, store: StoreLike, *, force: bool = False, ignore_missing: bool = True) -> bool:
        """
        Delete a file search store.

        :param force: delete its documents as well; otherwise, a store that has documents is an error.
        :return: False if there was nothing to delete.
        """
        return self.file_search.delete_store(store, force=force, ignore_missing=ignore_missing)

    def list_documents(self, store: StoreLike) -> list[Document]:
        """Return all documents of a file search store."""
        return self.file_search.list_documents(store)

    def delete_document(self, document: DocumentLike, *, ignore_missing: bool = True) -> bool:
        """
        Delete a document of a file search store.

        :return: False if there was nothing to delete.
        """
        return self.file_search.delete_document(document, ignore_missing=ignore_missing)

    # Storage

    def usage(self) -> StorageUsage:
        """Return how much of the storage is used, computed from the complete list of files."""
        return self.storage.usage()

    def cleanup(self, policy: RetentionPolicy, lookup: RunLookup, *, dry_run: bool = False) -> CleanupReport:
        """
        Delete the files that a policy selects, and return the report.

        :param lookup: asks Airflow about runs: :func:`~airflow_provider_gemini_files.runs.task_lookup` in a task,
            :func:`~airflow_provider_gemini_files.runs.database_lookup` in a process with a database.
        :param dry_run: only report what would be deleted.
        :raises GeminiFilesError: if the files cannot be listed, or if none of the selected files could be deleted.
        """
        return self.storage.cleanup(policy, lookup, dry_run=dry_run)


def _contents(contents: Contents | str, files: Sequence[GeminiFile]) -> Contents:
    return Contents.parse(contents, list(files) or None) if isinstance(contents, str) else contents
