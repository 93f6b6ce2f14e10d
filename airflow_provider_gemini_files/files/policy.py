"""What a retention policy says, and the words in which it is answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pendulum

from airflow_provider_gemini_files.exceptions import GeminiInputError

DEFAULT_MAX_AGE = pendulum.duration(hours=24)
DEFAULT_GRACE = pendulum.duration(minutes=10)
DEFAULT_HIGH_WATERMARK = 0.9
DEFAULT_LOW_WATERMARK = 0.7


class RunState(StrEnum):
    """What Airflow says about a run; where the question failed it is ``unknown``, never ``gone``."""

    RUNNING = "running"
    FINISHED = "finished"
    GONE = "gone"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a file goes, in the order in which files go, or stays."""

    FAILED = "failed"
    RUN_FINISHED = "run finished"
    RUN_GONE = "run gone"
    EXPIRES_SOON = "expires soon"
    TOO_OLD = "too old"
    OLDEST = "oldest"

    KEEP_LIST = "keep list"
    NOT_SELECTED = "not selected"
    FOREIGN = "foreign"
    SHARED = "shared"
    ORPHAN = "orphan"
    RUN_RUNNING = "run running"
    RUN_UNKNOWN = "run unknown"
    TOO_YOUNG = "too young"
    NOT_DUE = "not due"
    LIMIT = "limit reached"


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """
    Which files may be deleted, and when.

    A file that may be deleted goes when it is due by its age, or when the storage is so full that room is made. Files
    of runs that are running, or of which it is not known, always stay.

    :param max_age: files older than this go; None: only to make room. The only age for shared and foreign files.
    :param max_age_finished: files older than this go whose run is finished or gone; None: as ``max_age`` says.
    :param max_age_failed: FAILED files older than this go; None: as the other ages say.
    :param high_watermark: used share of the quota from which on room is made, over 0 and at most 1.
    :param low_watermark: used share down to which room is made, at most ``high_watermark``.
    :param grace: files younger than this stay, whatever else is said.
    :param keep: names (``files/...``) or display names of files that stay; ``*`` and ``?`` stand for anything.
    :param dag_ids: only files of these Dags; None: no such filter.
    :param display_name: only files whose display name contains this.
    :param mime_type: only files whose type starts with this, as in ``"video/"``.
    :param min_bytes: only files of at least this size.
    :param include_shared: also files that all runs share (``reuse="project"``).
    :param include_foreign: also files that no task of Airflow has uploaded.
    :param include_orphans: also files of runs that Airflow does not know; False where several Airflows share a project.
    :param max_deletions: the most files that go at once.
    :raises GeminiInputError: for a value that cannot be.
    """

    max_age: timedelta | None = DEFAULT_MAX_AGE
    max_age_finished: timedelta | None = timedelta()
    max_age_failed: timedelta | None = timedelta()
    high_watermark: float = DEFAULT_HIGH_WATERMARK
    low_watermark: float = DEFAULT_LOW_WATERMARK
    grace: timedelta = DEFAULT_GRACE
    keep: Collection[str] = ()
    dag_ids: Collection[str] | None = None
    display_name: str | None = None
    mime_type: str | None = None
    min_bytes: int = 0
    include_shared: bool = True
    include_foreign: bool = False
    include_orphans: bool = True
    max_deletions: int | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> RetentionPolicy:
        """
        Read a policy from a form or a template: durations may be numbers of hours, and everything may be a text.

        :raises GeminiInputError: for a field that there is not, or a value that cannot be.
        """
        if unknown := sorted(set(fields) - set(_READERS)):
            raise GeminiInputError(
                f"A retention policy has no {', '.join(unknown)}; its fields are {', '.join(_READERS)}."
            )
        read = {}
        for name, value in fields.items():
            try:
                read[name] = _READERS[name](value)
            except (TypeError, ValueError) as error:
                raise GeminiInputError(f"{name} of the retention policy cannot be {value!r}: {error}.") from error
        return cls(**read)

    def __post_init__(self) -> None:
        for name in ("max_age", "max_age_finished", "max_age_failed", "grace"):
            _check_duration(name, getattr(self, name), optional=name != "grace")
        if not 0 < self.low_watermark <= self.high_watermark <= 1:
            raise GeminiInputError(
                "Watermarks are shares of the quota with 0 < low_watermark <= high_watermark <= 1; got "
                f"low_watermark={self.low_watermark!r}, high_watermark={self.high_watermark!r}."
            )
        for name in ("keep", "dag_ids"):
            if isinstance(getattr(self, name), str):
                raise GeminiInputError(f"{name} is a list of texts, got the text {getattr(self, name)!r}.")
        if self.min_bytes < 0:
            raise GeminiInputError(f"min_bytes is a number of bytes, at least 0; got {self.min_bytes!r}.")
        if self.max_deletions is not None and self.max_deletions < 1:
            raise GeminiInputError(f"max_deletions is a whole number, at least 1, or None; got {self.max_deletions!r}.")


def _hours(value: Any) -> timedelta | None:
    if value is None or isinstance(value, timedelta):
        return value
    return None if value in ("", "None") else timedelta(hours=float(value))


def _switch(value: Any) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise ValueError("not true or false")
    return str(value).lower() == "true"


def _number(value: Any) -> int | None:
    return None if value in (None, "", "None") else int(value)


def _text(value: Any) -> str | None:
    return None if value in (None, "", "None") else str(value)


def _texts(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        raise TypeError("a text, not a list of them")
    return None if value is None else tuple(map(str, value))


#: How each field is read where it comes from a form or a template, and so may be a text.
_READERS: dict[str, Callable[[Any], Any]] = {
    "max_age": _hours,
    "max_age_finished": _hours,
    "max_age_failed": _hours,
    "high_watermark": float,
    "low_watermark": float,
    "grace": _hours,
    "keep": _texts,
    "dag_ids": _texts,
    "display_name": _text,
    "mime_type": _text,
    "min_bytes": int,
    "include_shared": _switch,
    "include_foreign": _switch,
    "include_orphans": _switch,
    "max_deletions": _number,
}


def _check_duration(name: str, value: object, *, optional: bool) -> None:
    if value is None and optional:
        return
    if not isinstance(value, timedelta) or value < timedelta():
        raise GeminiInputError(
            f"{name} is a duration like pendulum.duration(hours=24), not negative{', or None' if optional else ''}; "
            f"got {value!r}."
        )
