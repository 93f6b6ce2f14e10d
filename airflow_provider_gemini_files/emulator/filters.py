"""Filters of documents by their custom metadata, as AIP-160 texts: ``team = "ops" AND year >= 2024``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.emulator import errors

#: The metadata of one document: a text, a number or a list of texts for each key.
Metadata = dict[str, str | float | list[str]]
Condition = Callable[[Metadata], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<operator>[<>!]=|[=<>:])|(?P<bracket>[()])"""
    r"""|(?P<word>[^\s"'()=<>!:]+))""",
    re.S,
)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    ":": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_KEYWORDS = frozenset({"AND", "OR", "NOT"})
#: Longest filter in characters, and deepest nesting; more would exhaust Python's stack.
_MAX_LENGTH = 4096
_MAX_DEPTH = 50


@dataclass(frozen=True)
class _Token:
    """
    A token of a filter.

    :param kind: ``quoted``, ``operator``, ``bracket``, ``word`` or ``end``.
    """

    kind: str
    text: str

    @property
    def is_value(self) -> bool:
        """Return whether it can be a key or a value."""
        return self.kind == "quoted" or (self.kind == "word" and self.text not in _KEYWORDS)


_END = _Token("end", "the end")


def parse_filter(text: str) -> Condition:
    """
    Return the condition that a filter expresses.

    As AIP-160 defines it, OR binds more closely than AND. A document without the key matches no comparison.

    :raises ApiError: 400 for a malformed filter.
    """
    if len(text) > _MAX_LENGTH:
        raise _malformed(f"it has more than {_MAX_LENGTH} characters")
    return _Parser(list(_tokens(text))).parse()


def _malformed(problem: str) -> errors.ApiError:
    return errors.invalid(f"* GenerateContentRequest.tools.file_search.metadata_filter: invalid filter, {problem}.\n")


def _tokens(text: str) -> Iterator[_Token]:
    at, text = 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match or not match.lastgroup:
            raise _malformed(f"cannot read it from character {at + 1}")
        found = match[match.lastgroup]
        if match.lastgroup == "quoted":
            found = re.sub(r"\\(.)", r"\1", found[1:-1], flags=re.S)
        yield _Token(match.lastgroup, found)
        at = match.end()


class _Parser:
    """A recursive-descent parser of one filter."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def parse(self) -> Condition:
        condition = self._all_of()
        if self._next is not _END:
            raise _malformed(f"did not expect {self._next.text!r}")
        return condition

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def _take(self) -> _Token:
        token = self._next
        self._at += 1
        return token

    def _skip(self, kind: str, text: str) -> bool:
        if self._next != _Token(kind, text):
            return False
        self._at += 1
        return True

    def _all_of(self) -> Condition:
        conditions = [self._any_of()]
        while self._skip("word", "AND"):
            conditions.append(self._any_of())
        return lambda metadata: all(condition(metadata) for condition in conditions)

    def _any_of(self) -> Condition:
        conditions = [self._term()]
        while self._skip("word", "OR"):
            conditions.append(self._term())
        return lambda metadata: any(condition(metadata) for condition in conditions)

    def _term(self) -> Condition:
        if self._skip("word", "NOT"):
            condition = self._simple()
            return lambda metadata: not condition(metadata)
        return self._simple()

    def _simple(self) -> Condition:
        if not self._skip("bracket", "("):
            return self._comparison()
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _malformed("it is nested too deeply")
        condition = self._all_of()
        if not self._skip("bracket", ")"):
            raise _malformed("a closing bracket is missing")
        self._depth -= 1
        return condition

    def _comparison(self) -> Condition:
        key, comparator, value = self._take(), self._take(), self._take()
        if not key.is_value or comparator.kind != "operator" or not value.is_value:
            raise _malformed(f"expected a comparison such as key = value at {key.text!r}")
        return lambda metadata: key.text in metadata and _compare(metadata[key.text], comparator.text, value)


def _compare(actual: str | float | list[str], comparator: str, value: _Token) -> bool:
    """Compare a document's value; a list is compared with its elements, and has no order."""
    compare = _ORDER[comparator]
    if isinstance(actual, list):
        if comparator in ("=", ":"):
            return value.text in actual
        return comparator == "!=" and value.text not in actual
    if isinstance(actual, str):
        return compare(actual, value.text)
    try:
        return value.kind == "word" and compare(actual, float(value.text))
    except ValueError:
        return False
