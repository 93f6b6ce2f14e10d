"""Tokens that tasks have spent, read from their XCom entries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from airflow_provider_gemini_files.batches.rows import RowKind

RESPONSE_KEY = "response"
BATCH_KEY = "batch"
#: The kinds of tokens that an entry counts, by the names that ``content/tokens.py`` gives them.
_KINDS = ("prompt", "tools", "cached", "answer", "thoughts")
#: No call has so many tokens, and larger numbers could not be multiplied by a price.
_TOO_MANY = 2**53
#: States of task instances whose last attempt has failed.
_FAILED = ("failed", "up_for_retry")
#: Rows of a batch whose answers were paid for, whether or not they could be used.
_ANSWERED = tuple(str(kind) for kind in (RowKind.SUCCESS, RowKind.INVALID, RowKind.BLOCKED, RowKind.CUT))


class Entry(NamedTuple):
    """
    An XCom entry.

    :param at: when it was pushed.
    :param value: as the database has it.
    :param state: of the task instance now.
    """

    key: str
    value: Any
    at: datetime
    dag_id: str
    task_id: str
    state: str | None


@dataclass(frozen=True)
class What:
    """
    What tokens were spent for.

    :param day: in UTC, on which the answer was recorded.
    :param conn_id: None if the entry does not say.
    :param has_failed: whether the task has failed although the calls were paid for.
    :param from_cache: whether some of the input came from a cache, which can be a price that is missing.
    """

    day: date
    dag_id: str
    task_id: str
    model: str
    conn_id: str | None
    is_batch: bool
    has_failed: bool
    from_cache: bool


@dataclass
class Tokens:
    """
    The tokens of some calls.

    :param calls: answers that were paid for.
    :param prompt: includes ``cached``, but not ``tools``.
    """

    calls: int = 0
    prompt: int = 0
    tools: int = 0
    cached: int = 0
    answer: int = 0
    thoughts: int = 0

    @property
    def input(self) -> int:
        """Return the tokens that were sent."""
        return self.prompt + self.tools

    @property
    def output(self) -> int:
        """Return the tokens that were received; thoughts are billed like the answer."""
        return self.answer + self.thoughts

    def add(self, other: Tokens) -> None:
        """Add the tokens of other calls."""
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)


class Spending:
    """
    The sums of XCom entries.

    :ivar unreadable: entries of which Airflow's database has only a URI, as with an XCom backend of object storage.
    :ivar missing_before: the time before which entries were not read, because there are too many; None if all were.
    """

    def __init__(self) -> None:
        self._tokens: dict[What, Tokens] = {}
        self.unreadable = 0
        self.missing_before: datetime | None = None

    def add(self, entry: Entry) -> None:
        """Add an entry; entries of the same keys that are not of this package count for nothing."""
        value = _decoded(entry.value)
        if isinstance(value, str) and "://" in value:
            self.unreadable += 1
        if not isinstance(value, Mapping) or not isinstance(usage := value.get("usage"), Mapping):
            return
        calls = _calls_of(entry.key, value)
        if not calls or "prompt" not in usage or "answer" not in usage:
            return
        tokens = Tokens(calls, **{kind: _count(usage.get(kind)) for kind in _KINDS})
        what = What(
            day=entry.at.astimezone(UTC).date(),
            dag_id=entry.dag_id,
            task_id=entry.task_id,
            model=_model_of(value),
            conn_id=_text(value.get("conn_id")),
            is_batch=entry.key == BATCH_KEY,
            has_failed=entry.state in _FAILED,
            from_cache=tokens.cached > 0,
        )
        self._tokens.setdefault(what, Tokens()).add(tokens)

    def __iter__(self) -> Iterator[tuple[What, Tokens]]:
        return iter(self._tokens.items())


def _decoded(value: Any) -> Any:
    """Return a value; Airflow stores some as JSON in a text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _calls_of(key: str, value: Mapping[str, Any]) -> int:
    if key == RESPONSE_KEY:
        return _count(value.get("calls", 1))
    counts = value.get("counts")
    return sum(_count(counts.get(kind)) for kind in _ANSWERED) if isinstance(counts, Mapping) else 0


def _model_of(value: Mapping[str, Any]) -> str:
    """Return the model that has answered; that which was asked, if the service does not say."""
    return (_text(value.get("model_version")) or _text(value.get("model")) or "unknown").removeprefix("models/")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value < _TOO_MANY else 0
