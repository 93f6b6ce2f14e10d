"""The hook's calls for files that are there: get, list, wait, delete."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Collection

from airflow_provider_gemini_files.exceptions import (
    GeminiFileFailedError,
    GeminiFileGoneError,
    GeminiFileNotActiveError,
    GeminiFilesError,
)
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, parse_name
from airflow_provider_gemini_files.files.state import FileWaits, processing_failed
from airflow_provider_gemini_files.hooks.base import GeminiBaseHook


class FileCalls(GeminiBaseHook):
    """What can be done with files."""

    def get_file(self, file: FileLike) -> GeminiFile:
        """
        Return a file as the service has it now.

        :raises GeminiFileGoneError: where it is not there (any more).
        """
        name = parse_name(file)
        return self._call(lambda: self._files_client.get_file(name))

    async def aget_file(self, file: FileLike) -> GeminiFile:
        """Return a file as :meth:`get_file` does, from an event loop, asking once."""
        return await self._async_files_client.get_file(parse_name(file))

    def alist_pages(self, names: Collection[str] | None = None) -> AsyncGenerator[list[GeminiFile], None]:
        """
        Read the project's list from an event loop, asking once; yield the files of each page.

        :param names: only the files of these names; all where None.
        """
        return self._async_files_client.list_pages(names)

    async def adelete_file(self, file: FileLike) -> None:
        """Delete a file from an event loop, asking once; one that is gone already is no error."""
        with contextlib.suppress(GeminiFileGoneError):
            await self._async_files_client.delete_file(parse_name(file))

    def list_files(self) -> list[GeminiFile]:
        """Return all files of the key's project, every page, newest first."""
        return self._call(self._files_client.list_files)

    def delete_file(self, file: FileLike, *, ignore_missing: bool = True) -> bool:
        """
        Delete a file.

        :param ignore_missing: a file that is not there is no error.
        :return: False where there was nothing to delete.
        """
        name = parse_name(file)
        tries = 0

        def delete() -> None:
            nonlocal tries
            tries += 1
            self._files_client.delete_file(name)

        try:
            self._call(delete)
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

    def active_files(
        self, files: list[str], on_gone: Callable[[str, GeminiFileGoneError], GeminiFile] | None = None
    ) -> list[GeminiFile]:
        """
        Look up files that are about to be shown to a model.

        :param on_gone: is told the name of a file that is gone, and returns the one that stands for it.
        :raises GeminiFileGoneError: where one is gone.
        :raises GeminiFileFailedError: where one has FAILED.
        :raises GeminiFileNotActiveError: where one is still PROCESSING.
        """
        found = []
        for name in files:
            try:
                found.append(self.get_file(name))
            except GeminiFileGoneError as error:
                if on_gone is None:
                    raise
                found.append(on_gone(name, error))
        for file in found:
            if file.state == "FAILED":
                raise processing_failed(file)
            if file.state != "ACTIVE":
                raise GeminiFileNotActiveError(
                    f"{file.name} ({file.display_name}) is {file.state}, not ACTIVE: put a GeminiFileStateSensor "
                    "before this task, or wait_for_active=True on its upload."
                )
        return found
