"""The hook's calls that create files: upload one, several, or bytes; and upload a file again that is gone."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import Stats, conf
from airflow.sdk.log import mask_secret

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.common.concurrency import CONCURRENCY, Outcome, map_outcomes, shortened
from airflow_provider_gemini_files.common.failures import combined
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.exceptions import (
    GeminiFileGoneError,
    GeminiFilesError,
    GeminiInputError,
    GeminiStorageFullError,
)
from airflow_provider_gemini_files.files.naming import deployment_of, is_new_file_name, is_shared, label_of
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.storage_usage import StorageUsage
from airflow_provider_gemini_files.hooks import request_log
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.transfer.document_upload import NewDocument, UploadedDocument, upload_document
from airflow_provider_gemini_files.transfer.file_upload import Destination, FileUpload, Result, Tools
from airflow_provider_gemini_files.transfer.memory import MIN_REMEMBERED_BYTES, StateStore
from airflow_provider_gemini_files.transfer.progress import Progress
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.sources import find_source
from airflow_provider_gemini_files.transfer.upload import DEFAULT_MIN_REMAINING_TTL, Upload

if TYPE_CHECKING:
    import httpx

#: Seconds until a file that was uploaded again has to be ACTIVE; the upload operator's default.
_ACTIVE_WITHIN_SECONDS = 3600.0
#: Files of one upload that have a line of their own in the log; of more, only the folded group has.
_MAX_OPEN_LINES = 20


class UploadCalls:
    """The calls that create files."""

    def __init__(self, service: GeminiService, files: FileCalls) -> None:
        self._service = service
        self._files = files
        self._log = service.log

    def upload_files(self, uploads: Sequence[Upload], *, store: StateStore | None = None) -> list[GeminiFile]:
        """
        Upload several sources, some at once, and return their files in order.

        One that fails does not stop the others, unless all that follow would fail alike.

        :param store: Airflow's ``task_state_store``: a later attempt of the task resumes an interrupted upload.
        :raises GeminiFilesError: the error of the one that failed, or one that names all that failed.
        """
        from airflow_provider_gemini_files.transfer import uploader

        # Everything that can be refused is refused before a byte is sent.
        settled = [upload.settled() for upload in uploads]
        size = sum(upload.source.size for upload in settled)
        what = shown_text(settled[0].source.name) if len(settled) == 1 else f"{len(settled)} files"
        # Created here, as each thread would create its own.
        _ = self._service.files_client
        self._log.info("::group::Uploading %s, %s", what, human_bytes(size))
        progress = Progress(self._log.info, what, size)
        try:
            with uploader.new_client(self._service.connection.timeout, CONCURRENCY) as client:
                tools = self._tools(client, progress, store)
                outcomes = map_outcomes(lambda upload: self._upload(upload, tools), settled, name="gemini-upload")
        finally:
            self._log.info("::endgroup::")
        self._raise_for_failures(outcomes)
        files = [outcome.result.file for outcome in outcomes if outcome.result]
        Stats.timing("gemini_files.upload.seconds", progress.seconds() * 1000)
        self._log_files(settled, files)
        name = f"{files[0].name} ({files[0].state}): " if len(files) == 1 else ""
        self._log.info("%s%s", name, progress.summary())
        lineage.uploaded(self._service.hook, self._service.conn_id, files)
        return files

    def _log_files(self, uploads: Sequence[Upload], files: Sequence[GeminiFile]) -> None:
        """Log a line for each of several files, as the lines of the group above are folded; the last line has one."""
        if not 1 < len(files) <= _MAX_OPEN_LINES:
            return
        for upload, file in zip(uploads, files, strict=True):
            self._log.info("%s (%s): %s", file.name, file.state, shown_text(upload.source.name))

    def upload_document(
        self, file_search_store: str, document: NewDocument, *, store: StateStore | None = None
    ) -> UploadedDocument:
        """
        Upload a document into a file search store, and return it; it is often still PENDING.

        :param file_search_store: ``fileSearchStores/...``.
        :param store: as for :meth:`upload_files`.
        """
        source = document.source
        progress = Progress(self._log.info, shown_text(source.name), source.size)
        destination = replace(self._destination(), upload_url=self._service.connection.document_url(file_search_store))
        return upload_document(document, destination, self._tools(self._document_client, progress, store))

    def open_document_client(self) -> None:
        """Open the clients that uploads of documents from several threads share."""
        _ = self._service.files_client, self._document_client

    @cached_property
    def _document_client(self) -> httpx.Client:
        """Return the client of all uploads of documents: opening one takes longer than sending a page of text."""
        from airflow_provider_gemini_files.transfer import uploader

        client = uploader.new_client(self._service.connection.timeout, CONCURRENCY)
        weakref.finalize(self, client.close)
        return client

    def reupload_file(self, gone: GeminiFile, *, min_remaining_ttl: float = DEFAULT_MIN_REMAINING_TTL) -> GeminiFile:
        """
        Upload the source of a file that is gone once more, and wait until it is ACTIVE.

        The file has the owner it had, and the same name if the service allows it, so that a task which deletes it by
        name still does. A source that has changed is uploaded as it is now, with a warning.

        :param gone: the file's metadata, as its upload has returned it.
        :param min_remaining_ttl: seconds; if the file is still there and expires sooner, it is left alone, and the new
            one gets another name.
        :raises GeminiFileGoneError: if its source is not known or cannot be read; the message names it.
        """
        origin = gone.uploaded_from
        # As the log and the errors show it.
        uri = shown_text(origin.uri) if origin else ""
        if origin is None:
            raise GeminiFileGoneError(_cannot_reupload(gone, "its source is not known"))
        if not origin.complete:
            reason = f"it was uploaded from {uri!r}, whose user, query or unreadable name was not stored"
            raise GeminiFileGoneError(_cannot_reupload(gone, reason))
        try:
            source = find_source(origin.uri, origin.conn_id, roots=allowed_local_paths())
        except GeminiInputError as error:
            reason = f"its source cannot be read again: {shown_text(error.message).rstrip('.')}"
            raise GeminiFileGoneError(_cannot_reupload(gone, reason)) from error
        self._log.warning("%s can no longer be used: uploading %s again.", gone.name, uri)
        upload = Upload(
            source,
            mime_type=gone.mime_type,
            display_name=label_of(gone.display_name or source.name),
            name=gone.name,
            owner=gone.owner,
            share=is_shared(gone.display_name),
            deployment=deployment_of(gone.display_name),
            min_remaining_ttl=min_remaining_ttl,
        )
        [uploaded] = self.upload_files([upload])
        self._warn_of_changes(gone, uploaded, uri)
        active = self._files.wait_for_file(uploaded, timeout=_ACTIVE_WITHIN_SECONDS)
        return replace(active, uploaded_from=uploaded.uploaded_from)

    def _tools(self, client: httpx.Client, progress: Progress, store: StateStore | None) -> Tools:
        return Tools(
            client=client,
            files=self._files,
            progress=progress,
            store=store,
            log=self._log,
            clock=self._service.clock,
            server_now=self._service.server_now,
            hide=_hide,
        )

    def _upload(self, upload: Upload, tools: Tools) -> Result:
        result = FileUpload(upload, self._destination(), tools).run()
        if not result.reused:
            Stats.incr("gemini_files.upload.bytes", result.sent)
            Stats.incr("gemini_files.upload.files")
        if result.resumes:
            Stats.incr("gemini_files.upload.resumes", result.resumes)
        return result

    def _destination(self) -> Destination:
        connection = self._service.connection
        return Destination(
            conn_id=self._service.conn_id,
            upload_url=connection.upload_url,
            api_key=connection.api_key,
            key_place=connection.key_place,
            max_retries=connection.max_retries,
            via_host=connection.upload_via_host,
        )

    def _raise_for_failures(self, outcomes: Sequence[Outcome[Upload, Result]]) -> None:
        """Raise the error of the only upload, or one that names all that failed."""
        failed = [(outcome.item, outcome.error) for outcome in outcomes if outcome.error]
        if not failed:
            return
        done = [outcome.result.file for outcome in outcomes if outcome.result]
        errors = [error for _, error in failed]
        error = errors[0] if len(outcomes) == 1 else combined(errors, _explained(failed, done))
        if isinstance(error, GeminiStorageFullError):
            missing = sum(outcome.item.source.size for outcome in outcomes if not outcome.result)
            raise self._storage_full(error, missing) from error
        raise error

    def _storage_full(self, error: GeminiStorageFullError, missing: int) -> GeminiStorageFullError:
        """Add what is used, what was needed, and what would free it, as far as the list can be read."""
        try:
            files = self._files.list_files()
        except GeminiFilesError as failure:
            told = f"{error} {human_bytes(missing)} did not fit; the usage cannot be read ({failure})."
        else:
            usage = StorageUsage.of(files, self._service.connection.quota_bytes)
            owned = sum(file.owner is not None for file in files)
            expiry = f"; the next expires at {usage.next_expiry}" if usage.next_expiry else ""
            told = (
                f"{error} {human_bytes(missing)} did not fit; {usage.files} files use {human_bytes(usage.used_bytes)} "
                f"of {human_bytes(usage.quota_bytes)}, {owned} of them uploaded by Airflow tasks{expiry}. Run the "
                "cleanup Dag or GeminiDeleteFileOperator to free space; with on_quota='wait', the task waits for it."
            )
        return GeminiStorageFullError(told, missing, retry_after=error.retry_after, errors=error.errors)

    def _warn_of_changes(self, gone: GeminiFile, uploaded: GeminiFile, uri: str) -> None:
        if gone.sha256 and uploaded.sha256 != gone.sha256:
            self._log.warning(
                "%s has changed since %s was uploaded from it: sha256 was %s, is %s. The model gets the new version.",
                uri, gone.name, gone.sha256, uploaded.sha256,
            )  # fmt: skip
        if uploaded.name != gone.name:
            self._log.warning(
                "%s replaces %s, whose name could not be used again. A task that deletes the file by name will not "
                "find it: it stays until a cleanup deletes it, or until it expires.",
                uploaded.name, gone.name,
            )  # fmt: skip


def as_source(source: Source | str | os.PathLike[str]) -> Source:
    """Return a source, found if it is a path or URI."""
    return source if isinstance(source, Source) else find_source(source, roots=allowed_local_paths())


def allowed_local_paths() -> list[str]:
    """Return the directories that local sources are confined to; none if they are not."""
    paths = conf.get("gemini_files", "allowed_local_paths", fallback="") or ""
    return [path.strip() for path in paths.split(",") if path.strip()]


def _hide(url: str, size: int) -> None:
    """Keep a session's URL, which authorises anyone who has it, out of the log."""
    request_log.keep_out(url.partition("?")[0])
    # Every registered secret slows Airflow's masker permanently, so short-lived sessions of small files are not.
    if size > MIN_REMEMBERED_BYTES:
        mask_secret(url.partition("?")[2])


def _explained(failed: Sequence[tuple[Upload, GeminiFilesError]], done: Sequence[GeminiFile]) -> str:
    found_again = all(upload.share or (upload.name and not is_new_file_name(upload.name)) for upload, _ in failed)
    told = shortened([f"{shown_text(upload.source.uri)}: {error}" for upload, error in failed])
    if not done:
        return f"{len(failed)} uploads failed, and none succeeded: {told}"
    return (
        f"{len(failed)} uploads failed: {told} -- {len(done)} files are uploaded and stay: "
        f"{', '.join(file.name for file in done)}. A retry {'finds' if found_again else 'uploads'} them again."
    )


def _cannot_reupload(gone: GeminiFile, reason: str) -> str:
    task = f"task {shown_text(gone.owner.task_id)!r}" if gone.owner else "the task that uploaded it"
    if gone.owner and gone.owner.map_index >= 0:
        task += f" (map index {gone.owner.map_index})"
    where = f" of run {shown_text(gone.owner.run_id)!r}" if gone.owner else ""
    return (
        f"{gone.name} ({shown_text(label_of(gone.display_name) or 'no display name')}) is gone and cannot be uploaded "
        f"again: {reason}. Clear {task}{where}, which uploads it again, and then this one."
    )
