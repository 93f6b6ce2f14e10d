"""Where an answer goes that is too large for XCom: a file or an object, there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
from typing import Any

from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.transfer.object_storage import object_path


class Output:
    """
    A place for one answer, found before anything is spent on it.

    :param where: a local path, or a URI that Airflow's ObjectStoragePath takes; what is there is replaced.
    :param conn_id: connection of the object storage; its provider's default where None.
    :raises GeminiInputError: for a directory, or a scheme without a file system.
    """

    def __init__(self, where: Any, conn_id: str | None = None) -> None:
        given = os.fspath(where) if isinstance(where, os.PathLike) else where
        if not isinstance(given, str) or not given.strip() or given.endswith("/"):
            raise GeminiInputError(f"output_path is the path or URI of a file, got {where!r}.")
        #: The URI, as it is returned.
        self.uri = given if "://" in given else f"file://{os.path.abspath(os.path.expanduser(given))}"
        self._path = object_path(self.uri, conn_id, "output_path")

    def write(self, text: str) -> None:
        """
        Write a text as UTF-8; readers see what was there before, or all of it.

        :raises GeminiServiceError: where it cannot be written.
        """
        fs, path, data = self._path.fs, self._path.path, text.encode()
        try:
            if self._path.protocol not in ("file", "local"):
                # Object stores show an object when it is complete.
                fs.pipe_file(path, data)
                return
            os.makedirs(os.path.dirname(path), exist_ok=True)
            beside = f"{path}.{secrets.token_hex(4)}.tmp"
            try:
                fs.pipe_file(beside, data)
                os.replace(beside, path)
            finally:
                if os.path.exists(beside):
                    os.remove(beside)
        except OSError as error:
            raise GeminiServiceError(f"{self.uri} cannot be written: {error}. A retry asks the model again.") from error
