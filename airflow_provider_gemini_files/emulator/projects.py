"""Projects: the files of one API key, its other resources, and its storage."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import re
import string
from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.clock import Clock
from airflow_provider_gemini_files.emulator.file import StoredFile
from airflow_provider_gemini_files.emulator.settings import Settings
from airflow_provider_gemini_files.emulator.uris import file_id

MAX_FILE_BYTES = 2 * 1024**3
#: Bytes of all uploads that a project keeps; after that, only the beginning of a new file is kept.
MAX_KEPT_BYTES = 256 * 1024**2
_MIN_KEPT_BYTES = 4096
_ID = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")

T = TypeVar("T")


class Project:
    """
    The resources of one API key.

    :param name: the key; it is never shown.
    """

    def __init__(self, name: str, clock: Clock, settings: Settings) -> None:
        self.name = name
        self.clock = clock
        self.settings = settings
        self._files: dict[str, StoredFile] = {}
        self._next_expiry = math.inf
        #: When the bytes of deleted files stop to count, and how many they are.
        self._deleted: list[tuple[float, int]] = []
        #: A heap of jobs by time; the numbers keep jobs of the same time in order.
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._updating = False
        self._resources: dict[type, dict[str, Any]] = {}

    def resources(self, kind: type[T]) -> dict[str, T]:
        """Return the project's resources of one class, by id; the caller may change the dict."""
        return self._resources.setdefault(kind, {})

    def files(self) -> list[StoredFile]:
        """Return the unexpired files, newest first as the service lists them."""
        self.update()
        return list(reversed(list(self._files.values())))

    def used_bytes(self) -> int:
        """Return the size of the unexpired files; files in Cloud Storage do not count."""
        return sum(file.size for file in self.files() if file.source != "REGISTERED")

    def find(self, file_id: str, request: str, field_name: str = "name") -> StoredFile:
        """
        Find a file.

        :param request: name of the request, which the service puts into its validation errors.
        :raises ApiError: 400 for an invalid id, 403 if there is no such file.
        """
        self.update()
        if file_id not in self._files:
            check_id(file_id, request, field_name)
            raise errors.no_permission(file_id)
        return self._files[file_id]

    def file_of_uri(self, uri: str, request: str) -> StoredFile:
        """
        Find the file of a URI in a prompt: a URI of this service, or the Cloud Storage URI of a registered file.

        :raises ApiError: 400 for another kind of URI, 403 if there is no such file.
        """
        if known := file_id(uri):
            return self.find(known, request)
        for file in self.files():
            if file.uri == uri:
                return file
        raise errors.unsupported_uri(uri)

    def delete(self, file_id: str) -> None:
        """
        Delete a file at once.

        The id is checked first, so the result file of a batch, whose id is too long, cannot be deleted.

        :raises ApiError: 400 for an invalid id, 403 if there is no such file.
        """
        check_id(file_id, "DeleteFileRequest")
        file = self.find(file_id, "DeleteFileRequest")
        del self._files[file_id]
        if self.settings.freed_seconds:
            self._deleted.append((self.clock.now() + self.settings.freed_seconds, file.size))

    def check_space(self, size: int, requested_id: str | None) -> None:
        """
        Refuse a new file that is too large, does not fit into the storage, or asks for an id that is taken.

        :param size: in bytes.
        :raises ApiError: 400, 429 or 409.
        """
        self.update()
        if size > MAX_FILE_BYTES:
            raise errors.too_large(size, MAX_FILE_BYTES)
        if self.used_bytes() + self._deleted_bytes() + size > self.settings.quota_bytes:
            raise errors.storage_full(self.settings.quota_bytes)
        if requested_id in self._files:
            raise errors.already_exists()

    def _deleted_bytes(self) -> int:
        """Return the bytes of deleted files that the quota still counts."""
        now = self.clock.now()
        self._deleted = [(until, size) for until, size in self._deleted if now < until]
        return sum(size for _, size in self._deleted)

    def kept_part(self, content: bytearray) -> bytes:
        """Return the part of an upload's first bytes to keep, so that many large files do not fill the memory."""
        kept = sum(len(file.content) for file in self._files.values())
        return bytes(content if kept + len(content) <= MAX_KEPT_BYTES else content[:_MIN_KEPT_BYTES])

    def add(self, file: StoredFile) -> StoredFile:
        """Add a file, and return it."""
        self._files[file.id] = file
        self._next_expiry = min(self._next_expiry, file.expires)
        return file

    def schedule(self, when: float, job: Callable[[], None]) -> None:
        """Run a job at a time: in fact at the first :meth:`update` after it."""
        heapq.heappush(self._jobs, (when, next(self._numbers), job))

    def update(self) -> None:
        """Run due jobs and drop expired files, in the order of their times."""
        if self._updating:
            # A job that looks for a file must see those of its own time.
            return
        now = self.clock.now()
        self._updating = True
        try:
            while self._jobs and self._jobs[0][0] <= now:
                when, _, job = heapq.heappop(self._jobs)
                self._drop_expired(when)
                job()
        finally:
            self._updating = False
        self._drop_expired(now)

    def _drop_expired(self, now: float) -> None:
        if now < self._next_expiry:
            return
        self._files = {key: file for key, file in self._files.items() if file.expires > now}
        self._next_expiry = min((file.expires for file in self._files.values()), default=math.inf)


def check_id(file_id: str, request: str, field_name: str = "name") -> None:
    """
    Check the rules of ids: up to 40 of ``[a-z0-9-]``, no dash at either end.

    :raises ApiError: 400 for an invalid id.
    """
    if len(file_id) > 40:
        raise errors.id_too_long(request, field_name)
    if not _ID.fullmatch(file_id):
        raise errors.id_malformed(request, field_name)


def new_id(length: int = 12) -> str:
    """Return a random id of letters and digits, as the service creates them."""
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=length))  # noqa: S311 - not a secret
