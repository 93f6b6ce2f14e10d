"""What one try of a task remembers of its upload sessions for the next: Airflow 3.3's task state store."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

#: Seconds; how long the service continues a session is not published, and its files do not live longer.
KEPT_SECONDS = 48 * 3600
#: Bytes; what is smaller is sent again quicker than it is remembered.
WORTH_BYTES = 8 * 1024**2


class StateStore(Protocol):
    """The part of Airflow's ``task_state_store`` that is used."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return what is kept under a key."""

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        """Keep something."""

    def delete(self, key: str) -> None:
        """Forget it."""


class Log(Protocol):
    """The part of a logger that is used."""

    def info(self, text: str, /, *values: object) -> Any:
        """Say what happens."""

    def warning(self, text: str, /, *values: object) -> Any:
        """Say what went wrong."""


class SessionMemory:
    """
    The upload session of one source, kept between the tries of a task.

    A store that fails costs the memory, never the upload.

    :param store: None where Airflow has none: nothing is remembered then.
    :param source: tells one source of the task from another.
    :param fingerprint: all that a session is bound to; where it has changed, the session is of no use.
    """

    def __init__(self, store: StateStore | None, source: str, fingerprint: tuple[str, ...], log: Log) -> None:
        self._store = store
        self._key = f"gemini_upload_{_digest(source)[:16]}"
        self._fingerprint = _digest(*fingerprint)
        self._log = log
        self._kept = False

    def recall(self) -> str | None:
        """Return the URL of the session that an earlier try has left; None where a new one is needed."""
        if self._store is None:
            return None
        try:
            kept = self._store.get(self._key)
            if kept is None:
                return None
            self._kept = True
            changed = kept["fingerprint"] != self._fingerprint
            url, too_old = _open(kept), time.time() > kept["created"] + KEPT_SECONDS
        except Exception as error:
            # Not the same as nothing there: a person may want to know why all is sent again.
            self._log.warning("What an earlier try left could not be read (%s): starting anew.", type(error).__name__)
            return None
        if changed:
            self._log.info("The source, or what is asked for, has changed since an earlier try: starting anew.")
        elif too_old:
            self._log.info("The upload that an earlier try began is too old to go on with: starting anew.")
        return None if changed or too_old else url

    def keep(self, url: str) -> None:
        """Remember a session."""
        self._try("kept for a next try", lambda store: self._put(store, url))
        self._kept = True

    def forget(self) -> None:
        """Forget the session, if there is one."""
        if self._kept:
            self._try("deleted", lambda store: store.delete(self._key))
            self._kept = False

    def _put(self, store: StateStore, url: str) -> None:
        kept = {**_seal(url), "fingerprint": self._fingerprint, "created": round(time.time())}
        store.set(self._key, kept, retention=timedelta(seconds=KEPT_SECONDS))

    def _try(self, doing: str, action: Callable[[StateStore], object]) -> None:
        if self._store is None:
            return
        try:
            action(self._store)
        except Exception as error:
            self._log.warning("The upload session could not be %s (%s).", doing, type(error).__name__)


def _seal(url: str) -> dict[str, Any]:
    """Encrypt the URL, which authorises whoever has it, if Airflow has a Fernet key."""
    from airflow.sdk.crypto import get_fernet

    fernet = get_fernet()
    return {"url": fernet.encrypt(url.encode()).decode(), "encrypted": fernet.is_encrypted}


def _open(kept: dict[str, Any]) -> str:
    from airflow.sdk.crypto import get_fernet

    return str(get_fernet().decrypt(kept["url"].encode()).decode()) if kept["encrypted"] else str(kept["url"])


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
