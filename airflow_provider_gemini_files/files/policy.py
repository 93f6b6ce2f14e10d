"""The retention policy, and the terms in which a plan is written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import pendulum
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError, model_validator

from airflow_provider_gemini_files.common.durations import seconds_of
from airflow_provider_gemini_files.common.settings import input_error
from airflow_provider_gemini_files.common.unset import is_unset
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.selection import FileFilter

DEFAULT_MAX_AGE = pendulum.duration(hours=24)
DEFAULT_GRACE = pendulum.duration(hours=1)
DEFAULT_HIGH_WATERMARK = 0.9
DEFAULT_LOW_WATERMARK = 0.7


class RunState(StrEnum):
    """The state of a run in Airflow; if Airflow cannot be queried, it is ``unknown``, never ``gone``."""

    RUNNING = "running"
    FINISHED = "finished"
    GONE = "gone"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a file is deleted, in the order in which files are deleted, or kept."""

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
    IN_BATCH = "in a batch"
    TOO_YOUNG = "too young"
    NOT_DUE = "not due"
    LIMIT = "limit reached"


def _duration(value: Any) -> timedelta:
    """Take a duration; a bare number is refused, as it could be hours or seconds."""
    if not isinstance(value, timedelta):
        raise ValueError("not a duration")
    return timedelta(seconds=seconds_of(value, "the duration"))


def _optional_duration(value: Any) -> timedelta | None:
    return None if value is None else _duration(value)


def _texts(value: Any) -> tuple[str, ...] | None:
    """Take several texts, in an order that does not change between two parses of a Dag."""
    if value is None:
        return None
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ValueError("not a list of texts")
    # Once: an iterator is empty afterwards.
    texts = tuple(value)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("not a list of texts")
    return tuple(sorted(texts)) if isinstance(value, set | frozenset) else texts


def _optional(value: Any) -> Any:
    """Take an empty field of a form or template for None."""
    return None if is_unset(value) else value


def _no_switch(value: Any) -> Any:
    """Refuse true and false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


def _switch(value: Any) -> Any:
    """Take true and false, also as text; pydantic would take 1, "on" and "y" as well."""
    if str(value).lower() not in ("true", "false"):
        raise ValueError("neither true nor false")
    return str(value).lower() == "true"


# Typed for pydantic, whose JSON dicts hold any JSON value.
_Expected = dict[str, JsonValue]
_DURATION = "a duration like pendulum.duration(hours=24), not negative"
_HOURS_OR_NONE: _Expected = {"expected": f"{_DURATION}, or None"}
_SHARE: _Expected = {"expected": "a share of the quota, over 0 and at most 1"}
_SWITCH: _Expected = {"expected": "true or false"}
_LIST: _Expected = {"expected": "a list of texts"}
_TEXT_OR_NONE: _Expected = {"expected": "a text, or None"}
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Switch = Annotated[bool, BeforeValidator(_switch)]
OptionalDuration = Annotated[timedelta | None, BeforeValidator(_optional_duration)]
Number = Annotated[float, BeforeValidator(_no_switch)]
OptionalText = Annotated[str | None, BeforeValidator(_optional)]


class RetentionPolicy(BaseModel):
    """
    Which files may be deleted, and when.

    A file that may be deleted is deleted when it is old enough, or when the storage is so full that space is needed.
    Files of runs that have not ended, or whose state is unknown, are always kept.

    :raises GeminiInputError: for a value that cannot be used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    max_age: OptionalDuration = Field(
        timedelta(seconds=DEFAULT_MAX_AGE.total_seconds()),
        description="Files older than this are deleted; None: only when space is needed. It is the only age limit for "
        "shared and foreign files.",
        json_schema_extra=_HOURS_OR_NONE,
    )
    max_age_finished: OptionalDuration = Field(
        None,
        description="Files of ended or deleted runs are deleted when older than this; None: `max_age` applies.",
        json_schema_extra=_HOURS_OR_NONE,
    )
    max_age_failed: OptionalDuration = Field(
        timedelta(),
        description="FAILED files older than this are deleted; None: the other age limits apply.",
        json_schema_extra=_HOURS_OR_NONE,
    )
    high_watermark: Number = Field(
        DEFAULT_HIGH_WATERMARK,
        gt=0,
        le=1,
        description="Used share of the quota at which files are deleted to free space.",
        json_schema_extra=_SHARE,
    )
    low_watermark: Number = Field(
        DEFAULT_LOW_WATERMARK,
        gt=0,
        le=1,
        description="Used share of the quota at which this stops; at most `high_watermark`, so to lower that below "
        "0.7, set both.",
        json_schema_extra=_SHARE,
    )
    grace: Annotated[timedelta, BeforeValidator(_duration)] = Field(
        timedelta(seconds=DEFAULT_GRACE.total_seconds()),
        description="Files younger than this are kept, regardless of all other fields.",
        json_schema_extra={"expected": _DURATION},
    )
    keep: Texts = Field(
        (),
        description="Names (`files/...`) or display names of files to keep; `*` and `?` are wildcards.",
        json_schema_extra=_LIST,
    )
    dag_ids: Annotated[tuple[str, ...] | None, BeforeValidator(_texts)] = Field(
        None, description="Only files of these Dags; None: of all Dags.", json_schema_extra=_LIST
    )
    display_name: OptionalText = Field(
        None, description="Only files whose display name contains this.", json_schema_extra=_TEXT_OR_NONE
    )
    mime_type: OptionalText = Field(
        None,
        description='Only files whose MIME type starts with this, such as `"video/"`.',
        json_schema_extra=_TEXT_OR_NONE,
    )
    min_bytes: Annotated[int, BeforeValidator(_no_switch)] = Field(
        0,
        ge=0,
        description="Only files of at least this size.",
        json_schema_extra={"expected": "a number of bytes, at least 0"},
    )
    include_shared: Switch = Field(
        False,
        description='Also files that all runs share (`reuse="project"`), although an active run may use them.',
        json_schema_extra=_SWITCH,
    )
    include_foreign: Switch = Field(
        False, description="Also files that no task of this Airflow deployment has uploaded.", json_schema_extra=_SWITCH
    )
    include_orphans: Switch = Field(
        True,
        description="Also files of runs of this deployment that no longer exist.",
        json_schema_extra=_SWITCH,
    )
    max_deletions: Annotated[int | None, BeforeValidator(_no_switch), BeforeValidator(_optional)] = Field(
        None,
        ge=1,
        description="Maximum number of files that one cleanup deletes; None: no limit.",
        json_schema_extra={"expected": "a whole number, at least 1, or None"},
    )

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise input_error(error, RetentionPolicy, "The retention policy's") from None

    @model_validator(mode="after")
    def _watermarks(self) -> RetentionPolicy:
        if self.low_watermark > self.high_watermark:
            low, high = self._shown("low_watermark"), self._shown("high_watermark")
            raise ValueError(f"low_watermark must be at most high_watermark: set both; got {low} and {high}")
        return self

    def _shown(self, name: str) -> str:
        """Return the value of a field, and whether it is the default."""
        return f"{getattr(self, name)}{'' if name in self.model_fields_set else ' (the default)'}"

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> RetentionPolicy:
        """
        Read a policy from a form or a template, where durations are hours and every value may be a text.

        :raises GeminiInputError: for a field that does not exist, or a value that cannot be used.
        """
        return cls(**{name: _hours(name, value) if name in _DURATIONS else value for name, value in fields.items()})

    @property
    def selection(self) -> FileFilter:
        """Return the filters that do not depend on a file's owner."""
        return FileFilter(mime_type=self.mime_type, display_name=self.display_name, min_bytes=self.min_bytes)


_DURATIONS = ("max_age", "max_age_finished", "max_age_failed", "grace")


def _hours(name: str, value: Any) -> timedelta | None:
    if value is None or isinstance(value, timedelta):
        return value
    if is_unset(value):
        return None
    try:
        hours = math.nan if isinstance(value, bool) else float(value)
        return timedelta(seconds=seconds_of(hours * 3600, name))
    except (TypeError, ValueError, OverflowError):
        raise GeminiInputError(
            f"The retention policy's {name} must be a number of hours, at least 0; got {value!r}."
        ) from None
