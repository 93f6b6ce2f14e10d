"""
What triggers and the tasks they resume tell each other, in Airflow's database.

An event is ``{"version": 2, "files" | "usage" | "error": ..., "resume": ...}``. Version 1 had no ``version`` and no
``resume``; its error was ``{"error": class, "message": text, "file_names": [...]}``. It is read, too, because
tasks that were deferred before an upgrade end with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_gemini_files import exceptions
from airflow_provider_gemini_files.exceptions import (
    GeminiFileFailedError,
    GeminiFilesError,
    GeminiServiceError,
    GeminiStorageFullError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.storage_usage import StorageUsage

VERSION = 2

Event = Mapping[str, Any]


def files_event(files: Sequence[GeminiFile], resume: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """
    Return the event of files that are ACTIVE.

    :param resume: what the resumed task needs of its past: see ``operators/resume.py``.
    """
    return event_of("files", [file.to_dict() for file in files], resume)


def usage_event(usage: StorageUsage, resume: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the event of storage that has enough free space; ``resume`` as for :func:`files_event`."""
    return event_of("usage", usage.to_dict(), resume)


def error_event(error: GeminiFilesError, resume: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the event of a wait that failed; ``resume`` as for :func:`files_event`."""
    asked = error.retry_after
    told: dict[str, Any] = {
        "class": type(error).__name__,
        "message": error.message,
        # Infinity is not JSON.
        "retry_after": asked if asked is not None and math.isfinite(asked) else None,
    }
    if isinstance(error, GeminiFileFailedError):
        told["file_names"] = list(error.file_names)
    if isinstance(error, GeminiStorageFullError):
        told["missing_bytes"] = error.missing_bytes
    return event_of("error", told, resume)


def files_of(event: Event | None) -> list[GeminiFile]:
    """
    Return the files of an event, in the order they were asked for.

    :raises GeminiFilesError: the error that ended the wait, of its own class.
    """
    if event and isinstance(event.get("files"), list):
        return [GeminiFile.from_dict(file) for file in event["files"]]
    raise error_of(event)


def usage_of(event: Event | None) -> dict[str, Any]:
    """
    Return the storage usage of an event, as a dict.

    :raises GeminiFilesError: the error that ended the wait, of its own class.
    """
    if event and isinstance(event.get("usage"), Mapping):
        return dict(event["usage"])
    raise error_of(event)


def resume_of(event: Event | None) -> Mapping[str, Any] | None:
    """Return what the deferred task has left for the resumed one; None if nothing, or if the event is older."""
    return event.get("resume") if event else None


def error_of(event: Event | None) -> GeminiFilesError:
    """Return the error of an event; one without any result must not pass for success."""
    if not event or "error" not in event:
        return GeminiServiceError(f"The trigger ended without a result: {event!r}. A retry waits again.")
    told = event["error"] if isinstance(event["error"], Mapping) else {**event, "class": event["error"]}
    kind = getattr(exceptions, str(told.get("class")), None)
    if not (isinstance(kind, type) and issubclass(kind, GeminiFilesError)):
        kind = GeminiServiceError
    known: dict[str, Any] = {"retry_after": told.get("retry_after")}
    if issubclass(kind, GeminiFileFailedError):
        known["file_names"] = told.get("file_names", ())
    if issubclass(kind, GeminiStorageFullError):
        known["missing_bytes"] = told.get("missing_bytes", 0)
    return kind(str(told.get("message") or "The wait failed."), **known)


def event_of(kind: str, value: Any, resume: Mapping[str, Any] | None) -> dict[str, Any]:
    """
    Return an event.

    :param kind: what has ended the wait: ``files``, ``usage``, ``batches`` or ``error``.
    """
    return {"version": VERSION, kind: value, "resume": None if resume is None else dict(resume)}
