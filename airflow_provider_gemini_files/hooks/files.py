"""The hook's calls for existing files: get, list, wait, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

from airflow_provider_gemini_files.common.concurrency import map_outcomes
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.exceptions import (
    GeminiFileFailedError,
    GeminiFileGoneError,
    GeminiFileNotActiveError,
    GeminiFilesError,
    GeminiInputError,
)
from airflow_provider_gemini_files.files.deletion import Deletion, DeletionOutcome
from airflow_provider_gemini_files.files.naming import label_of
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, names_for
from airflow_provider_gemini_files.files.state import FileWait, processing_failed
from airflow_provider_gemini_files.hooks import request_log, requests
from airflow_provider_gemini_files.hooks.polling import Polling
from airflow_provider_gemini_files.hooks.requests import FILES
from airflow_provider_gemini_files.hooks.service import GeminiService

Polled = GeminiFile | GeminiFilesError


class FileCalls:
    """The calls for existing files."""

    def __init__(self, service: GeminiService) -> None:
        self._service = service
        self._log = service.log
        self._polling = Polling(service, FILES)

    def get_file(self, file: FileLike) -> GeminiFile:
        """
        Return a file as the service has it now.

        :raises GeminiFileGoneError: if it does not exist (any more).
        :raises GeminiInputError: for the metadata of a file of another connection, as do all calls of a file.
        """
        return self._polling.get(self._name_of(file))

    def list_files(self) -> list[GeminiFile]:
        """Return all files of the key's project, every page, newest first."""
        # In which order the service lists them is not documented.
        return sorted(self._polling.list_all(), key=lambda file: file.created_at() or 0.0, reverse=True)

    def delete_file(self, file: FileLike, *, ignore_missing: bool = True) -> bool:
        """
        Delete a file.

        :param ignore_missing: do not raise if the file does not exist.
        :return: False if there was nothing to delete.
        """
        name = self._name_of(file)
        attempts = 0

        def delete() -> None:
            nonlocal attempts
            attempts += 1
            self._service.files_client.send(requests.delete_file(name))

        try:
            self._service.call(delete)
        except GeminiFileGoneError:
            # Gone at the second attempt: the first one succeeded, and only its response was lost.
            if attempts == 1 and not ignore_missing:
                raise
            return attempts > 1
        return True

    def delete_files(self, files: Sequence[FileLike]) -> list[Deletion]:
        """
        Delete files, several at once, and return what became of each, in order.

        A file that is already gone is no error. One that cannot be deleted does not stop the others, unless the key
        lacks the right to delete: then the rest is not attempted, and has that error, too.
        """
        if not files:
            return []
        names = names_for(files, self._service.conn_id)
        # Created here, as each thread would create its own.
        _ = self._service.files_client
        outcomes = map_outcomes(self.delete_file, names, name="gemini-delete")
        stopped_by = next((outcome.error for outcome in reversed(outcomes) if outcome.error), None)
        return [
            _deletion(outcome.item, outcome.result, outcome.error if outcome.begun else stopped_by)
            for outcome in outcomes
        ]

    def download(self, file: GeminiFile, into: BinaryIO) -> int:
        """
        Download a generated file into a local file, and return its size in bytes.

        :param file: as the service has it now; its size and hash are verified as far as they are known.
        :param into: open for reading and writing; what it holds is replaced.
        :raises GeminiInputError: for a file that was not generated; nothing is requested then.
        :raises GeminiFileGoneError: if it does not exist any more.
        """
        from airflow_provider_gemini_files.transfer.download import Download, Origin

        if file.source not in (None, "GENERATED"):
            raise GeminiInputError(
                f"{file.name} was {file.source.lower()}: only files that the service has generated can be downloaded, "
                "such as the results of a batch. Read the source itself."
            )
        connection = self._service.connection
        origin = Origin(
            connection.api_url, connection.api_key, connection.address(), connection.timeout, connection.max_retries
        )
        download = Download(
            file,
            origin,
            into,
            hide=request_log.keep_out,
            on_failure=lambda error, pause: self._log.warning("%s The download resumes in %.1f s.", error, pause),
            clock=self._service.clock,
        )
        size = download.run()
        self._log.info("Downloaded %s: %s", file.name, human_bytes(size))
        return size

    def wait_for_file(
        self, file: FileLike, *, timeout: float = 3600, poll_interval: float = 5, max_poll_interval: float = 30
    ) -> GeminiFile:
        """
        Block until a file is ACTIVE, and return it.

        :param timeout: seconds until the wait fails; the file stays.
        :param poll_interval: seconds between two polls, the least; they grow to a tenth of the time waited.
        :param max_poll_interval: seconds between two polls, the most.
        :raises GeminiFilesError: as :meth:`Wait.check` does.
        """
        now = self._service.clock.now()
        schedule = Schedule(now, now + timeout, poll_interval, max_poll_interval)
        return self.finish(FileWait([self._name_of(file)], schedule))[0]

    def finish(self, wait: FileWait) -> list[GeminiFile]:
        """
        Block until a wait is over, and return its files in the order of their names.

        :raises GeminiFilesError: as :meth:`Wait.check` does.
        """
        return self._polling.finish(wait)

    def poll(self, wait: FileWait) -> bool:
        """
        Poll each pending file once, and return whether all are ACTIVE.

        :raises GeminiFilesError: as :meth:`Wait.check` does.
        """
        return self._polling.poll(wait)

    def look_up(self, names: Iterable[str]) -> dict[str, Polled]:
        """Return the file of each name, or the error of getting it, with as few calls as there can be."""
        return self._polling.look_up(names)

    def active_files(
        self, names: Sequence[str], on_gone: Callable[[str, GeminiFileGoneError], GeminiFile] | None = None
    ) -> list[GeminiFile]:
        """
        Look up files that are about to be shown to a model, and return them in order.

        :param on_gone: called with the name of a file that is gone; returns the file that takes its place.
        :raises GeminiFileGoneError: if one is gone.
        :raises GeminiFileFailedError: if one has FAILED.
        :raises GeminiFileNotActiveError: if one is still PROCESSING.
        """
        seen = self.look_up(names)
        files = [self._existing(name, seen[name], on_gone) for name in names]
        for file in files:
            if file.state == "FAILED":
                raise processing_failed(file)
            if file.state != "ACTIVE":
                label = shown_text(label_of(file.display_name) or "no display name")
                raise GeminiFileNotActiveError(
                    f"{file.name} ({label}) is {file.state}, not ACTIVE: put a GeminiFileStateSensor before this task, "
                    "or set wait_for_active=True on its upload."
                )
        return files

    def delete_failed(self, error: GeminiFileFailedError) -> None:
        """Delete the FAILED files of an error; a file that cannot be deleted is only logged."""
        for deletion in self.delete_files(error.file_names):
            if deletion.is_gone:
                self._log.info("Deleted %s, which had FAILED", deletion.name)
            else:
                self._log.warning("The FAILED file %s stays: %s", deletion.name, deletion.error)

    def _name_of(self, file: FileLike) -> str:
        [name] = names_for([file], self._service.conn_id)
        return name

    @staticmethod
    def _existing(
        name: str, seen: Polled, on_gone: Callable[[str, GeminiFileGoneError], GeminiFile] | None
    ) -> GeminiFile:
        if isinstance(seen, GeminiFileGoneError) and on_gone is not None:
            return on_gone(name, seen)
        if isinstance(seen, GeminiFilesError):
            raise seen
        return seen


def _deletion(name: str, was_there: bool | None, error: GeminiFilesError | None) -> Deletion:
    if isinstance(error, GeminiInputError):
        # 400: the results of a batch, whose ids are longer than the service accepts in this very call.
        return Deletion(name, DeletionOutcome.REFUSED, error)
    if error is not None:
        return Deletion(name, DeletionOutcome.FAILED, error)
    return Deletion(name, DeletionOutcome.DELETED if was_there else DeletionOutcome.GONE)
