"""Writing of answers that are too large for XCom, to a file or an object, completely or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.transfer.object_storage import (
    connection_of,
    location,
    missing_bucket,
    object_path,
    shown_place,
    storage_errors,
)

#: Bytes of a file name, on every common file system.
_MAX_NAME_BYTES = 255
#: Bytes of one part of an object.
_BLOCK = 8 * 1024**2


class Output:
    """
    The destination of one answer, checked before the request is paid for.

    :param where: a local path, a URI that Airflow's ObjectStoragePath supports, or one of these; an existing file is
        replaced.
    :param conn_id: connection of the object storage; None: the default of its provider.
    :param what: which argument it is, for errors.
    :raises GeminiInputError: if it is a directory, or no file system for its scheme is installed.
    """

    def __init__(self, where: Any, conn_id: str | None = None, what: str = "output_path") -> None:
        self._what = what
        given = location(where)
        if given is None or not given.strip() or given.endswith("/"):
            raise GeminiInputError(f"{what} must be the path or URI of a file, got {where!r}.")
        #: The URI that tasks return.
        self.uri = given if "://" in given else f"file://{os.path.abspath(os.path.expanduser(given))}"
        self._path = object_path(self.uri, conn_id, what)
        self._conn_id = conn_id or connection_of(self._path)

    def beside(self, ending: str) -> Output:
        """
        Return the destination of something that belongs to the answer.

        :param ending: what follows the name without its suffix: ``-1.png`` beside ``answer.txt`` is ``answer-1.png``.
        """
        folder, slash, name = self.uri.rpartition("/")
        # The ending must not make a name too long that was not.
        stem = os.fsencode(name.rpartition(".")[0] or name)[: _MAX_NAME_BYTES - len(ending)].decode(errors="ignore")
        return Output(f"{folder}{slash}{stem}{ending}", self._conn_id, self._what)

    def write(self, content: str | bytes) -> None:
        """
        Write bytes, or a text as UTF-8. Readers see the former content, or all of the new one.

        :raises GeminiInputError: if it must not be written.
        :raises GeminiServiceError: if its storage failed.
        """
        with self._errors():
            data = content.encode() if isinstance(content, str) else content
        if self._is_local:
            with self.staged() as file:
                file.write(data)
            return
        with self._errors():
            # Object stores show an object only when it is complete.
            self._path.fs.pipe_file(self._path.path, data)

    @contextmanager
    def staged(self) -> Iterator[BinaryIO]:
        """
        Open a local file for something large; it becomes the destination when the block ends without an error.

        :raises GeminiInputError: as :meth:`write` does, as is GeminiServiceError.
        """
        if self._is_local:
            folder = os.path.dirname(self._path.path)
            with self._errors():
                os.makedirs(folder, exist_ok=True)
            # Short, as the name of the destination can be as long as names may be.
            with self._staged_at(Path(folder, f".{secrets.token_hex(8)}.tmp")) as file:
                yield file
            return
        with (
            tempfile.TemporaryDirectory(prefix="gemini_output_") as elsewhere,
            self._staged_at(Path(elsewhere, "output")) as file,
        ):
            yield file

    @contextmanager
    def _staged_at(self, staged: Path) -> Iterator[BinaryIO]:
        """Open a file, and put it in its place; an error of the disk is one of the storage."""
        try:
            with staged.open("w+b") as file:
                yield file
            if self._is_local:
                staged.replace(self._path.path)
                return
        except OSError:
            with self._errors():
                raise
        finally:
            if self._is_local:
                staged.unlink(missing_ok=True)
        with self._errors(), staged.open("rb") as file:
            self._copy(file)

    def _copy(self, file: BinaryIO) -> None:
        """Write an object part by part: ``put_file`` of some file systems holds the whole file in memory."""
        target = self._path.fs.open(self._path.path, "wb", block_size=_BLOCK)
        try:
            shutil.copyfileobj(file, target, _BLOCK)
            target.close()
        except BaseException:
            with contextlib.suppress(Exception):
                target.discard()
            with contextlib.suppress(Exception):
                # Or else, closing it would complete the object with what was written so far, at the latest when Python
                # collects its garbage.
                target.closed = True
            raise

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return storage_errors(self.uri, self._what, self._conn_id)

    @property
    def _is_local(self) -> bool:
        return self._path.protocol in ("file", "local")

    def check(self) -> None:
        """
        Look at the destination before anything is paid for; nothing is written.

        :raises GeminiInputError: if the local folder cannot be written to, or the bucket does not exist.
        """
        path = self._path.path
        if self._is_local:
            self._check_name(path)
            folder = os.path.dirname(path)
            while not os.path.lexists(folder) and os.path.dirname(folder) != folder:
                folder = os.path.dirname(folder)
            if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
                raise GeminiInputError(
                    f"{self._what} {self.uri!r} cannot be written: {folder} is not a writable folder."
                )
            return
        with self._errors():
            # Without the right to look at the bucket, the right to write into it can still be there.
            bucket = missing_bucket(self._path)
        if bucket:
            place = shown_place(self.uri, self._what, self._conn_id)
            raise GeminiInputError(f"{place}: there is no {bucket!r} in this storage.")

    def _check_name(self, path: str) -> None:
        try:
            is_name = "\0" not in path and len(os.fsencode(os.path.basename(path))) <= _MAX_NAME_BYTES
        except UnicodeEncodeError:
            is_name = False
        if not is_name:
            raise GeminiInputError(f"{self._what} {self.uri[:80]!r}... is not a valid file name.")
        if os.path.lexists(path) and not os.path.isfile(path):
            raise GeminiInputError(f"{self._what} {self.uri!r} is a directory or a device, not a file.")
