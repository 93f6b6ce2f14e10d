"""The one decision about files that are waited for: wait on, ready, or failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_gemini_files import exceptions
from airflow_provider_gemini_files.exceptions import (
    GeminiFileFailedError,
    GeminiFilesError,
    GeminiPermanentError,
    GeminiServiceError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile

#: Polls of one file that may fail in a row before the wait does: a service that hiccups costs no task.
MAX_FAILED_POLLS = 5


class FileWaits:
    """
    The wait for some files to become ACTIVE, fed with what each poll saw; it asks nobody itself.

    :param names: ``files/...``, in the order in which :meth:`ready` gives them back.
    :param deadline: seconds since the epoch; None waits as long as the caller polls.
    """

    def __init__(self, names: Iterable[str], deadline: float | None = None) -> None:
        self._deadline = deadline
        self._ready: dict[str, GeminiFile | None] = dict.fromkeys(names)
        self._failed_polls = dict.fromkeys(self._ready, 0)

    @property
    def pending(self) -> list[str]:
        """Return the names that are not ACTIVE yet."""
        return [name for name, file in self._ready.items() if file is None]

    def ready(self) -> list[GeminiFile]:
        """Return the files that are ACTIVE, in the order they were asked for."""
        return [file for file in self._ready.values() if file is not None]

    def see(self, name: str, seen: GeminiFile | GeminiFilesError, now: float) -> None:
        """
        Take what a poll of one file saw.

        :param seen: the file, or the error of asking for it.
        :param now: seconds since the epoch.
        :raises GeminiFilesError: where the wait is over, and not well.
        """
        if isinstance(seen, GeminiFilesError):
            self._on_error(name, seen)
            last_seen = f"{type(seen).__name__}: {seen}"
        else:
            self._on_file(name, seen)
            last_seen = seen.state
        if self._ready[name] is None and self._deadline is not None and now >= self._deadline:
            raise GeminiWaitTimeoutError(
                f"{name} did not become ACTIVE in time; last seen: {last_seen}. The file is still there: a retry goes "
                "on waiting; or give it more time."
            )

    def _on_file(self, name: str, file: GeminiFile) -> None:
        self._failed_polls[name] = 0
        if file.state == "FAILED":
            raise processing_failed(file)
        if file.state == "ACTIVE":
            self._ready[name] = file

    def _on_error(self, name: str, error: GeminiFilesError) -> None:
        if isinstance(error, GeminiPermanentError):
            raise error
        self._failed_polls[name] += 1
        if self._failed_polls[name] >= MAX_FAILED_POLLS:
            raise GeminiServiceError(f"{name}: {MAX_FAILED_POLLS} polls failed in a row; the last: {error}")


def processing_failed(file: GeminiFile) -> GeminiFileFailedError:
    """Return the error of a file that the service could not process, with the service's reason."""
    error = file.error or {}
    code = f" (code {error['code']})" if error.get("code") else ""
    return GeminiFileFailedError(
        f"The service could not process {file.name} ({file.display_name or 'no display name'}, {file.mime_type}): "
        f"{error.get('message') or 'it gave no reason'}{code}. The file stays FAILED until it is deleted or expires at "
        f"{file.expiration_time}. Check that the source plays or opens, and that its MIME type is right; then upload "
        "it again."
    )


def ready_event(files: list[GeminiFile]) -> dict[str, Any]:
    """Return the trigger event that says: all files are ACTIVE."""
    return {"files": [file.to_dict() for file in files]}


def failed_event(error: GeminiFilesError) -> dict[str, Any]:
    """Return the trigger event that says: the wait is over, and not well."""
    return {"error": type(error).__name__, "message": str(error)}


def files_of_event(event: Mapping[str, Any] | None) -> list[GeminiFile]:
    """
    Return the files of a trigger event, in the order they were asked for.

    :raises GeminiFilesError: the error that ended the wait, of its own class.
    :raises GeminiServiceError: for an event that says neither; it must not pass as success.
    """
    if event and "files" in event:
        return [GeminiFile.from_dict(file) for file in event["files"]]
    if event and "error" in event:
        kind = getattr(exceptions, str(event["error"]), GeminiServiceError)
        raise kind(event.get("message"))
    raise GeminiServiceError(f"The trigger ended without a result: {event!r}. A retry asks for the files again.")
