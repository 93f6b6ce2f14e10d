"""How many sources a Dag itself shows: what a run's data says must not decide what a worker reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_gemini_files.content.source_parts import is_source

#: The keys of a turn or a request that can have parts.
_NESTED = ("parts", "files", "contents")


def count_sources(value: Any) -> float:
    """
    Return how many sources files, contents or requests show, before or after templates are rendered.

    :return: infinite for the result of ``.map()``, which a function of the Dag builds.
    """
    # Not isinstance: where Airflow has this class is not public.
    if type(value).__name__ == "MapXComArg":
        return math.inf
    if isinstance(value, Mapping):
        return 1 if is_source(value) else sum(count_sources(value.get(key)) for key in _NESTED)
    # XCom of a mapped task is a sequence of a class of its own.
    return sum(map(count_sources, value)) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else 0


def written_in_mapped(task: Any, names: Iterable[str]) -> float:
    """
    Return how many sources each instance of a mapped task can show.

    Its arguments are rendered by the time its instances are created, so those of the Dag are read.

    :param names: of the arguments that can show sources.
    """
    expanded = task.expand_input.value
    total = sum(count_sources(task.partial_kwargs.get(name)) for name in names)
    if isinstance(expanded, Mapping):
        return total + sum(_most(expanded.get(name)) for name in names)
    if isinstance(expanded, list | tuple):
        return total + max((sum(count_sources(one.get(name)) for name in names) for one in expanded), default=0)
    return total + count_sources(expanded)


def _most(values: Any) -> float:
    """Return the most that one of several values shows."""
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, list | tuple):
        return max(map(count_sources, values), default=0)
    return count_sources(values)
