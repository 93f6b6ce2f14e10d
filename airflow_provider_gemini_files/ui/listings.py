"""The page's cached listings: each is read at most twice a minute, however many users view the page."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.hooks.server import GeminiServerHook
from airflow_provider_gemini_files.ui.errors import ErrorKind, PageError

log = logging.getLogger(__name__)

#: Seconds for which a listing is shown before the next one starts.
FRESH_SECONDS = 30.0
#: Seconds after which a listing can be repeated on request, so that a button costs the service few calls: if it failed,
#: and if it did not.
RETRY_SECONDS = 2.0
REFRESH_SECONDS = 5.0
#: Seconds for which a request of the page waits for a listing; the listing itself continues.
REQUEST_SECONDS = 5.0
#: Seconds after which a listing is given up: a service that never finishes its response must not block the page.
LISTING_SECONDS = 300.0
#: Seconds after which a listing that nobody views is forgotten.
KEPT_SECONDS = 3600.0


class Listing(Protocol):
    """What was listed; ``at`` is when the listing started, in seconds since the epoch."""

    @property
    def at(self) -> float: ...  # noqa: D102 - described above


L = TypeVar("L", bound=Listing)


@dataclass(frozen=True)
class Snapshot(Generic[L]):
    """
    What is known about a connection's resources now.

    :param listing: the last successful listing; None if there is none yet.
    :param started_at: when the last listing started, in seconds since the epoch.
    :param loading: whether a listing is running.
    :param error: why the last listing failed; None if it did not.
    """

    listing: L | None = None
    started_at: float = 0.0
    loading: bool = False
    error: PageError | None = None


@dataclass
class _Entry(Generic[L]):
    """
    One cached listing; the lock guards the other fields.

    :param is_outdated: whether a change has made it outdated, so that the next one is due at once.
    """

    snapshot: Snapshot[L] = field(default_factory=Snapshot)
    is_outdated: bool = False
    running: Future[None] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class ListingCache(Generic[L]):
    """
    Lists the resources of connections, each at most once in :data:`FRESH_SECONDS` and never twice at the same time.

    A listing runs in its own thread and can take as long as the hook's retries. Requests wait for it for at most
    :data:`REQUEST_SECONDS`, and are then served with the previous listing.

    :param what: the resources, for messages: "files".
    :param read: lists them: called with a hook, the time at which the listing starts, the previous listing or None, and
        what :meth:`snapshot` is given besides the connection.
    """

    def __init__(self, what: str, read: Callable[..., L]) -> None:
        self._what = what
        self._read = read
        self._entries: dict[tuple[str, ...], _Entry[L]] = {}

    async def snapshot(self, conn_id: str, *of: str, retry: bool = False) -> Snapshot[L]:
        """
        Return what is known about a connection's resources; start a listing first if one is due.

        :param of: what they belong to, such as a store; nothing for those of the project.
        :param retry: the user asks for it, so that a listing is due after :data:`REFRESH_SECONDS` already, or after
            :data:`RETRY_SECONDS` if it failed.
        """
        self._forget_unused()
        entry = self._entries.setdefault((conn_id, *of), _Entry())
        with entry.lock:
            self._start_if_due((conn_id, *of), entry, retry=retry)
            running = entry.running
        if running is not None:
            await asyncio.wait([asyncio.wrap_future(running)], timeout=REQUEST_SECONDS)
        return entry.snapshot

    def change(self, conn_id: str, change: Callable[[L], L]) -> None:
        """Replace the listing of a connection, such as by one without the files that were deleted."""
        if entry := self._entries.get((conn_id,)):
            with entry.lock:
                if listing := entry.snapshot.listing:
                    entry.snapshot = replace(entry.snapshot, listing=change(listing))

    def expire(self, conn_id: str) -> None:
        """Let the next request start a listing, because a change has made the cached one outdated."""
        if entry := self._entries.get((conn_id,)):
            with entry.lock:
                entry.is_outdated = True

    def _forget_unused(self) -> None:
        oldest = time.time() - KEPT_SECONDS
        unused = [
            key for key, entry in self._entries.items() if entry.running is None and entry.snapshot.started_at < oldest
        ]
        for key in unused:
            del self._entries[key]

    def _start_if_due(self, key: tuple[str, ...], entry: _Entry[L], *, retry: bool) -> None:
        """Start a listing if one is due; the caller must hold the lock, so that no result arrives too early."""
        now = time.time()
        age = now - entry.snapshot.started_at
        if entry.running is not None and age >= LISTING_SECONDS:
            error = PageError(
                ErrorKind.SERVICE, f"The list of {self._what} did not end within {LISTING_SECONDS:.0f} seconds."
            )
            _finish(entry, entry.running, None, error)
        asked = RETRY_SECONDS if entry.snapshot.error else REFRESH_SECONDS
        pause = 0.0 if entry.is_outdated else asked if retry else FRESH_SECONDS
        if entry.running is not None or age < pause:
            return
        entry.running, entry.is_outdated = Future(), False
        entry.snapshot = replace(entry.snapshot, started_at=now, loading=True)
        # A daemon thread, so that the API server can stop while the service does not respond.
        thread = threading.Thread(
            target=self._list,
            args=(key, entry, entry.running, now),
            daemon=True,
            name=f"gemini-{self._what} {' '.join(key)}",
        )
        thread.start()

    def _list(self, key: tuple[str, ...], entry: _Entry[L], running: Future[None], started_at: float) -> None:
        listing, error = None, None
        conn_id, *of = key
        hook = GeminiServerHook(conn_id)
        try:
            listing = self._read(hook, started_at, entry.snapshot.listing, *of)
        except Exception as failure:
            if not isinstance(failure, GeminiFilesError):
                log.exception("Cannot list the %s of connection %r for the page", self._what, conn_id)
            error = PageError.of(failure, hook, self._what)
        with entry.lock:
            # A listing that was given up is no longer expected.
            if entry.running is running:
                _finish(entry, running, listing, error)


def _finish(entry: _Entry[L], running: Future[None], listing: L | None, error: PageError | None) -> None:
    """Store a result and release the requests that wait for it; the caller must hold the lock."""
    entry.running = None
    entry.snapshot = replace(entry.snapshot, listing=listing or entry.snapshot.listing, loading=False, error=error)
    running.set_result(None)
