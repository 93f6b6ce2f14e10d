"""How tasks have used a file, as their XCom entries say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from airflow_provider_gemini_files.common.xcom import Entry

#: The XCom key under which a task that adds documents records the files that it copies.
IMPORTED_KEY = "imported"


class How(StrEnum):
    """How a task has used a file. ``file-uses.js`` has the words."""

    MODEL = "model"
    BATCH = "batch"
    #: A batch job that says only that it reads files of this run.
    MAYBE_BATCH = "maybe_batch"
    CACHE = "cache"
    STORE = "store"


class Use(NamedTuple):
    """
    A use of a file by a task instance.

    :param map_index: -1 if the task is not mapped.
    :param state: of the task instance now; None if it is not known.
    :param at: when it was recorded, in seconds since the epoch.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    at: float
    how: How


def use_in(entry: Entry, name: str, conn_id: str) -> Use | None:
    """
    Return the use of a file that an XCom entry records; None if it records none.

    :param name: ``files/...``.
    :param conn_id: of the file; the same name through another connection can be a file of another project.
    """
    value = entry.decoded()
    if not isinstance(value, Mapping) or value.get("conn_id", conn_id) != conn_id:
        return None
    how, names = _READERS[entry.key]
    if name not in names(value):
        return None
    at = entry.at.timestamp()
    return Use(entry.dag_id, entry.run_id, entry.task_id, entry.map_index, entry.state, at, how)


def _listed(value: Mapping[str, Any]) -> Iterator[Any]:
    names = value.get("files")
    yield from names if isinstance(names, list) else ()


def _in_cache(value: Mapping[str, Any]) -> Iterator[Any]:
    # A skipped cache has no name, and holds nothing.
    turns = value.get("contents") if value.get("name") else None
    for turn in turns if isinstance(turns, list) else ():
        parts = turn.get("parts") if isinstance(turn, Mapping) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, Mapping):
                yield part.get("file")


_READERS: Mapping[str, tuple[How, Callable[[Mapping[str, Any]], Iterator[Any]]]] = {
    "response": (How.MODEL, _listed),
    "batch": (How.BATCH, _listed),
    "cache": (How.CACHE, _in_cache),
    IMPORTED_KEY: (How.STORE, _listed),
}
#: The XCom keys that record uses.
USE_KEYS = tuple(_READERS)
