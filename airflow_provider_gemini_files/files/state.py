"""The one decision about files that are waited for: wait on and until when, ready, or failed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_gemini_files import exceptions
from airflow_provider_gemini_files.exceptions import (
    GeminiFileFailedError,
    GeminiFileGoneError,
    GeminiFilesError,
    GeminiPermanentError,
    GeminiRateLimitError,
    GeminiServiceError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile

#: Polls of one file that may fail in a row before the wait does: a service that hiccups costs no task.
MAX_FAILED_POLLS = 5
#: A look is worth its call when the wait has become so much longer since the last one.
_PATIENCE = 0.1
#: What an author can do, by the code (google.rpc.Code) that the service gives for a file it could not process.
_ADVICE = {
    3: "Check that the source plays or opens, and that its MIME type is right; convert a video to H.264 in MP4.",
    8: "It may be too long or too large: cut it into parts.",
    11: "It may be too long or too large: cut it into parts.",
    4: "The service took too long: upload it again, or cut it into parts.",
    13: "The fault is the service's: upload it again.",
    14: "The fault is the service's: upload it again.",
}
_ADVICE_FOR_OTHERS = "Check that the source plays or opens, and that its MIME type is right; then upload it again."


class FileWaits:
    """
    The wait for some files to become ACTIVE, fed with what each poll saw; it asks nobody itself.

    Looks are close together at first and further apart the longer it takes: a tenth of the time waited, within bounds.

    :param names: ``files/...``, in the order in which :meth:`ready` gives them back.
    :param deadline: seconds since the epoch; None waits as long as the caller polls.
    :param began: when the wait began, in seconds since the epoch; now where None.
    :param poll_interval: seconds between two looks, the least.
    :param max_poll_interval: seconds between two looks, the most.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        deadline: float | None = None,
        began: float | None = None,
        poll_interval: float = 5,
        max_poll_interval: float = 30,
    ) -> None:
        self._deadline = deadline
        self._began = time.time() if began is None else began
        self._poll_interval = poll_interval
        self._max_poll_interval = max(poll_interval, max_poll_interval)
        self._names = list(names)
        self._pending = dict.fromkeys(self._names, "not seen yet")
        self._failed_polls = dict.fromkeys(self._names, 0)
        self._ready: dict[str, GeminiFile] = {}
        self._failed: list[GeminiFilesError] = []

    @property
    def pending(self) -> list[str]:
        """Return the names of the files that are neither ACTIVE nor given up."""
        return list(self._pending)

    def ready(self) -> list[GeminiFile]:
        """Return the files that are ACTIVE, in the order they were asked for."""
        return [self._ready[name] for name in self._names if name in self._ready]

    def interval(self, now: float) -> float:
        """Return the seconds until the next look."""
        return min(max(self._poll_interval, _PATIENCE * (now - self._began)), self._max_poll_interval)

    def next_look(self, now: float) -> float:
        """Return when to look again, in seconds since the epoch: never after the deadline."""
        at = now + self.interval(now)
        return at if self._deadline is None else min(at, max(now, self._deadline))

    def describe(self, now: float) -> str:
        """Say in a line what is waited for, how long already, and what was seen last."""
        pending = self.pending
        named = ", ".join(f"{name} ({self._pending[name]})" for name in pending[:3])
        more = f" and {len(pending) - 3} more" if len(pending) > 3 else ""
        return f"Waiting for {named}{more} to become ACTIVE, for {now - self._began:.0f} s"

    def see(self, name: str, seen: GeminiFile | GeminiFilesError, now: float) -> None:
        """
        Take what a poll of one file saw; :meth:`check` then judges.

        :param name: one that is not pending is passed over.
        :param seen: the file, or the error of asking for it.
        :param now: seconds since the epoch.
        """
        if name not in self._pending:
            return
        if isinstance(seen, GeminiFilesError):
            self._pending[name] = type(seen).__name__
            error = self._given_up_after(name, seen)
        else:
            self._pending[name] = seen.state
            self._failed_polls[name] = 0
            error = _given_up_on(seen, now)
            if seen.state == "ACTIVE":
                self._ready[name] = seen
        if error:
            self._failed.append(error)
        if error or name in self._ready:
            del self._pending[name]

    def check(self, now: float) -> bool:
        """
        Judge: True where all files are ACTIVE, False where there is something to wait for.

        :raises GeminiFilesError: where the wait is over, and not well; it names each file that failed.
        """
        if self._failed:
            raise _one_of(self._failed)
        if self._pending and self._deadline is not None and now >= self._deadline:
            raise GeminiWaitTimeoutError(
                f"{self.describe(now)}: that is too long. The files are still there: a retry goes on waiting, or "
                "give it more time."
            )
        return not self._pending

    def _given_up_after(self, name: str, error: GeminiFilesError) -> GeminiFilesError | None:
        if isinstance(error, GeminiPermanentError):
            return error
        if isinstance(error, GeminiRateLimitError):
            # The service is well and wants fewer calls; that costs no task.
            return None
        self._failed_polls[name] += 1
        if self._failed_polls[name] < MAX_FAILED_POLLS:
            return None
        return GeminiServiceError(f"{name}: {MAX_FAILED_POLLS} polls failed in a row; the last: {error}")


def _given_up_on(file: GeminiFile, now: float) -> GeminiFilesError | None:
    if file.state == "FAILED":
        return processing_failed(file)
    expires = file.expires()
    if file.state == "ACTIVE" or expires is None or now < expires:
        return None
    return GeminiFileGoneError(f"{file.name} expired at {file.expiration_time}, still {file.state}. Upload it again.")


def _one_of(errors: list[GeminiFilesError]) -> GeminiFilesError:
    """Return one error for several files: of their class, or of the gravest where they differ."""
    if len(errors) == 1:
        return errors[0]
    message = f"{len(errors)} files failed: {' '.join(str(error) for error in errors)}"
    for kind in (GeminiFileFailedError, GeminiFileGoneError, GeminiPermanentError):
        found = [error for error in errors if isinstance(error, kind)]
        if found and kind is GeminiFileFailedError:
            names = [name for error in found for name in getattr(error, "file_names", ())]
            return GeminiFileFailedError(message, names)
        if found:
            return kind(message)
    return GeminiServiceError(message)


def processing_failed(file: GeminiFile) -> GeminiFileFailedError:
    """Return the error of a file that the service could not process: its reason, and what the author can do."""
    error = file.error or {}
    code = f" (code {error['code']})" if error.get("code") else ""
    return GeminiFileFailedError(
        f"The service could not process {file.name} ({file.display_name or 'no display name'}, {file.mime_type}): "
        f"{error.get('message') or 'it gave no reason'}{code}. {_ADVICE.get(error.get('code', 0), _ADVICE_FOR_OTHERS)} "
        f"The file stays FAILED until it is deleted or expires at {file.expiration_time}.",
        [file.name],
    )


def ready_event(files: list[GeminiFile]) -> dict[str, Any]:
    """Return the trigger event that says: all files are ACTIVE."""
    return {"files": [file.to_dict() for file in files]}


def failed_event(error: GeminiFilesError) -> dict[str, Any]:
    """Return the trigger event that says: the wait is over, and not well."""
    event: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, GeminiFileFailedError):
        event["file_names"] = list(error.file_names)
    return event


def files_of_event(event: Mapping[str, Any] | None) -> list[GeminiFile]:
    """
    Return the files of a trigger event, in the order they were asked for.

    :raises GeminiFilesError: the error that ended the wait, of its own class.
    :raises GeminiServiceError: for an event that says neither; it must not pass as success.
    """
    if event and "files" in event:
        return [GeminiFile.from_dict(file) for file in event["files"]]
    raise error_of_event(event)


def error_of_event(event: Mapping[str, Any] | None) -> GeminiFilesError:
    """Return the error of a trigger event; one that says neither error nor result must not pass as success."""
    if not event or "error" not in event:
        return GeminiServiceError(f"The trigger ended without a result: {event!r}. A retry waits again.")
    if event["error"] == GeminiFileFailedError.__name__:
        return GeminiFileFailedError(event["message"], event.get("file_names", ()))
    kind: type[GeminiFilesError] = getattr(exceptions, str(event["error"]), GeminiServiceError)
    return kind(event.get("message"))
