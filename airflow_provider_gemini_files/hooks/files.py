"""The hook's calls for files: upload, get, list, wait, delete."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Collection, Mapping

from airflow.sdk.log import mask_secret

from airflow_provider_gemini_files.exceptions import (
    GeminiFileFailedError,
    GeminiFileGoneError,
    GeminiFileNotActiveError,
    GeminiFilesError,
    GeminiIntegrityError,
    GeminiNameTakenError,
)
from airflow_provider_gemini_files.files.limits import human_bytes
from airflow_provider_gemini_files.files.mime import mime_type_of
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, parse_name
from airflow_provider_gemini_files.files.state import FileWaits, processing_failed
from airflow_provider_gemini_files.hooks.base import GeminiBaseHook
from airflow_provider_gemini_files.transfer.progress import Progress
from airflow_provider_gemini_files.transfer.session import UploadSession
from airflow_provider_gemini_files.transfer.sources import Source, find_source


class FileCalls(GeminiBaseHook):
    """What can be done with files."""

    def get_file(self, file: FileLike) -> GeminiFile:
        """
        Return a file as the service has it now.

        :raises GeminiFileGoneError: where it is not there (any more).
        """
        from airflow_provider_gemini_files.hooks import sdk

        name = parse_name(file)
        return self._call(f"get {name}", lambda: sdk.get_file(self.client, name))

    async def aget_file(self, file: FileLike) -> GeminiFile:
        """Return a file as :meth:`get_file` does, from an event loop, asking once."""
        from airflow_provider_gemini_files.hooks import sdk

        name = parse_name(file)
        try:
            return await sdk.aget_file(self.client, name)
        except sdk.CALL_ERRORS as error:
            raise sdk.error_of(error, f"get {name}") from error

    async def alist_pages(self, names: Collection[str]) -> AsyncGenerator[list[GeminiFile], None]:
        """Read the project's list from an event loop, asking once; yield for each page the files of some names."""
        from airflow_provider_gemini_files.hooks import sdk

        try:
            async for page in sdk.alist_pages(self.client, names):
                yield page
        except sdk.CALL_ERRORS as error:
            raise sdk.error_of(error, "list files") from error

    def list_files(self) -> list[GeminiFile]:
        """Return all files of the key's project, every page, newest first."""
        from airflow_provider_gemini_files.hooks import sdk

        return self._call("list files", lambda: sdk.list_files(self.client))

    def delete_file(self, file: FileLike, *, ignore_missing: bool = True) -> bool:
        """
        Delete a file.

        :param ignore_missing: a file that is not there is no error.
        :return: False where there was nothing to delete.
        """
        from airflow_provider_gemini_files.hooks import sdk

        name = parse_name(file)
        tries = 0

        def delete() -> None:
            nonlocal tries
            tries += 1
            sdk.delete_file(self.client, name)

        try:
            self._call(f"delete {name}", delete)
        except GeminiFileGoneError:
            # Gone at a second try: the first one worked, and only its answer was lost.
            if tries == 1 and not ignore_missing:
                raise
            return tries > 1
        return True

    def wait_for_file(
        self, file: FileLike, *, timeout: float = 3600, poll_interval: float = 5, max_poll_interval: float = 30
    ) -> GeminiFile:
        """
        Block until a file is ACTIVE, and return it.

        :param timeout: seconds until the wait fails; the file stays.
        :param poll_interval: seconds between two looks, the least; they grow to a tenth of the time waited.
        :param max_poll_interval: seconds between two looks, the most.
        :raises GeminiFilesError: as :meth:`FileWaits.check` does.
        """
        waits = FileWaits(
            [parse_name(file)],
            deadline=time.time() + timeout,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
        )
        return self.finish(waits)[0]

    def finish(self, waits: FileWaits) -> list[GeminiFile]:
        """
        Block until a wait is over, and return its files in the order they were asked for.

        :raises GeminiFilesError: as :meth:`FileWaits.check` does.
        """
        while not self.look(waits):
            now = time.time()
            self.log.info(waits.describe(now))
            time.sleep(waits.next_look(now) - now)
        return waits.ready()

    def look(self, waits: FileWaits) -> bool:
        """
        Look once at each file that is waited for; return whether all are ACTIVE.

        :raises GeminiFilesError: as :meth:`FileWaits.check` does.
        """
        for name in waits.pending:
            try:
                seen: GeminiFile | GeminiFilesError = self.get_file(name)
            except GeminiFilesError as error:
                seen = error
            waits.see(name, seen, time.time())
        return waits.check(time.time())

    def delete_failed(self, error: GeminiFileFailedError) -> None:
        """Delete the files of an error that the service could not process; what cannot be deleted is only logged."""
        for name in error.file_names:
            try:
                self.delete_file(name)
            except GeminiFilesError as failure:
                self.log.warning("The FAILED file %s stays: %s", name, failure)
            else:
                self.log.info("Deleted %s, which had FAILED", name)

    def upload_file(
        self,
        source: Source | str | os.PathLike[str],
        *,
        mime_type: str | None = None,
        display_name: str | None = None,
        name: str | None = None,
        owner: Owner | None = None,
    ) -> GeminiFile:
        """
        Upload a source, streamed, and verify what arrived.

        :param source: a path or URI as :func:`~airflow_provider_gemini_files.transfer.sources.find_source` takes it,
            or what it returned.
        :param mime_type: told from the source's name where None.
        :param display_name: the source's name where None; the owner is written behind it.
        :param name: ``files/...`` to create; where a usable file of that name and size is there, it is returned and
            nothing is sent. None lets the service choose one.
        :return: the file, often still PROCESSING.
        :raises GeminiIntegrityError: where size or hash differ; the wrong file has then been deleted.
        """
        if not isinstance(source, Source):
            source = find_source(source)
        sent_as = mime_type_of(source.name, mime_type)
        shown_as = display_name_for(display_name or source.name, owner)
        if name and (existing := self._usable(name, source.size)):
            self.log.info("%s is already there as %s (%s): nothing is sent.", source.uri, name, existing.state)
            return existing
        metadata = {"displayName": shown_as} | ({"name": parse_name(name)} if name else {})
        try:
            return self._send(source, sent_as, metadata)
        except GeminiNameTakenError:
            if name is None:
                raise
        # Another task has won the race for the name, or a file we may not see has it.
        if existing := self._usable(name, source.size):
            self.log.info("%s was just uploaded by another task as %s.", source.uri, name)
            return existing
        self.log.info("The name %s is taken by a file that cannot be used: the service chooses one.", name)
        return self._send(source, sent_as, {"displayName": shown_as})

    def _usable(self, name: str, size: int) -> GeminiFile | None:
        """Return the file of that name if it can stand for the source; one that cannot is removed."""
        try:
            existing = self.get_file(name)
        except GeminiFileGoneError:
            return None
        if existing.state != "FAILED" and existing.size_bytes == size:
            return existing
        self.log.info("%s is there but %s with %s bytes: replacing it.", name, existing.state, existing.size_bytes)
        self.delete_file(name)
        return None

    def _send(self, source: Source, mime_type: str, metadata: Mapping[str, str]) -> GeminiFile:
        from airflow_provider_gemini_files.transfer import uploader

        self.log.info("Uploading %s (%s, %s)", source.uri, human_bytes(source.size), mime_type)
        session = UploadSession(
            start_url=self.connection.upload_url(),
            api_key=self.connection.api_key,
            metadata=metadata,
            mime_type=mime_type,
            size=source.size,
            max_failures=self.connection.max_retries,
        )
        progress = Progress(self.log.info, source.name, source.size)
        uploaded = uploader.send(
            session,
            source,
            timeout=self.connection.timeout,
            # The whole URL is a capability; its query is what makes it one.
            on_url=lambda url: mask_secret(url.partition("?")[2]),
            on_progress=progress.at,
        )
        file = GeminiFile.from_api(uploaded.resource)
        self._verify(file, source, uploaded.sha256)
        rate = human_bytes(source.size / max(progress.seconds(), 0.001))
        self.log.info(
            "Uploaded %s as %s: %s in %.1f s (%s/s), sha256 %s, %s",
            source.name, file.name, human_bytes(source.size), progress.seconds(), rate, uploaded.sha256, file.state,
        )  # fmt: skip
        return file

    def _verify(self, file: GeminiFile, source: Source, sha256: str) -> None:
        # A hash the service does not give, or in a form nobody has seen, says nothing against the file.
        if file.size_bytes in (None, source.size) and file.sha256 in (None, sha256):
            return
        self.delete_file(file.name)
        raise GeminiIntegrityError(
            f"{source.uri} arrived damaged as {file.name}: sent {source.size} bytes with sha256 {sha256}, the service "
            f"has {file.size_bytes} bytes with sha256 {file.sha256}. The damaged file was deleted; a retry sends anew."
        )

    def active_files(self, files: list[str]) -> list[GeminiFile]:
        """
        Look up files that are about to be shown to a model.

        :raises GeminiFileGoneError: where one is gone.
        :raises GeminiFileFailedError: where one has FAILED.
        :raises GeminiFileNotActiveError: where one is still PROCESSING.
        """
        found = [self.get_file(name) for name in files]
        for file in found:
            if file.state == "FAILED":
                raise processing_failed(file)
            if file.state != "ACTIVE":
                raise GeminiFileNotActiveError(
                    f"{file.name} ({file.display_name}) is {file.state}, not ACTIVE: put a GeminiFileStateSensor "
                    "before this task, or wait_for_active=True on its upload."
                )
        return found
