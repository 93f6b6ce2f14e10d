"""Progress of an upload, for the task log and Airflow's metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from airflow_provider_gemini_files.common.units import human_bytes

#: A line is logged after so many seconds or so many percent, but never more often than the shortest pause.
_EVERY_SECONDS = 5.0
_EVERY_PERCENT = 5
_PAUSE_SECONDS = 1.0


class Progress:
    """
    Logs every few seconds or percent how far an upload is: bytes, percent, rate, interruptions. It is thread-safe.

    :param log: called with a format and its arguments, like ``logger.info``.
    :param what: a description of the upload, for the log.
    :param size: bytes of the whole upload.
    """

    def __init__(self, log: Callable[..., object], what: str, size: int) -> None:
        self._log = log
        self._what = what
        self._size = size
        self._done = 0
        self._sent = 0
        self._resumes = 0
        self._logged_percent = 0
        self._began = self._logged = time.monotonic()
        self._lock = threading.Lock()

    def moved(self, count: int) -> None:
        """Add ``count`` bytes that were read and are being sent."""
        with self._lock:
            self._done += count
            now = time.monotonic()
            percent = 100 * self._done // max(self._size, 1)
            since = now - self._logged
            due = since >= _EVERY_SECONDS or percent >= self._logged_percent + _EVERY_PERCENT
            if not due or since < _PAUSE_SECONDS:
                return
            self._logged, self._logged_percent = now, percent
            self._log(
                "%s: %s of %s (%d %%, %s/s%s)",
                self._what,
                human_bytes(self._done),
                human_bytes(self._size),
                percent,
                human_bytes(self._done / (now - self._began)),
                f", interruptions: {self._resumes}" if self._resumes else "",
            )

    def skipped(self, count: int) -> None:
        """Add ``count`` bytes that need not be sent."""
        with self._lock:
            self._done += count

    def sent(self, count: int) -> None:
        """Add ``count`` bytes that were sent for a complete file; bytes that were sent twice count twice."""
        with self._lock:
            self._sent += count

    def interrupted(self, error: Exception, delay: float) -> None:
        """Count and log an interruption; the upload resumes after ``delay`` seconds."""
        with self._lock:
            self._resumes += 1
        self._log("%s The upload resumes in %.1f s.", error, delay)

    def summary(self) -> str:
        """Return a line about the whole upload."""
        seconds = self.seconds()
        rate = human_bytes(self._sent / max(seconds, 0.001))
        interrupted = f", interruptions: {self._resumes}" if self._resumes else ""
        return (
            f"Uploaded {self._what}, {human_bytes(self._size)}: {human_bytes(self._sent)} sent in {seconds:.1f} s "
            f"({rate}/s){interrupted}"
        )

    def seconds(self) -> float:
        """Return the seconds since the upload began."""
        return time.monotonic() - self._began
