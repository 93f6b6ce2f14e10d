"""What the page reads of the service: one listing for each connection and half minute, whoever looks."""

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

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.files.naming import is_shared, label_of
from airflow_provider_gemini_files.files.policy import RunState
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.retention import RunKey
from airflow_provider_gemini_files.files.usage import StorageUsage
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.runs import database_lookup

log = logging.getLogger(__name__)

#: Seconds for which a listing is shown before the service is asked again.
FRESH_SECONDS = 30.0
#: Seconds for which a request of the page waits for a listing; the listing itself goes on.
PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Listing:
    """
    What the service had, and what Airflow said of the runs that own it.

    :param at: when the service was asked, in seconds since the epoch.
    """

    at: float
    files: tuple[GeminiFile, ...]
    quota_bytes: int
    runs: Mapping[RunKey, RunState]

    @cached_property
    def usage(self) -> StorageUsage:
        """Return what the files take of the quota."""
        return StorageUsage.of(self.files, self.quota_bytes)

    @cached_property
    def rows(self) -> str:
        """Return the table's rows as JSON, made once for all who look."""
        return json.dumps([_row(file, self.runs) for file in self.files], separators=(",", ":"))


@dataclass(frozen=True)
class Seen:
    """
    What is known of a connection's store now.

    :param listing: the last that succeeded; None where none has.
    :param tried_at: when the last one began, in seconds since the epoch.
    :param reading: a listing is under way.
    :param error: why the last one failed: ``kind`` (a class name) and ``message``.
    """

    listing: Listing | None = None
    tried_at: float = 0.0
    reading: bool = False
    error: dict[str, str] | None = None


@dataclass
class _Store:
    """One connection's listing; the lock guards both fields."""

    seen: Seen = field(default_factory=Seen)
    under_way: Future[None] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Reader:
    """
    Reads the stores of connections, each at most once in :data:`FRESH_SECONDS` and never twice at once.

    A listing runs in a thread of its own and can take as long as the hook's retries do. Who looks waits for it
    :data:`PATIENCE_SECONDS`, then gets what was known before.
    """

    def __init__(self) -> None:
        self._stores: dict[str, _Store] = {}

    async def see(self, conn_id: str) -> Seen:
        """Return what is known of a store, after having read it where that is due."""
        store = self._stores.setdefault(conn_id, _Store())
        with store.lock:
            if store.under_way is None and time.time() - store.seen.tried_at >= FRESH_SECONDS:
                self._begin(conn_id, store)
            under_way = store.under_way
        if under_way is not None:
            await asyncio.wait([asyncio.wrap_future(under_way)], timeout=PATIENCE_SECONDS)
        return store.seen

    def forget(self, conn_id: str, names: Collection[str]) -> None:
        """Leave deleted files out until the service is asked again."""
        store = self._stores[conn_id]
        with store.lock:
            if listing := store.seen.listing:
                left = tuple(file for file in listing.files if file.name not in names)
                store.seen = replace(store.seen, listing=replace(listing, files=left))

    @staticmethod
    def _begin(conn_id: str, store: _Store) -> None:
        """Begin to read; who calls this holds the lock, and so what is read is not told before it is under way."""
        at = time.time()
        # A daemon: an API server that is told to end does not wait for a service that does not answer.
        threading.Thread(target=_read, args=(conn_id, store, at), daemon=True, name=f"gemini-files {conn_id}").start()
        store.under_way = Future()
        store.seen = replace(store.seen, tried_at=at, reading=True)


def _read(conn_id: str, store: _Store, at: float) -> None:
    listing, error = None, None
    try:
        hook = GeminiFilesHook(conn_id)
        quota_bytes = hook.connection.quota_bytes
        files = tuple(hook.list_files())
        runs = database_lookup(file.owner for file in files if file.owner)
        listing = Listing(at, files, quota_bytes, runs)
    except GeminiFilesError as failure:
        missing = isinstance(failure.__cause__, AirflowNotFoundException)
        error = {"kind": "NoConnection" if missing else type(failure).__name__, "message": str(failure)}
    except Exception:
        # Its text was not written for a browser, and may hold anything.
        log.exception("Cannot read the files of connection %r for the page", conn_id)
        error = {"kind": "Unexpected", "message": "Reading failed unexpectedly; the API server's log says why."}
    with store.lock:
        done, store.under_way = store.under_way, None
        store.seen = replace(store.seen, listing=listing or store.seen.listing, reading=False, error=error)
    if done is not None:
        done.set_result(None)


def _row(file: GeminiFile, runs: Mapping[RunKey, RunState]) -> list[Any]:
    """Return a file as the page's ``files.js`` reads it; 5,000 of them are one answer, so fields have no names."""
    owner, created, expires = file.owner, file.created(), file.expires()
    return [
        file.name,
        label_of(file.display_name),
        [owner.dag_id, owner.run_id, owner.task_id, owner.map_index, runs[owner.dag_id, owner.run_id]]
        if owner
        else None,
        is_shared(file.display_name),
        file.mime_type,
        file.size_bytes or 0,
        file.state,
        created and round(created),
        expires and round(expires),
        file.source,
        (file.error or {}).get("message"),
    ]
