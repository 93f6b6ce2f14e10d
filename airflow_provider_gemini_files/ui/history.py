"""The history of a connection's storage, for the page: what it shows, and what its listings and changes add to it."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any

from airflow_provider_gemini_files import usage_history
from airflow_provider_gemini_files.files.kinds import bytes_by_kind
from airflow_provider_gemini_files.files.storage_usage import counted_bytes
from airflow_provider_gemini_files.files.usage_history import Deleted, History, Sample
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.ui.files import FileListing

log = logging.getLogger(__name__)


def read_files(hook: GeminiFilesHook, at: float, previous: FileListing | None) -> FileListing:
    """List the files, as :meth:`FileListing.read` does, and add their usage to the history."""
    listing = FileListing.read(hook, at, previous)
    usage_history.of_database.record(listing.conn_id, _sample(listing))
    return listing


def add_cleanup(listing: FileListing, names: Collection[str]) -> None:
    """Add files of a listing that a cleanup has deleted."""
    sizes = [counted_bytes(file) for file in listing.files if file.name in names]
    deleted = Deleted(int(time.time()), len(sizes), sum(sizes))
    usage_history.of_database.record(listing.conn_id, _sample(listing), cleaned_up=deleted)


def history_of(conn_id: str, listing: FileListing | None) -> dict[str, Any]:
    """
    Return what ``history.js`` shows of a connection; an empty history if it cannot be read.

    :param listing: the present files; without it, there is no forecast.
    """
    try:
        history = usage_history.of_database.load(conn_id)
    except Exception:
        log.warning("The storage usage of connection %r over time cannot be read.", conn_id, exc_info=True)
        history = History()
    now = time.time()
    usage = listing.usage if listing else None
    return {
        "now": now,
        "samples": [one.to_row() for one in history.samples],
        "cleanups": [one.to_row() for one in history.cleanups],
        "evictions": [one.to_row() for one in history.evictions],
        "full_in_hours": history.hours_until_full(usage.used_bytes, usage.quota_bytes, now) if usage else None,
    }


def _sample(listing: FileListing) -> Sample:
    owners = listing.owners
    owned = bytes_by_kind(listing.files, owners.states, owners.deployment)
    return Sample.of(listing.at, len(listing.files), listing.usage.used_bytes, owned)
