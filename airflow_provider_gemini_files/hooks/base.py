"""What all calls of the hook stand on: the connection, the clients, and the retries."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import tenacity
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiInputError,
    GeminiRateLimitError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.hooks import request_log
from airflow_provider_gemini_files.hooks.connection import CONN_TYPE, DEFAULT_CONN_ID, DEFAULT_HOST, GeminiConnection

if TYPE_CHECKING:
    from google import genai  # noqa: TID251 - for type checkers only

    from airflow_provider_gemini_files.hooks.rest import AsyncFilesClient, FilesClient

T = TypeVar("T")
#: The longest wait within a try of a task; who is asked to wait longer leaves it to the next try.
_MAX_BACKOFF_SECONDS = 60.0


class GeminiBaseHook(BaseHook):
    """
    A Gemini connection and the way calls are made through it; nothing is read or sent before the first call.

    :param gemini_conn_id: a connection of type ``gemini``.
    """

    def __init__(self, gemini_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()
        self.gemini_conn_id = gemini_conn_id
        #: Until when all calls of this hook rest, by the monotonic clock.
        self._rests_until = 0.0

    @cached_property
    def connection(self) -> GeminiConnection:
        """
        Return the connection's settings, checked.

        :raises GeminiInputError: where it does not exist or says something of no use.
        :raises GeminiAuthError: where it has no key.
        """
        try:
            conn = self.get_connection(self.gemini_conn_id)
        except AirflowNotFoundException as error:
            raise self._no_connection() from error
        return self._read(conn)

    async def aconnect(self) -> None:
        """Read the connection and make its client for the running event loop; call it first in triggers."""
        try:
            conn = await self.aget_connection(self.gemini_conn_id)
        except AirflowNotFoundException as error:
            raise self._no_connection() from error
        self.__dict__["connection"] = self._read(conn)
        # In a thread: reading the certificates takes longer than an event loop has.
        await asyncio.to_thread(lambda: self._async_files_client)

    def _no_connection(self) -> GeminiInputError:
        return GeminiInputError(
            f"There is no connection {self.gemini_conn_id!r}: add one of type {CONN_TYPE!r} with the API key as its "
            f'password, or set AIRFLOW_CONN_{self.gemini_conn_id.upper()}=\'{{"conn_type": "{CONN_TYPE}"}}\' and '
            "GEMINI_API_KEY."
        )

    def _read(self, conn: Any) -> GeminiConnection:
        connection = GeminiConnection.from_airflow(conn, os.environ)
        # Airflow masks the connection's password by itself, but knows nothing of a key from the environment.
        mask_secret(connection.api_key)
        request_log.keep_out(connection.base_url)
        return connection

    @cached_property
    def client(self) -> genai.Client:
        """Return the google-genai client of the connection, for what this hook has no method for."""
        from airflow_provider_gemini_files.hooks import sdk

        return sdk.build_client(self.connection)

    @cached_property
    def _files_client(self) -> FilesClient:
        from airflow_provider_gemini_files.hooks.rest import FilesClient

        return FilesClient(self.connection)

    @cached_property
    def _async_files_client(self) -> AsyncFilesClient:
        from airflow_provider_gemini_files.hooks.rest import AsyncFilesClient

        return AsyncFilesClient(self.connection)

    async def aclose(self) -> None:
        """Close the connections that calls from an event loop have opened."""
        if "_async_files_client" in self.__dict__:
            await self._async_files_client.aclose()

    def get_conn(self) -> genai.Client:
        """Return :attr:`client`, under the name all hooks have."""
        return self.client

    def test_connection(self) -> tuple[bool, str]:
        """Make one cheap real call; return whether it went well, and one sentence."""
        try:
            self._files_client.ping()
        except GeminiFilesError as error:
            return False, str(error)
        host = "" if self.connection.base_url == DEFAULT_HOST else f" at {self.connection.base_url}"
        return True, f"The Gemini API{host} accepts the key and lists files ({self.connection.api_version})."

    def _call(self, function: Callable[[], T]) -> T:
        """Call, and again after failures of the service or the line."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_worth_another),
            stop=tenacity.stop_after_attempt(self.connection.max_retries + 1),
            wait=_wait,
            before=self._rest,
            before_sleep=self._before_sleep,
            reraise=True,
        )
        return retrying(function)

    def _before_sleep(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.log.warning("%s Trying again in %.1f s.", error, state.upcoming_sleep)
        if isinstance(error, GeminiRateLimitError):
            self._rests_until = max(self._rests_until, time.monotonic() + state.upcoming_sleep)

    def _rest(self, state: tenacity.RetryCallState) -> None:
        """Let all threads of this hook rest when the service has told one of them to, which itself has slept."""
        seconds = self._rests_until - time.monotonic()
        if state.attempt_number == 1 and seconds > 0:
            time.sleep(seconds)


def _worth_another(error: BaseException) -> bool:
    """Tell whether a call that failed is made again within the try."""
    if not isinstance(error, GeminiServiceError | GeminiRateLimitError):
        return False
    return error.retry_after is None or error.retry_after <= _MAX_BACKOFF_SECONDS


def _wait(state: tenacity.RetryCallState) -> float:
    """Wait as long as the service asks, else longer each time."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, GeminiFilesError) and error.retry_after is not None:
        return error.retry_after
    return tenacity.wait_exponential_jitter(initial=1, max=_MAX_BACKOFF_SECONDS)(state)
