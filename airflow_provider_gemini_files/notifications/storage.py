"""The alert of a project's storage."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow.sdk import BaseNotifier

from airflow_provider_gemini_files import usage_history
from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.exceptions import GeminiFilesError, GeminiInputError
from airflow_provider_gemini_files.files.policy import DEFAULT_HIGH_WATERMARK
from airflow_provider_gemini_files.files.storage_usage import StorageUsage
from airflow_provider_gemini_files.files.usage_history import History, Sample
from airflow_provider_gemini_files.hooks.connection import DEFAULT_CONN_ID
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

if TYPE_CHECKING:
    from airflow.sdk import Context

Notifier = Callable[["Context"], Any]


class GeminiStorageAlert(BaseNotifier):
    """
    A callback that calls other notifiers when the storage of a connection's project is nearly full.

    It lists the files, with one request per 100 files. If they use the share ``at`` of the quota or more, it calls the
    notifiers: once, and again only after the usage has fallen below ``at``, or after ``repeat_every``. A failure is
    logged and does not fail the task; a notifier that has failed is called again the next time.

    The context of the notifiers, and so their templates, has the dict ``gemini_storage``: ``conn_id``, ``percent``,
    ``used`` and ``quota`` as texts, ``used_bytes``, ``quota_bytes``, ``files``, ``full_in_hours`` (None if the storage
    is not filling up), and ``message``, a text with all of it.

    :param notifier: a notifier of Airflow, such as ``SmtpNotifier``; a function that takes the context; or several. All
        tasks and Dags share the record of calls: notifiers of the same class with the same templates count as one, and
        so do functions with the same module and name.
    :param at: a share of the quota, greater than 0 and at most 1.
    :param repeat_every: alert again after this time, a timedelta or a number of hours; None alerts once.
    :param gemini_conn_id: a connection of type ``gemini`` (templated).
    :raises GeminiInputError: for a value that cannot be used, when the Dag is parsed.
    """

    template_fields: Sequence[str] = ("gemini_conn_id",)
    #: For tests; not an argument, as for operators.
    clock: ClassVar[Clock] = SYSTEM_CLOCK

    def __init__(
        self,
        *,
        notifier: Notifier | Sequence[Notifier],
        at: float = DEFAULT_HIGH_WATERMARK,
        repeat_every: timedelta | float | None = None,
        gemini_conn_id: str = DEFAULT_CONN_ID,
    ) -> None:
        super().__init__()
        self.notifiers = _notifiers_of(notifier)
        self.at = _share_of(at)
        self.repeat_every = None if repeat_every is None else _seconds_of(repeat_every)
        self.gemini_conn_id = gemini_conn_id
        # Before their templates are rendered, so that a notifier is the same in each run.
        self._keys = [f"{self.at:g} {_identity_of(one)}" for one in self.notifiers]

    def notify(self, context: Context) -> None:
        """Look up how full the storage is, and call the notifiers that are due."""
        try:
            usage = GeminiFilesHook(self.gemini_conn_id).usage()
        except GeminiFilesError as error:
            self.log.warning("The storage of %r cannot be checked: %s", self.gemini_conn_id, error)
            return
        now, history = self.clock.now(), self._history()
        if usage.share < self.at:
            told, forgotten = set(), {key for key in self._keys if key in history.alerts}
        else:
            told, forgotten = self._tell(context, usage, history, now), set()
        self._remember(Sample.of(now, usage.files, usage.used_bytes), told, forgotten)

    def _history(self) -> History:
        try:
            return usage_history.of_task.load(self.gemini_conn_id)
        except Exception as error:
            # Told too often is better than never.
            self.log.warning("Cannot read when this alert was last sent (%s).", type(error).__name__)
            return History()

    def _tell(self, context: Context, usage: StorageUsage, history: History, now: float) -> set[str]:
        """Call the notifiers that are due; return the keys of those that have not failed."""
        storage = _facts(self.gemini_conn_id, usage, history, now)
        told = set()
        for key, notifier in zip(self._keys, self.notifiers, strict=True):
            if not self._is_due(history.alerts.get(key), now):
                continue
            try:
                # A copy, as rendering replaces the templates of a notifier.
                copy(notifier)(cast("Context", {**context, "gemini_storage": storage}))
            except Exception:
                self.log.warning("%s failed: %s", _name_of(notifier), storage["message"], exc_info=True)
            else:
                told.add(key)
        return told

    def _is_due(self, last: int | None, now: float) -> bool:
        return last is None or (self.repeat_every is not None and now - last >= self.repeat_every)

    def _remember(self, sample: Sample, told: set[str], forgotten: set[str]) -> None:
        def changed(history: History) -> History:
            kept = {key: at for key, at in history.alerts.items() if key not in forgotten}
            after = replace(history, alerts=kept | dict.fromkeys(told, sample.at))
            return after.with_sample(sample) if after.is_due(sample) else after

        try:
            usage_history.of_task.change(self.gemini_conn_id, changed)
        except Exception as error:
            self.log.warning("Cannot record that this alert was sent (%s).", type(error).__name__)


def _facts(conn_id: str, usage: StorageUsage, history: History, now: float) -> dict[str, Any]:
    used, quota, percent = human_bytes(usage.used_bytes), human_bytes(usage.quota_bytes), 100 * usage.share
    hours = history.hours_until_full(usage.used_bytes, usage.quota_bytes, now)
    message = f"The storage of {conn_id} is {percent:.1f} % full: {used} of {quota} in {usage.files} files."
    if hours:
        message += f" It is full in about {hours:.1f} hours at this rate."
    return {
        "conn_id": conn_id,
        "percent": round(percent, 1),
        "used": used,
        "quota": quota,
        "used_bytes": usage.used_bytes,
        "quota_bytes": usage.quota_bytes,
        "files": usage.files,
        "full_in_hours": None if hours is None else round(hours, 1),
        "message": message,
    }


def _notifiers_of(notifier: Any) -> list[Notifier]:
    notifiers = list(notifier) if isinstance(notifier, list | tuple) else [notifier]
    if not notifiers or not all(callable(one) for one in notifiers):
        raise GeminiInputError(
            f"notifier must be a notifier, a function that takes the context, or a list of these; got {notifier!r}."
        )
    return notifiers


def _share_of(at: Any) -> float:
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 < at <= 1:
        raise GeminiInputError(f"at must be a share of the quota, over 0 and at most 1, such as 0.9; got {at!r}.")
    return float(at)


def _seconds_of(repeat_every: Any) -> float:
    """Return a time in seconds; a number is hours."""
    if isinstance(repeat_every, timedelta):
        seconds = repeat_every.total_seconds()
    elif isinstance(repeat_every, int | float) and not isinstance(repeat_every, bool):
        seconds = 3600.0 * repeat_every
    else:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise GeminiInputError(f"repeat_every must be a timedelta or hours, over 0, or None; got {repeat_every!r}.")
    return seconds


def _identity_of(notifier: Notifier) -> str:
    """Return what tells a notifier from others, the same in each process: its name, and its templates or arguments."""
    if isinstance(notifier, partial):
        identity: list[Any] = [_name_of(notifier.func), notifier.args, notifier.keywords]
    else:
        fields = getattr(notifier, "template_fields", ())
        identity = [_name_of(notifier), *(getattr(notifier, field, None) for field in fields)]
    text = json.dumps(identity, default=lambda value: type(value).__name__, skipkeys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _name_of(notifier: Notifier) -> str:
    named = notifier if hasattr(notifier, "__qualname__") else type(notifier)
    return f"{named.__module__}.{named.__qualname__}"
