"""The hook's calls for batch jobs: submit, get, list, wait, cancel, delete, and download of results."""

from __future__ import annotations

import math
from typing import BinaryIO

from airflow_provider_gemini_files.batches.job import BatchJob, BatchLike, parse_batch_name
from airflow_provider_gemini_files.batches.mark import files_in_use
from airflow_provider_gemini_files.batches.state import BatchWait
from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiBatchGoneError,
    GeminiFileGoneError,
    GeminiFilesError,
    GeminiInputError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.files.in_use import FilesInUse
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks import requests
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.hooks.polling import Polling
from airflow_provider_gemini_files.hooks.requests import BATCHES, Listing
from airflow_provider_gemini_files.hooks.service import GeminiService

#: How an API without batches answers, by its own JSON.
_NO_SUCH_METHOD = (404, 405)
#: Seconds after which a job has certainly ended: the service gives it up after 48 hours.
_LONGEST_JOB = 4 * 86_400.0


class BatchCalls:
    """The calls for batch jobs."""

    def __init__(self, service: GeminiService, files: FileCalls) -> None:
        self._service = service
        self._files = files
        self._log = service.log
        self._polling = Polling(service, BATCHES)

    def get_batch(self, batch: BatchLike) -> BatchJob:
        """
        Return a job as the service has it now.

        :raises GeminiBatchGoneError: if it does not exist (any more).
        """
        return self._polling.get(parse_batch_name(batch))

    def list_batches(self, since: float | None = None) -> list[BatchJob]:
        """
        Return the jobs of the key's project, newest first.

        :param since: leave out pages of jobs that were all created earlier, in seconds since the epoch.
        """
        return self._list(since)[0]

    def _list(self, since: float | None) -> tuple[list[BatchJob], int]:
        """Return the jobs, and how many could not be read."""
        listing = Listing(BATCHES, self._service.connection)
        jobs: list[BatchJob] = []
        while not listing.is_done:
            page = self._polling.read_page(listing)
            jobs += page
            times = [job.created_at() or math.inf for job in jobs]
            # Only if the list is as it should be, newest first, nothing that is wanted follows.
            if since is not None and times == sorted(times, reverse=True) and page and times[-len(page)] < since:
                break
        return jobs, listing.unreadable

    def submit(self, model: str, display_name: str, input_file: str) -> BatchJob:
        """
        Submit a job. The request is sent once: repeating it would create, and bill, a second job.

        :param input_file: ``files/...`` with one request on each line.
        :raises GeminiServiceError: if the service did not answer; the job may exist all the same.
        :raises GeminiRateLimitError: if there are too many jobs or tokens; no job was created.
        """
        request = requests.create_batch(model, display_name, input_file)
        operation = self._service.files_client.send(request)
        return requests.read_batch(operation, self._service.connection)

    def cancel_batch(self, batch: BatchLike, *, ignore_missing: bool = True) -> bool:
        """
        Ask the service to cancel a job; it ends a while later, and may end otherwise.

        :return: False if it has ended already, or does not exist.
        """
        name = parse_batch_name(batch)
        try:
            # What the service answers to the cancellation of a job that has ended is not documented.
            if self.get_batch(name).has_ended:
                return False
            self._service.call(lambda: self._service.files_client.send(requests.cancel_batch(name)))
        except GeminiBatchGoneError:
            if not ignore_missing:
                raise
            return False
        except GeminiInputError:
            if not self.get_batch(name).has_ended:
                raise
            return False
        return True

    def delete_batch(self, batch: BatchLike, *, ignore_missing: bool = True) -> bool:
        """
        Delete a job that has ended; its result file stays.

        :return: False if there was nothing to delete.
        :raises GeminiInputError: for a job that has not ended: the documentation does not agree on whether it goes on.
        """
        name = parse_batch_name(batch)
        try:
            job = self.get_batch(name)
        except GeminiBatchGoneError:
            if not ignore_missing:
                raise
            return False
        if not job.has_ended:
            raise GeminiInputError(
                f"{name} is {job.state} and was not deleted: cancel it first, and wait until it ends."
            )
        try:
            self._service.call(lambda: self._service.files_client.send(requests.delete_batch(name)))
        except GeminiBatchGoneError:
            # It was there a moment ago: the response of an earlier attempt was lost, or somebody else was faster.
            return True
        return True

    def finish(self, wait: BatchWait) -> list[BatchJob]:
        """
        Block until a wait is over, and return its jobs in the order of their names.

        :raises GeminiFilesError: as :meth:`Wait.check` does.
        """
        return self._polling.finish(wait)

    def poll(self, wait: BatchWait) -> bool:
        """
        Poll each pending job once, and return whether all have results.

        :raises GeminiFilesError: as :meth:`Wait.check` does.
        """
        return self._polling.poll(wait)

    def files_in_use(self) -> FilesInUse:
        """Return the files that jobs of the project may still need; if the jobs cannot be listed, any may be needed."""
        try:
            return files_in_use(self._recent())
        except GeminiFilesError as error:
            self._log.warning("The batch jobs cannot be listed, so files that one may need are kept: %s", error)
            return FilesInUse.unknown(f"the batch jobs, one of which may need it, cannot be listed: {error.message}")

    def files_certainly_in_use(self) -> FilesInUse:
        """
        Return the files of which it is known that jobs of the project still need them.

        :raises GeminiFilesError: if the jobs cannot be listed now, but may be later.
        """
        try:
            return files_in_use(self._recent())
        except GeminiAuthError as error:
            # A key without the right to see jobs cannot have submitted any.
            self._log.warning("The batch jobs cannot be listed: %s", error)
            return FilesInUse()

    def _recent(self) -> list[BatchJob]:
        """
        Return the jobs that may not have ended; none of an API without batches.

        :raises GeminiServiceError: if one of them cannot be read.
        """
        try:
            jobs, unreadable = self._list(self._service.server_now() - _LONGEST_JOB)
        except GeminiInputError as error:
            if error.http_status not in _NO_SUCH_METHOD:
                raise
            self._log.info("This API has no batch jobs that could need files: %s", error)
            return []
        if unreadable:
            raise GeminiServiceError(f"{unreadable} of the batch jobs cannot be read.")
        return jobs

    def result_file(self, job: BatchJob) -> GeminiFile:
        """
        Return the file with the results of a job.

        :raises GeminiFileGoneError: if it does not exist any more.
        """
        if job.output_file is None:
            raise GeminiInputError(f"{job.name} has no result file: its results are in the job itself.")
        try:
            return self._files.get_file(job.output_file)
        except GeminiInputError as error:
            # The id of a result file is longer than the service permits, so that one that is gone is an invalid name.
            raise GeminiFileGoneError(f"The results of {job.name} no longer exist: {error}") from error

    def download_results(self, job: BatchJob, into: BinaryIO) -> int:
        """
        Download the results of a job into a local file, and return their size in bytes.

        :raises GeminiFileGoneError: if they do not exist any more.
        """
        return self._files.download(self.result_file(job), into)
