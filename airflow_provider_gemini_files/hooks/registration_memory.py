"""Which objects the attempts of a task have registered, in the task state store of Airflow 3.3."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta

from airflow_provider_gemini_files.transfer.memory import Log, StateStore
from airflow_provider_gemini_files.transfer.source import Source

_VERSION = 1
#: A registration is valid for at most this long.
_RETENTION = timedelta(days=30)


class RegistrationMemory:
    """
    The names of registered objects, by the object and its generation.

    Each response of the service is a record of its own, as a record for each object would be thousands of requests to
    Airflow, and one of all would be megabytes. If the store fails, objects are registered again.

    :param store: None if Airflow has no store; nothing is remembered then.
    :param conn_id: the Gemini connection.
    """

    def __init__(self, store: StateStore | None, conn_id: str, log: Log) -> None:
        self._store = store
        self._conn_id = conn_id
        self._log = log
        self._records = 0

    def recall(self) -> dict[str, str]:
        """Return the names by the keys of :meth:`key`."""
        known: dict[str, str] = {}
        if self._store is None:
            return known
        try:
            while (record := self._store.get(self._record_key())) is not None:
                self._records += 1
                if isinstance(record, Mapping) and record.get("version") == _VERSION:
                    known.update(record["files"])
        except Exception as error:
            self._log.warning(
                "What an earlier attempt has registered cannot be read (%s): it is registered again.",
                type(error).__name__,
            )
        return known

    def keep(self, names: Mapping[str, str]) -> None:
        """Store the names of one response, by the keys of their objects."""
        if self._store is None:
            return
        try:
            self._store.set(self._record_key(), {"version": _VERSION, "files": dict(names)}, retention=_RETENTION)
            self._records += 1
        except Exception as error:
            self._log.warning("The registered files could not be recorded (%s).", type(error).__name__)

    def key(self, source: Source) -> str:
        """Return what identifies an object as it is now: it changes if the object is replaced."""
        return hashlib.sha256(json.dumps([self._conn_id, *source.fingerprint]).encode()).hexdigest()[:32]

    def _record_key(self) -> str:
        return f"gemini_registration_{self._records}"
