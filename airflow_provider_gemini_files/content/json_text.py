"""JSON in a model's answer: found, parsed, and bounded to what XCom and databases can store."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator
from typing import Any

#: Levels of arrays and objects; deeper values exceed the recursion limits of pydantic and of Airflow's XCom.
MAX_DEPTH = 100
_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
_BOM = "\ufeff"
#: A block of Markdown, whose fences have lines of their own. A string of JSON has no line breaks, so it has no fence.
_FENCED = re.compile(r"^```[\w+-]*[ \t]*$(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")
_SURROGATES = re.compile("[\ud800-\udfff]")
#: Characters of a string that an error quotes.
_QUOTED = 40

log = logging.getLogger(__name__)


def read_json(text: str) -> tuple[Any, str]:
    """
    Return the JSON value of an answer, and its text without what surrounds it.

    One value in a Markdown fence, after a byte order mark, or before or after prose without any bracket is accepted,
    with a line in the log: models wrap JSON like this, and a second request would be paid for nothing.

    :raises ValueError: for text that is not JSON; a value nested more than 100 levels deep; numbers that are not
        finite; NUL characters and lone surrogates, which databases and UTF-8 cannot store.
    """
    try:
        value, found = _find_value(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    for path, part, depth in _parts_of(value):
        if depth > MAX_DEPTH and isinstance(part, list | dict):
            raise ValueError(_TOO_DEEP)
        if problem := _problem_of(part):
            where = ".".join(path)
            raise ValueError(f"{where}: {problem}" if where else problem)
    if found != text.strip():
        log.warning("The answer had other text around its JSON; only the JSON is used.")
    return value, found


def _find_value(text: str) -> tuple[Any, str]:
    bare = text.strip().removeprefix(_BOM).strip()
    try:
        return _DECODER.decode(bare), bare
    except ValueError as error:
        problem = error
    for found in _candidates(bare):
        try:
            return _DECODER.decode(found), found
        except ValueError:
            continue
    raise ValueError(f"not valid JSON: {problem}")


def _candidates(text: str) -> Iterator[str]:
    """Yield parts of a text that can be its one JSON value, provided that there is no other."""
    fenced = _FENCED.findall(text)
    if len(fenced) == 1:
        yield fenced[0].strip()
    if (first := _BRACKETS.search(text)) and first[0] in "[{":
        try:
            _, end = _DECODER.raw_decode(text, first.start())
        except ValueError:
            return
        # A bracket in the rest can be another value, or show that this one is part of a broken one.
        if not _BRACKETS.search(text, end):
            yield text[first.start() : end]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _parts_of(value: Any) -> Iterator[tuple[tuple[str, ...], Any, int]]:
    """Yield each value within a value and each key, with its path and depth; without recursion, as it may be deep."""
    left: list[tuple[tuple[str, ...], Any, int]] = [((), value, 1)]
    while left:
        path, part, depth = left.pop()
        yield path, part, depth
        if depth > MAX_DEPTH:
            continue
        if isinstance(part, dict):
            left += [(path, key, depth) for key in part]
            left += [((*path, key), item, depth + 1) for key, item in part.items()]
        elif isinstance(part, list):
            left += [((*path, str(at)), item, depth + 1) for at, item in enumerate(part)]


def _problem_of(part: Any) -> str | None:
    if isinstance(part, float) and not math.isfinite(part):
        return "a number that is not finite"
    if not isinstance(part, str):
        return None
    if "\0" in part:
        return f"a NUL character in {part[:_QUOTED]!r}, which databases cannot store"
    if _SURROGATES.search(part):
        return f"half of a character (a lone surrogate) in {part[:_QUOTED]!r}, which UTF-8 cannot store"
    return None
