"""The hook: a Gemini connection, and every call that is made through it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

import tenacity
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_gemini_files.content.answer import Answer
from airflow_provider_gemini_files.exceptions import (
    GeminiFileGoneError,
    GeminiFileNotActiveError,
    GeminiFilesError,
    GeminiInputError,
    GeminiIntegrityError,
    GeminiNameTakenError,
    GeminiRateLimitError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.files.limits import human_bytes
from airflow_provider_gemini_files.files.mime import mime_type_of
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.reference import GeminiFile, parse_name
from airflow_provider_gemini_files.files.state import FileWaits, processing_failed
from airflow_provider_gemini_files.hooks.connection import CONN_TYPE, DEFAULT_CONN_ID, DEFAULT_HOST, GeminiConnection
from airflow_provider_gemini_files.transfer.progress import Progress
from airflow_provider_gemini_files.transfer.session import UploadSession
from airflow_provider_gemini_files.transfer.sources import Source, find_source

if TYPE_CHECKING:
    from google import genai  # noqa: TID251 - for type checkers only

T = TypeVar("T")
FileLike = str | Mapping[str, Any] | GeminiFile
_MAX_BACKOFF_SECONDS = 60.0


class GeminiFilesHook(BaseHook):
    """
    Manage a Gemini connection, its credentials, and the calls made through it.

    Nothing is read or sent before the first call. Every call raises errors of
    :mod:`airflow_provider_gemini_files.exceptions`, and sends a request that failed on the way again, as often as the
    connection's ``max_retries`` says.

    :param gemini_conn_id: a connection of type ``gemini``.
    """

    conn_name_attr = "gemini_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONN_TYPE
    hook_name = "Google Gemini API"

    def __init__(self, gemini_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()
        self.gemini_conn_id = gemini_conn_id

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the connection form of Airflow 3.1; later ones read it from the provider's metadata."""
        from airflow_provider_gemini_files.provider_info import CONNECTION_TYPE

        behaviour = CONNECTION_TYPE["ui-field-behaviour"]
        return {
            "hidden_fields": behaviour["hidden-fields"],
            "relabeling": behaviour["relabeling"],
            "placeholders": behaviour["placeholders"],
        }

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
        """Read the connection without blocking an event loop; call it first in triggers."""
        try:
            conn = await self.aget_connection(self.gemini_conn_id)
        except AirflowNotFoundException as error:
            raise self._no_connection() from error
        self.__dict__["connection"] = self._read(conn)

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
        return connection

    @cached_property
    def client(self) -> genai.Client:
        """Return the google-genai client of the connection, for what this hook has no method for."""
        from airflow_provider_gemini_files.hooks import sdk

        return sdk.build_client(self.connection)

    async def aclose(self) -> None:
        """Close the connections that calls from an event loop have opened."""
        if "client" in self.__dict__:
            await self.client.aio.aclose()

    def get_conn(self) -> genai.Client:
        """Return :attr:`client`, under the name all hooks have."""
        return self.client

    def test_connection(self) -> tuple[bool, str]:
        """Make one cheap real call; return whether it went well, and one sentence."""
        from airflow_provider_gemini_files.hooks import sdk

        try:
            self._once("list files", lambda: sdk.ping(self.client))
        except GeminiFilesError as error:
            return False, str(error)
        host = "" if self.connection.base_url == DEFAULT_HOST else f" at {self.connection.base_url}"
        return True, f"The Gemini API{host} accepts the key and lists files ({self.connection.api_version})."

    # --- files -------------------------------------------------------------------------------------------------

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

    def wait_for_files(self, waits: FileWaits, poll_interval: float) -> list[GeminiFile]:
        """
        Block until files are ACTIVE.

        :param waits: the wait, with its deadline.
        :param poll_interval: seconds between two looks.
        :raises GeminiFilesError: as :meth:`FileWaits.see` does.
        """
        while not self.look(waits):
            self.log.info("Waiting for %s to become ACTIVE", ", ".join(waits.pending))
            time.sleep(poll_interval)
        return waits.ready()

    def look(self, waits: FileWaits) -> bool:
        """Look once at each file that is waited for; return whether all are ACTIVE."""
        for name in waits.pending:
            try:
                seen: GeminiFile | GeminiFilesError = self.get_file(name)
            except GeminiFilesError as error:
                seen = error
            waits.see(name, seen, time.time())
        return not waits.pending

    async def alook(self, waits: FileWaits) -> bool:
        """Look once as :meth:`look` does, from an event loop."""
        for name in waits.pending:
            try:
                seen: GeminiFile | GeminiFilesError = await self.aget_file(name)
            except GeminiFilesError as error:
                seen = error
            waits.see(name, seen, time.time())
        return not waits.pending

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

    # --- content -----------------------------------------------------------------------------------------------

    def generate_content(
        self,
        prompt: str,
        files: list[GeminiFile] | None = None,
        *,
        model: str | None = None,
        system_instruction: str | None = None,
        generation_config: Mapping[str, Any] | None = None,
    ) -> Answer:
        """
        Show a model some files, then ask it.

        :param files: as :meth:`active_files` returns them; shown in this order, before the prompt.
        :param model: the connection's where None.
        :param generation_config: fields of ``google.genai.types.GenerateContentConfig``.
        """
        from airflow_provider_gemini_files.hooks import sdk

        config = sdk.content_config(generation_config, system_instruction)
        chosen = model or self.connection.model
        response = self._call(
            f"generate content with {chosen}",
            lambda: sdk.generate_content(self.client, chosen, files or [], prompt, config),
        )
        return Answer.from_api(response)

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

    # --- calls -------------------------------------------------------------------------------------------------

    def _call(self, doing: str, function: Callable[[], T]) -> T:
        """Call, and again after failures of the service or the line."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((GeminiServiceError, GeminiRateLimitError)),
            stop=tenacity.stop_after_attempt(self.connection.max_retries + 1),
            wait=_wait,
            before_sleep=lambda state: self.log.warning(
                "%s Trying again in %.1f s.", state.outcome and state.outcome.exception(), state.upcoming_sleep
            ),
            reraise=True,
        )
        return cast("T", retrying(self._once, doing, function))

    @staticmethod
    def _once(doing: str, function: Callable[[], T]) -> T:
        from airflow_provider_gemini_files.hooks import sdk

        try:
            return function()
        except sdk.CALL_ERRORS as error:
            raise sdk.error_of(error, doing) from error


def _wait(state: tenacity.RetryCallState) -> float:
    """Wait as long as the service asks, within a bound, else longer each time."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, GeminiRateLimitError) and error.retry_after is not None:
        return min(error.retry_after, _MAX_BACKOFF_SECONDS)
    return tenacity.wait_exponential_jitter(initial=1, max=_MAX_BACKOFF_SECONDS)(state)
