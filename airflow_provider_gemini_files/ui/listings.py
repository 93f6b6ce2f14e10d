"""The page's listings: one for each connection, at most twice a minute, however many users view the page."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.files.naming import Owner, is_shared, label_of
from airflow_provider_gemini_files.files.policy import RunState
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.retention import RunKey
from airflow_provider_gemini_files.files.storage_usage import StorageUsage
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.runs import database_lookup
from airflow_provider_gemini_files.ui.errors import ErrorKind, PageError

log = logging.getLogger(__name__)

#: Seconds for which a listing is shown before the next one starts.
FRESH_SECONDS = 30.0
#: Seconds after which a failed listing can be retried on request, so that a button costs the service few calls.
RETRY_SECONDS = 2.0
#: Seconds for which a request of the page waits for a listing; the listing itself continues.
REQUEST_SECONDS = 5.0
#: Seconds after which a listing is given up: a service that never finishes its response must not block the page.
LISTING_SECONDS = 300.0


@dataclass(frozen=True)
class Listing:
    """
    All files of a connection's project, and the states of the runs that own them.

    :param at: when the listing started, in seconds since the epoch.
    :param deployment: identity of this Airflow deployment; of another's runs it knows nothing.
    """

    at: float
    conn_id: str
    files: tuple[GeminiFile, ...]
    quota_bytes: int
    runs: Mapping[RunKey, RunState]
    deployment: str | None = None

    @cached_property
    def usage(self) -> StorageUsage:
        """Return how much of the quota the files use."""
        return StorageUsage.of(self.files, self.quota_bytes)

    @cached_property
    def rows(self) -> str:
        """Return the rows of the table as JSON, encoded once for all users."""
        return json.dumps([_row(file, self) for file in self.files], separators=(",", ":"))


@dataclass(frozen=True)
class Snapshot:
    """
    What is known about a connection's files now.

    :param listing: the last successful listing; None if there is none yet.
    :param started_at: when the last listing started, in seconds since the epoch.
    :param loading: whether a listing is running.
    :param error: why the last listing failed; None if it did not.
    """

    listing: Listing | None = None
    started_at: float = 0.0
    loading: bool = False
    error: PageError | None = None


@dataclass
class _Entry:
    """The cached listing of one connection; the lock guards the other fields."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    running: Future[None] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class ListingCache:
    """
    Lists the files of connections, each at most once in :data:`FRESH_SECONDS` and never twice at the same time.

    A listing runs in its own thread and can take as long as the hook's retries. Requests wait for it for at most
    :data:`REQUEST_SECONDS`, and are then served with the previous listing.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    async def snapshot(self, conn_id: str, *, retry: bool = False) -> Snapshot:
        """
        Return what is known about a connection's files; start a listing first if one is due.

        :param retry: a listing that failed is due after :data:`RETRY_SECONDS` already.
        """
        entry = self._entries.setdefault(conn_id, _Entry())
        with entry.lock:
            _start_if_due(conn_id, entry, retry=retry)
            running = entry.running
        if running is not None:
            await asyncio.wait([asyncio.wrap_future(running)], timeout=REQUEST_SECONDS)
        return entry.snapshot

    def remove_files(self, conn_id: str, names: Collection[str]) -> None:
        """Remove deleted files from the cached listing, so that the page does not show them until the next one."""
        entry = self._entries[conn_id]
        with entry.lock:
            if listing := entry.snapshot.listing:
                remaining = tuple(file for file in listing.files if file.name not in names)
                entry.snapshot = replace(entry.snapshot, listing=replace(listing, files=remaining))


def _start_if_due(conn_id: str, entry: _Entry, *, retry: bool) -> None:
    """Start a listing if one is due; the caller must hold the lock, so that no result arrives before it is expected."""
    now = time.time()
    age = now - entry.snapshot.started_at
    if entry.running is not None and age >= LISTING_SECONDS:
        error = PageError(ErrorKind.SERVICE, f"The listing did not finish within {LISTING_SECONDS:.0f} seconds.")
        _finish(entry, entry.running, None, error)
    can_retry = retry and entry.snapshot.error is not None
    if entry.running is not None or age < (RETRY_SECONDS if can_retry else FRESH_SECONDS):
        return
    entry.running = Future()
    entry.snapshot = replace(entry.snapshot, started_at=now, loading=True)
    # A daemon thread, so that the API server can stop while the service does not respond.
    thread = threading.Thread(
        target=_list, args=(conn_id, entry, entry.running, now), daemon=True, name=f"gemini-files {conn_id}"
    )
    thread.start()


def _list(conn_id: str, entry: _Entry, running: Future[None], started_at: float) -> None:
    listing, error = None, None
    hook = GeminiFilesHook(conn_id)
    try:
        quota_bytes = hook.connection.quota_bytes
        files = tuple(hook.list_files())
        deployment = database_lookup.deployment
        runs = database_lookup(file.owner for file in files if file.owner and file.owner.deployment == deployment)
        listing = Listing(started_at, conn_id, files, quota_bytes, runs, deployment)
    except Exception as failure:
        if not isinstance(failure, GeminiFilesError):
            log.exception("Cannot list the files of connection %r for the page", conn_id)
        error = PageError.of(failure, hook)
    with entry.lock:
        # A listing that was given up is no longer expected.
        if entry.running is running:
            _finish(entry, running, listing, error)


def _finish(entry: _Entry, running: Future[None], listing: Listing | None, error: PageError | None) -> None:
    """Store a result and release the requests that wait for it; the caller must hold the lock."""
    entry.running = None
    entry.snapshot = replace(entry.snapshot, listing=listing or entry.snapshot.listing, loading=False, error=error)
    running.set_result(None)


def _row(file: GeminiFile, listing: Listing) -> list[Any]:
    """Return a file as ``files.js`` decodes it: without field names, as one response holds thousands of files."""
    owner, created, expires = file.owner, file.created_at(), file.expires_at()
    error = (file.error or {}).get("message")
    return [
        file.name,
        label_of(file.display_name),
        [owner.dag_id, owner.run_id, owner.task_id, owner.map_index, _run_state(owner, listing)] if owner else None,
        is_shared(file.display_name),
        file.mime_type,
        file.size_bytes or 0,
        file.state,
        created and round(created),
        expires and round(expires),
        file.source,
        error and shown_text(error),
    ]


def _run_state(owner: Owner, listing: Listing) -> str:
    if owner.deployment != listing.deployment:
        return "elsewhere"
    return str(listing.runs.get(owner.run, RunState.UNKNOWN))
