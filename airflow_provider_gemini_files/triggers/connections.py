"""A connection as an event loop uses it: read again before a rotated key or a moved host fails everybody."""

from __future__ import annotations

from airflow_provider_gemini_files.common.waiting import MAX_FAILED_POLLS
from airflow_provider_gemini_files.exceptions import (
    GeminiBatchGoneError,
    GeminiFileGoneError,
    GeminiFilesError,
    GeminiPermanentError,
    GeminiServiceError,
    GeminiStoreGoneError,
)
from airflow_provider_gemini_files.hooks.service import GeminiService

#: One item does not exist, which says nothing about the connection.
_GONE = (GeminiFileGoneError, GeminiBatchGoneError, GeminiStoreGoneError)


class PatientConnection:
    """
    The connection of a poller, and its patience with errors that would fail everyone who waits.

    A single wrong response of a gateway, or a key that is being rotated, must not fail all waiting tasks for good. So
    the connection is read again after such an error, and the error counts as transient until it has come back as often
    as any transient failure may.
    """

    def __init__(self, service: GeminiService) -> None:
        self.service = service
        self._refusals = 0

    def succeeded(self) -> None:
        """Take a poll that the service has answered."""
        self._refusals = 0

    async def failed(self, error: GeminiFilesError) -> GeminiFilesError:
        """Return the error as the waits should see it: transient, or as it is after too many in a row."""
        if not isinstance(error, GeminiPermanentError) or isinstance(error, _GONE):
            return error
        await self.service.close_async()
        self._refusals += 1
        if self._refusals >= MAX_FAILED_POLLS:
            return error
        return GeminiServiceError(f"{error} The connection is read again, in case it was changed.")
