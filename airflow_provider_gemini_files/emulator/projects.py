"""What a project holds: its files, stores, caches and batches."""

from __future__ import annotations

import math
import random
import re
import string
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.clock import Clock
from airflow_provider_gemini_files.emulator.file import StoredFile
from airflow_provider_gemini_files.emulator.settings import Settings

if TYPE_CHECKING:
    from airflow_provider_gemini_files.emulator.batches import Batch
    from airflow_provider_gemini_files.emulator.caches import Cache
    from airflow_provider_gemini_files.emulator.stores import Store

MAX_FILE_BYTES = 2 * 1024**3
#: Bytes of all uploads of a project that are kept; beyond, a new file keeps its very beginning only.
MAX_KEPT_BYTES = 256 * 1024**2
_LEAST_KEPT_BYTES = 4096
_ID = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


class Project:
    """
    The files of one API key, counted against its storage.

    :param name: the key; nothing of it is ever shown.
    """

    def __init__(self, name: str, clock: Clock, settings: Settings) -> None:
        self.name = name
        self.clock = clock
        self.settings = settings
        self._files: dict[str, StoredFile] = {}
        self._next_expiry = math.inf
        #: When deleted bytes no longer count, and how many they are.
        self._still_counted: list[tuple[float, int]] = []
        self._jobs: list[tuple[float, Callable[[], None]]] = []
        self.stores: dict[str, Store] = {}
        self.caches: dict[str, Cache] = {}
        self.batches: dict[str, Batch] = {}

    def files(self) -> list[StoredFile]:
        """Return the files that still live, newest first as the service lists them."""
        self.settle()
        return list(reversed(list(self._files.values())))

    def used_bytes(self) -> int:
        """Return what the living files take; those in Cloud Storage take nothing here."""
        return sum(file.size for file in self.files() if file.source != "REGISTERED")

    def find(self, file_id: str, request: str, field_name: str = "name") -> StoredFile:
        """
        Find a file.

        :param request: the name of the request, which the service puts into its validation errors.
        :raises ApiError: 400 for an id that cannot be, 403 for one that is not here.
        """
        self.settle()
        if file_id not in self._files:
            check_id(file_id, request, field_name)
            raise errors.no_permission(file_id)
        return self._files[file_id]

    def file_of_uri(self, uri: str, request: str) -> StoredFile:
        """
        Find the file of a URI in a prompt: one of this service, or the Cloud Storage one it was registered with.

        :raises ApiError: 400 for a URI of another kind, 403 for a file that is not here.
        """
        if not uri.startswith("gs://"):
            return self.find(uri.rpartition("files/")[2], request)
        for file in self.files():
            if file.uri == uri:
                return file
        raise errors.invalid(f"Invalid or unsupported file uri: {uri}")

    def delete(self, file_id: str) -> None:
        """
        Remove a file at once.

        The id is checked first: that is why the result of a batch, whose id is longer than the rule, cannot go.
        """
        check_id(file_id, "DeleteFileRequest")
        file = self.find(file_id, "DeleteFileRequest")
        del self._files[file_id]
        if self.settings.freed_seconds:
            self._still_counted.append((self.clock.now() + self.settings.freed_seconds, file.size))

    def check_room(self, size: int, requested_id: str | None) -> None:
        """Refuse what is too large, does not fit, or wants a name that is taken."""
        self.settle()
        if size > MAX_FILE_BYTES:
            raise errors.too_large(size, MAX_FILE_BYTES)
        if self.used_bytes() + self._deleted_bytes() + size > self.settings.quota_bytes:
            raise errors.storage_full(self.settings.quota_bytes)
        if requested_id in self._files:
            raise errors.already_exists()

    def _deleted_bytes(self) -> int:
        """Return the bytes of deleted files that the quota still counts."""
        now = self.clock.now()
        self._still_counted = [(until, size) for until, size in self._still_counted if now < until]
        return sum(size for _, size in self._still_counted)

    def keep(self, content: bytearray) -> bytes:
        """Return what of an upload's first bytes is kept, so that many large files do not fill the memory."""
        kept = sum(len(file.content) for file in self._files.values())
        return bytes(content if kept + len(content) <= MAX_KEPT_BYTES else content[:_LEAST_KEPT_BYTES])

    def add(self, file: StoredFile) -> StoredFile:
        """Take a file in."""
        self._files[file.id] = file
        self._next_expiry = min(self._next_expiry, file.expires)
        return file

    def store(self, store_id: str) -> Store:
        """Find a file search store; 403 when it is not here."""
        if store_id not in self.stores:
            raise errors.no_access("FileSearchStore", store_id)
        return self.stores[store_id]

    def cache(self, cache_id: str) -> Cache:
        """Find a cached content that lives; 403 when it is not here."""
        cache = self.caches.get(cache_id)
        if cache is None or cache.expires <= self.clock.now():
            raise errors.no_cache()
        return cache

    def later(self, when: float, job: Callable[[], None]) -> None:
        """Let something happen at a time; in fact when the project is looked at after it."""
        self._jobs.append((when, job))

    def settle(self) -> None:
        """Let happen what is due by now: jobs, and the end of files."""
        now = self.clock.now()
        due = [job for when, job in self._jobs if when <= now]
        if due:
            self._jobs = [(when, job) for when, job in self._jobs if when > now]
            for job in due:
                job()
        if now < self._next_expiry:
            return
        self._files = {key: file for key, file in self._files.items() if file.expires > now}
        self._next_expiry = min((file.expires for file in self._files.values()), default=math.inf)


def check_id(file_id: str, request: str, field_name: str = "name") -> None:
    """Refuse an id that breaks the rules: up to 40 of ``[a-z0-9-]``, no dash at either end."""
    if len(file_id) > 40:
        raise errors.id_too_long(request, field_name)
    if not _ID.fullmatch(file_id):
        raise errors.id_malformed(request, field_name)


def new_id(length: int = 12) -> str:
    """Return an id as the service makes them: letters and digits."""
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=length))  # noqa: S311 - not a secret
