"""What a task remembers between its attempts of a batch job that it submits, in the task state store of Airflow 3.3."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow_provider_gemini_files.transfer.memory import Log, StateStore

_VERSION = 1
#: Jobs are kept for six weeks.
_RETENTION = timedelta(days=42)


@dataclass(frozen=True)
class Remembered:
    """
    What is known of an earlier attempt.

    :param name: the job that it has submitted; None if it is not known.
    :param maybe_submitted: whether it may have submitted one.
    :param is_counted: whether the metrics have the tokens of the job; None if that is not known.
    """

    name: str | None = None
    maybe_submitted: bool = False
    is_counted: bool | None = None


class Submission:
    """
    The record of one submission.

    :param store: None if Airflow has no store; nothing is remembered then.
    :param fingerprint: of the job.
    """

    def __init__(self, store: StateStore | None, fingerprint: str, log: Log) -> None:
        self._store = store
        self._key = f"gemini_batch_{fingerprint}"
        self._log = log

    def recall(self) -> Remembered:
        """Return what an earlier attempt has recorded. If that cannot be read, it may have submitted the job."""
        if self._store is None:
            return Remembered()
        try:
            record = self._store.get(self._key)
        except Exception as error:
            self._log.warning("What an earlier attempt has submitted cannot be read (%s).", type(error).__name__)
            return Remembered(maybe_submitted=True)
        if record is None:
            return Remembered()
        known = record if isinstance(record, Mapping) else {}
        name, counted = known.get("name"), known.get("counted")
        return Remembered(
            name if isinstance(name, str) else None,
            maybe_submitted=True,
            is_counted=counted if isinstance(counted, bool) else None,
        )

    def intend(self) -> None:
        """Record that the job is about to be submitted."""
        self._put({"submitted": round(time.time())})

    def keep(self, name: str, *, is_counted: bool = False) -> None:
        """
        Record the job.

        :param is_counted: whether the metrics have its tokens.
        """
        self._put({"name": name, "counted": is_counted})

    def forget(self) -> None:
        """Record that no job was submitted, or that its answers cannot be used any more."""
        if self._store is None:
            return
        try:
            self._store.delete(self._key)
        except Exception as error:
            self._log.warning("The record of a submission could not be deleted (%s).", type(error).__name__)

    def _put(self, record: dict[str, Any]) -> None:
        if self._store is None:
            return
        try:
            self._store.set(self._key, {"version": _VERSION, **record}, retention=_RETENTION)
        except Exception as error:
            # The list of jobs tells the next attempt the same.
            self._log.warning("The submission could not be recorded (%s).", type(error).__name__)
