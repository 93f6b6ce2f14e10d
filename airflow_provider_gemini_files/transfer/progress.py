"""Progress of an upload, for the task log."""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_provider_gemini_files.files.limits import human_bytes

_EVERY_SECONDS = 5.0


class Progress:
    """
    Says every few seconds how far an upload is: bytes, percent and rate.

    :param log: takes a format and its arguments, as ``logger.info`` does.
    :param what: what is uploaded, for the log line.
    :param size: its bytes.
    """

    def __init__(self, log: Callable[..., object], what: str, size: int) -> None:
        self._log = log
        self._what = what
        self._size = size
        self._began = self._said = time.monotonic()

    def at(self, sent: int) -> None:
        """Take the news that so many bytes are on their way."""
        now = time.monotonic()
        if now - self._said < _EVERY_SECONDS:
            return
        self._said = now
        self._log(
            "%s: %s of %s sent (%d %%, %s/s)",
            self._what,
            human_bytes(sent),
            human_bytes(self._size),
            100 * sent // self._size,
            human_bytes(sent / (now - self._began)),
        )

    def seconds(self) -> float:
        """Return how long it has been going on."""
        return time.monotonic() - self._began
