"""Progress of an upload, for the task log and Airflow's metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from airflow_provider_gemini_files.common.units import human_bytes

#: A line is said after so many seconds, or at so many percent more, but never within the shortest pause.
_EVERY_SECONDS = 5.0
_EVERY_PERCENT = 5
_PAUSE_SECONDS = 1.0


class Progress:
    """
    Says every few seconds or percent how far an upload is: bytes, percent, rate, resumes. Threads may share it.

    :param log: takes a format and its arguments, as ``logger.info`` does.
    :param what: what is uploaded, for the log line.
    :param size: its bytes.
    """

    def __init__(self, log: Callable[..., object], what: str, size: int) -> None:
        self._log = log
        self._what = what
        self._size = size
        self._done = 0
        self._sent = 0
        self._resumes = 0
        self._said_percent = 0
        self._began = self._said = time.monotonic()
        self._lock = threading.Lock()

    def moved(self, count: int) -> None:
        """Take the news that so many bytes more are on their way."""
        with self._lock:
            self._done += count
            now = time.monotonic()
            percent = 100 * self._done // max(self._size, 1)
            since = now - self._said
            due = since >= _EVERY_SECONDS or percent >= self._said_percent + _EVERY_PERCENT
            if not due or since < _PAUSE_SECONDS:
                return
            self._said, self._said_percent = now, percent
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
        """Take the news that so many bytes need not be sent."""
        with self._lock:
            self._done += count

    def sent(self, count: int) -> None:
        """Take the news that a file is complete, for which so many bytes were sent, some of them twice perhaps."""
        with self._lock:
            self._sent += count

    def interrupted(self, what: str, delay: float) -> None:
        """Take the news that an upload was interrupted, and goes on after a delay in seconds."""
        with self._lock:
            self._resumes += 1
        self._log("%s: interrupted; asking in %.1f s how far the service got", what, delay)

    def summary(self) -> str:
        """Return one line about the whole upload."""
        seconds = self.seconds()
        rate = human_bytes(self._sent / max(seconds, 0.001))
        interrupted = f", interruptions: {self._resumes}" if self._resumes else ""
        return (
            f"Uploaded {self._what}, {human_bytes(self._size)}: {human_bytes(self._sent)} sent in {seconds:.1f} s "
            f"({rate}/s){interrupted}"
        )

    def seconds(self) -> float:
        """Return how long it has been going on."""
        return time.monotonic() - self._began
