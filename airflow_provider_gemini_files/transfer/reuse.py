"""Reuse: find an existing file that can stand for a source, or a name that is free for a new one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple, Protocol

from airflow_provider_gemini_files.exceptions import GeminiFileGoneError, GeminiNameTakenError, GeminiServiceError
from airflow_provider_gemini_files.files.naming import deployment_of, is_shared, shared_file_name, slots_of
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile
from airflow_provider_gemini_files.transfer.memory import Log
from airflow_provider_gemini_files.transfer.stream import SourceBrokenError, sha256_of
from airflow_provider_gemini_files.transfer.upload import Upload


class RemoteFiles(Protocol):
    """The calls for existing files that an upload needs."""

    def get_file(self, file: FileLike) -> GeminiFile:
        """Return a file, or raise GeminiFileGoneError."""

    def delete_file(self, file: FileLike) -> bool:
        """Delete a file; one that is gone is no error."""


class Found(NamedTuple):
    """
    The result of looking for a file.

    :param file: a file that can stand for the source; None if there is none.
    :param free_name: a name for a new file; None if a file was found, or if all names are taken.
    """

    file: GeminiFile | None
    free_name: str | None


class Reuse:
    """
    The existing files of one upload, for its source as it was found.

    :param upload: settled: see :meth:`Upload.settled`.
    :param conn_id: the Gemini connection, which is part of the name of a shared file.
    :param server_now: the time by the service's clock, which has written the files' times.
    """

    def __init__(
        self, upload: Upload, conn_id: str, files: RemoteFiles, server_now: Callable[[], float], log: Log
    ) -> None:
        self._upload = upload
        self._conn_id = conn_id
        self._files = files
        self._server_now = server_now
        self._log = log

    @cached_property
    def sha256(self) -> str:
        """
        Return the hex digest of the source, which is read for it.

        :raises GeminiServiceError: if it cannot be read.
        """
        try:
            return sha256_of(self._upload.source)
        except SourceBrokenError as error:
            raise GeminiServiceError(
                f"Cannot upload {self._upload.source.uri}: {error}. A retry reads it again."
            ) from error

    def names(self) -> list[str]:
        """Return the names by which an existing file is looked up, in the order of preference."""
        upload = self._upload
        if not upload.share:
            return slots_of(upload.name) if upload.name else []
        return slots_of(shared_file_name(self._conn_id, self.sha256, str(upload.mime_type), upload.deployment))

    def find(self, names: list[str]) -> Found:
        """
        Look for a file that can stand for the source.

        A file of this upload's owner that is FAILED or has another size is deleted. Files of others are left alone.

        :raises GeminiNameTakenError: if the caller has chosen a name that another file has.
        """
        free = None
        for name in names:
            try:
                existing = self._files.get_file(name)
            except GeminiFileGoneError:
                free = free or name
                if self._upload.share:
                    # The first may have expired while its successor lives.
                    continue
                break
            if not self._is_ours(existing) and not self._has_same_bytes(existing):
                self._refuse_chosen_name(existing)
            elif existing.state == "FAILED" or existing.size_bytes not in (None, self._upload.source.size):
                # A size that the service or a gateway does not give says nothing against the file.
                self._log.info("%s is %s with %s bytes: replacing it.", name, existing.state, existing.size_bytes)
                self._files.delete_file(name)
                free = free or name
            elif self._remaining_seconds(existing) >= self._upload.min_remaining_ttl:
                return Found(existing, None)
            else:
                self._log.info("%s expires at %s: it is not reused.", name, existing.expiration_time)
        return Found(None, free)

    def _is_ours(self, existing: GeminiFile) -> bool:
        """Return whether this task instance has uploaded the file, or shares it with all runs of its deployment."""
        upload = self._upload
        if upload.share:
            # The name promises these bytes to every run.
            promised = existing.sha256 in (None, self.sha256)
            marked = is_shared(existing.display_name) and deployment_of(existing.display_name) == upload.deployment
            return promised and marked
        return upload.owner is not None and existing.owner == upload.owner

    def _has_same_bytes(self, existing: GeminiFile) -> bool:
        """Return whether the file is as good as ours: ACTIVE or PROCESSING, of the same type and bytes."""
        if existing.state == "FAILED" or existing.sha256 is None or existing.size_bytes != self._upload.source.size:
            return False
        return existing.mime_type == self._upload.mime_type and self.sha256 == existing.sha256

    def _refuse_chosen_name(self, existing: GeminiFile) -> None:
        """
        Leave a file alone that is not ours.

        :raises GeminiNameTakenError: if the caller has chosen its name; another name would not be what was asked for.
        """
        if self._upload.name and self._upload.owner is None:
            raise GeminiNameTakenError(
                f"Cannot upload {self._upload.source.uri} as {existing.name}: another file has this name, with other "
                "bytes or another type, and is left alone. Choose another name, or delete that file first."
            )
        self._log.info("%s is another file and is left alone.", existing.name)

    def _remaining_seconds(self, file: GeminiFile) -> float:
        expires = file.expires_at()
        return float("inf") if expires is None else expires - self._server_now()
