"""One Gemini connection in use: its settings, its clients, and the retries of its calls."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import tenacity
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_gemini_files.common.backoff import Backoff
from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiInputError,
    GeminiRateLimitError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.hooks import request_log
from airflow_provider_gemini_files.hooks.connection import CONN_TYPE, GeminiConnection
from airflow_provider_gemini_files.pricing import Pricing

if TYPE_CHECKING:
    from google import genai  # noqa: TID251 - for type checkers only

    from airflow_provider_gemini_files.hooks.rest import AsyncFilesClient, FilesClient

T = TypeVar("T")
_BACKOFF = Backoff()


class GeminiService:
    """
    A connection in use; the parts of the hook share one. Nothing is read or sent before the first call.

    :param conn_id: a connection of type ``gemini``.
    :param hook: the hook that the calls belong to, for its logger and for lineage; None in a trigger.
    """

    def __init__(self, conn_id: str, hook: BaseHook | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.conn_id = conn_id
        self.hook = hook
        self.log: Any = hook.log if hook else logging.getLogger(__name__)
        self.clock = clock
        self._connection: GeminiConnection | None = None
        self._async_client: AsyncFilesClient | None = None
        #: Until when all calls pause, by the monotonic clock.
        self._paused_until = 0.0
        self.pricing = Pricing(self.log)

    @property
    def connection(self) -> GeminiConnection:
        """
        Return the connection's settings, checked.

        :raises GeminiInputError: if it does not exist or has a setting that cannot be used.
        :raises GeminiAuthError: if it has no key.
        :raises GeminiServiceError: if Airflow cannot read it.
        """
        if self._connection is None:
            self._check_conn_id()
            try:
                conn = (self.hook or BaseHook).get_connection(self.conn_id)
            except Exception as error:
                raise self._not_given(error) from error
            self._connection = self._read(conn)
        return self._connection

    @cached_property
    def client(self) -> genai.Client:
        """Return the google-genai client of the connection."""
        from airflow_provider_gemini_files.hooks import sdk

        return sdk.build_client(self.connection)

    @cached_property
    def files_client(self) -> FilesClient:
        """Return the blocking client of the Files API; create it before threads share it."""
        from airflow_provider_gemini_files.hooks.rest import FilesClient

        return FilesClient(self.connection, self.clock)

    def server_now(self) -> float:
        """Return the time by the service's clock, as far as its responses have told it; else by this machine's."""
        client = self.__dict__.get("files_client")
        return self.clock.now() + (client.clock_offset if client else 0.0)

    async def connect_async(self) -> AsyncFilesClient:
        """Read the connection without blocking, and return the client of the Files API for the running event loop."""
        if self._async_client is None:
            if self._connection is None:
                self._check_conn_id()
                try:
                    conn = await BaseHook.aget_connection(self.conn_id)
                except Exception as error:
                    raise self._not_given(error) from error
                self._connection = self._read(conn)
            self._async_client = await asyncio.to_thread(self._new_async_client, self._connection)
        return self._async_client

    async def close_async(self) -> None:
        """Close the connections that were opened in an event loop; the next call reads the connection again."""
        client, self._async_client, self._connection = self._async_client, None, None
        if client is not None:
            await client.aclose()

    def call(self, function: Callable[[], T], *, repeat_unanswered: bool = True) -> T:
        """
        Call a function, and again after failures of the service or the network, as often as ``max_retries`` says.

        A delay that the service asks for is followed up to a minute; a longer one ends the attempt with the error,
        whose ``retry_after`` names it.

        :param repeat_unanswered: False for a request that is paid for: it is not repeated if it may have been billed.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: _is_retryable(error, repeat_unanswered)),
            stop=tenacity.stop_after_attempt(self.connection.max_retries + 1),
            wait=self._pause,
            sleep=self.clock.sleep,
            before=self._pause_with_others,
            before_sleep=self._before_sleep,
            reraise=True,
        )
        return retrying(function)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        # A delay of nothing is no advice: all attempts would be over at once.
        asked = error.retry_after or None if isinstance(error, GeminiFilesError) else None
        return _BACKOFF.pause(state.attempt_number, self.clock.uniform, asked)

    def _before_sleep(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.log.warning("%s Repeating the request in %.1f s.", error, state.upcoming_sleep)
        if isinstance(error, GeminiRateLimitError):
            self._paused_until = max(self._paused_until, self.clock.monotonic() + state.upcoming_sleep)

    def _pause_with_others(self, state: tenacity.RetryCallState) -> None:
        """After a rate limit seen by one thread, delay the first attempts of all threads."""
        seconds = self._paused_until - self.clock.monotonic()
        if state.attempt_number == 1 and seconds > 0:
            self.clock.sleep(seconds)

    def _check_conn_id(self) -> None:
        # A null Param is None in a native template, and a text in any other.
        if not isinstance(self.conn_id, str) or self.conn_id in ("", "None"):
            raise GeminiInputError(
                f"gemini_conn_id must be the id of a connection of type {CONN_TYPE!r}; got {self.conn_id!r}."
            )

    def _not_given(self, error: Exception) -> GeminiFilesError:
        """Return the error of a connection that Airflow has not given: there is none, or it cannot be read just now."""
        if isinstance(error, AirflowNotFoundException):
            return self._no_connection()
        return GeminiServiceError(
            f"Airflow cannot read connection {self.conn_id!r} ({type(error).__name__}: {shown_text(error)}). A retry "
            "can succeed."
        )

    def _no_connection(self) -> GeminiInputError:
        variable = f"AIRFLOW_CONN_{self.conn_id.upper()}"
        if os.environ.get(variable):
            # Airflow treats a connection that it cannot parse like one that does not exist.
            return GeminiInputError(
                f"{variable} is set, but Airflow cannot read it as a connection. In a URI, special characters of the "
                "API key must be percent-encoded; the JSON form needs no encoding: "
                f'{variable}=\'{{"conn_type": "{CONN_TYPE}", "password": "<API key>"}}\'.'
            )
        return GeminiInputError(
            f"There is no connection {self.conn_id!r}: add one of type {CONN_TYPE!r} with the API key as its "
            f'password, or set {variable}=\'{{"conn_type": "{CONN_TYPE}"}}\' and GEMINI_API_KEY.'
        )

    def _read(self, conn: Any) -> GeminiConnection:
        connection = GeminiConnection.from_airflow(conn, os.environ)
        # Airflow masks the connection's password by itself, but does not know a key from the environment.
        mask_secret(connection.api_key)
        request_log.keep_out(connection.base_url)
        if connection.key_variable:
            self.log.info("Connection %r has no key: using %s.", self.conn_id, connection.key_variable)
        return connection

    @staticmethod
    def _new_async_client(connection: GeminiConnection) -> AsyncFilesClient:
        from airflow_provider_gemini_files.hooks.rest import AsyncFilesClient

        return AsyncFilesClient(connection)


def _is_retryable(error: BaseException, repeat_unanswered: bool) -> bool:
    """Return whether to repeat a failed request within this attempt of the task."""
    if not isinstance(error, GeminiServiceError | GeminiRateLimitError):
        return False
    if isinstance(error, GeminiServiceError) and error.unanswered and not repeat_unanswered:
        return False
    return not _BACKOFF.is_too_long(error.retry_after)
