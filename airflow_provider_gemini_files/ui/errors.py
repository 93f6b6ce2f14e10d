"""Errors for the page: a kind, which decides the advice, and a text that is safe in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiFilesError,
    GeminiInputError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook


class ErrorKind(StrEnum):
    """Kinds of errors, by what the user can do. ``notices.js`` has the title and the actions of each kind."""

    MISSING_CONNECTION = "missing_connection"
    INVALID_CONNECTION = "invalid_connection"
    API_KEY = "api_key"
    UNREACHABLE = "unreachable"
    SERVICE = "service"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True)
class PageError:
    """
    An error as the page shows it.

    :param message: one line, without the API key.
    """

    kind: ErrorKind
    message: str

    @classmethod
    def of(cls, error: Exception, hook: GeminiFilesHook, what: str = "files") -> PageError:
        """
        Describe an error of a hook's call.

        :param what: what was listed.

        An error outside the provider's tree is not described: its text was not written for a browser and may hold
        anything, so the caller has to log it.
        """
        if not isinstance(error, GeminiFilesError):
            return cls(ErrorKind.UNEXPECTED, f"The {what} could not be listed. See the log of the API server.")
        message = shown_text(error, (_api_key(hook),))
        if error.http_status is not None:
            # A gateway, or a wrong host, can have sent it.
            message = f"{message} The response is from {hook.connection.address()}."
        return cls(_kind(error), message)


def _api_key(hook: GeminiFilesHook) -> str:
    try:
        return hook.connection.api_key
    except GeminiFilesError:
        # The error is about a connection without a usable key, so there is no key to hide.
        return ""


def _kind(error: GeminiFilesError) -> ErrorKind:
    # With a status, the service has refused the request: the connection itself can be used.
    if isinstance(error, GeminiInputError) and error.http_status is None:
        missing = isinstance(error.__cause__, AirflowNotFoundException)
        return ErrorKind.MISSING_CONNECTION if missing else ErrorKind.INVALID_CONNECTION
    if isinstance(error, GeminiAuthError):
        return ErrorKind.API_KEY
    unreachable = isinstance(error, GeminiServiceError) and error.unreachable
    return ErrorKind.UNREACHABLE if unreachable else ErrorKind.SERVICE
