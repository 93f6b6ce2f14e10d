"""Upload sessions that one task attempt keeps for the next, in the task state store of Airflow 3.3."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

#: Seconds; how long the service keeps a session is not published, and its files do not live longer.
KEPT_SECONDS = 48 * 3600
#: Smaller uploads are sent again instead of resumed: saving the session costs more than sending.
MIN_REMEMBERED_BYTES = 8 * 1024**2


class StateStore(Protocol):
    """The part of Airflow's ``task_state_store`` that is used here."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key."""

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        """Store a value."""

    def delete(self, key: str) -> None:
        """Delete a value."""


class Log(Protocol):
    """The part of a logger that is used here."""

    def info(self, text: str, /, *values: object) -> Any:
        """Log progress."""

    def warning(self, text: str, /, *values: object) -> Any:
        """Log a problem."""


class SessionMemory:
    """
    The upload session of one source, kept between the attempts of a task.

    If the store fails, the session is lost, but the upload continues.

    :param store: None if Airflow has no store; nothing is kept then.
    :param source: identifies the source among those of the task.
    :param fingerprint: everything that a session depends on; if it has changed, the session is not used.
    """

    def __init__(self, store: StateStore | None, source: str, fingerprint: tuple[str, ...], log: Log) -> None:
        self._store = store
        self._key = f"gemini_upload_{_digest(source)[:16]}"
        self._fingerprint = _digest(*fingerprint)
        self._log = log
        self._kept = False

    def recall(self) -> str | None:
        """Return the session URL of an earlier attempt; None if a new session is needed."""
        if self._store is None:
            return None
        try:
            kept = self._store.get(self._key)
            if kept is None:
                return None
            self._kept = True
            changed = kept["fingerprint"] != self._fingerprint
            url, too_old = _decrypted(kept), time.time() > kept["created"] + KEPT_SECONDS
        except Exception as error:
            # Logged, as it explains why all bytes are sent again.
            self._log.warning(
                "The upload session of an earlier attempt could not be read (%s): uploading from the start.",
                type(error).__name__,
            )
            return None
        if changed:
            self._log.info(
                "The source or the upload's arguments have changed since an earlier attempt: uploading from the start."
            )
        elif too_old:
            self._log.info("The upload session of an earlier attempt is too old: uploading from the start.")
        return None if changed or too_old else url

    def keep(self, url: str) -> None:
        """Store the URL of a session."""
        self._safely("kept for the next attempt", lambda store: self._put(store, url))
        self._kept = True

    def forget(self) -> None:
        """Delete the stored session, if there is one."""
        if self._kept:
            self._safely("deleted", lambda store: store.delete(self._key))
            self._kept = False

    def _put(self, store: StateStore, url: str) -> None:
        kept = {**_encrypted(url), "fingerprint": self._fingerprint, "created": round(time.time())}
        store.set(self._key, kept, retention=timedelta(seconds=KEPT_SECONDS))

    def _safely(self, doing: str, action: Callable[[StateStore], object]) -> None:
        if self._store is None:
            return
        try:
            action(self._store)
        except Exception as error:
            self._log.warning("The upload session could not be %s (%s).", doing, type(error).__name__)


def _encrypted(url: str) -> dict[str, Any]:
    """Encrypt the URL if Airflow has a Fernet key: everyone who has the URL can upload with it."""
    from airflow.sdk.crypto import get_fernet

    fernet = get_fernet()
    return {"url": fernet.encrypt(url.encode()).decode(), "encrypted": fernet.is_encrypted}


def _decrypted(kept: dict[str, Any]) -> str:
    from airflow.sdk.crypto import get_fernet

    return str(get_fernet().decrypt(kept["url"].encode()).decode()) if kept["encrypted"] else str(kept["url"])


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
