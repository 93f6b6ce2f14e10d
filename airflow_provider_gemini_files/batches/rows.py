"""The row of one request in the output of a batch: a value, or why there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_provider_gemini_files.batches.requests import BatchRequest
from airflow_provider_gemini_files.common.redaction import shown_text, storable
from airflow_provider_gemini_files.content.answer import Answer
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.content.tokens import sum_of
from airflow_provider_gemini_files.exceptions import GeminiFilesError

#: Codes of errors that a further job may not have, as google.rpc.Code or as HTTP status.
_TRANSIENT = {4, 8, 10, 13, 14, 408, 409, 429, 499, 500, 502, 503, 504}
#: The same in words, for an error without a code.
_NAMES = ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNAVAILABLE")
#: Errors that pass although their code does not say it: of a URL, and of a file that has just become ACTIVE.
_PASSING = ("Cannot fetch content from the provided URL", "not in an ACTIVE state")
#: Characters that JSON may have in a text, and at which many readers of lines begin a new one.
_LINE_ENDS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
#: Keys of rows that a message names.
_NAMED = 5


class RowKind(StrEnum):
    """The result of one request."""

    SUCCESS = "success"
    ERROR = "error"
    INVALID = "invalid"
    BLOCKED = "blocked"
    CUT = "cut"
    MISSING = "missing"


@dataclass(frozen=True)
class Row:
    """
    One row.

    :param record: the line of the output: ``{"key", "value", "error", "finish_reason", "usage", "files"}``, and
        ``citations`` of an answer that cites documents of file search stores.
    :param is_transient: whether a further job may answer the request.
    :param is_counted: whether the metrics have its tokens already.
    :param others: what the answer has besides its text, as in ``2 image/png``; it is not in the record.
    """

    key: str
    kind: RowKind
    record: dict[str, Any]
    is_transient: bool = False
    is_counted: bool = False
    others: str = ""

    def line(self) -> bytes:
        """Return the line of the output file."""
        line = json.dumps(self.record, ensure_ascii=False, allow_nan=False)
        for character, escaped in _LINE_ENDS.items():
            line = line.replace(character, escaped)
        return line.encode() + b"\n"


def row_of(
    key: str,
    result: Mapping[str, Any] | None,
    request: BatchRequest | None,
    schema: Schema | None,
    *,
    keep_cut: bool = False,
    require_citations: bool = False,
    secrets: Sequence[str] = (),
) -> Row:
    """
    Return the row of a request.

    :param result: its line in the result file; None if there is none.
    :param request: None if it is not known any more.
    :param schema: what the answer has to follow; the request's own has priority.
    :param keep_cut: take the text of an answer that was cut at its limit of tokens for a success.
    :param require_citations: an answer that cites no document of file search stores is no success.
    :param secrets: texts that no error may show, such as the API key.
    """
    files = request.request.file_names if request else []
    if request:
        schema = request.request.schema
    if result is None:
        return _failed(key, RowKind.MISSING, "The results have no line for this request.", files, transient=True)
    if not isinstance(result.get("response"), Mapping) or (result.get("error") and not result["response"]):
        return _error(key, result.get("error"), files, secrets)
    answer = Answer.from_api(result["response"])
    try:
        text = answer.usable_text(keep_cut=keep_cut and schema is None, require_citations=require_citations)
    except GeminiFilesError as error:
        kind = RowKind.CUT if answer.is_cut else RowKind.BLOCKED
        return _failed(key, kind, error.message, files, answer=answer, text=answer.text)
    return _judged(key, text, answer, schema, files)


def _judged(key: str, text: str, answer: Answer, schema: Schema | None, files: list[str]) -> Row:
    value: Any = text
    if schema is not None:
        value, wrong = schema.judge(text)
        if wrong:
            message = f"The answer does not follow response_schema: {'; '.join(wrong.splitlines())}."
            return _failed(key, RowKind.INVALID, message, files, answer=answer, text=text)
    return Row(key, RowKind.SUCCESS, _record(key, value, None, answer, files), others=answer.other_kinds())


def _error(key: str, told: Any, files: list[str], secrets: Sequence[str]) -> Row:
    error = told if isinstance(told, Mapping) else {"message": told or "The result has neither an answer nor an error."}
    code = error.get("code")
    code = int(code) if isinstance(code, str) and re.fullmatch("[0-9]{1,3}", code) else code
    message = shown_text(error.get("message") or "The service gave no reason.", secrets, limit=2000)
    transient = code in _TRANSIENT if isinstance(code, int) else code is None and error.get("status") in _NAMES
    transient = transient or any(words in message for words in _PASSING)
    told_code = code if isinstance(code, int | str) else None
    return _failed(key, RowKind.ERROR, message, files, transient=transient, code=told_code)


def _failed(
    key: str,
    kind: RowKind,
    message: str,
    files: list[str],
    *,
    answer: Answer | None = None,
    text: str | None = None,
    code: Any = None,
    transient: bool = False,
) -> Row:
    error = {"kind": str(kind), "message": message}
    if code is not None:
        error["code"] = code
    if text:
        # Paid for, and perhaps of use to a person.
        error["text"] = text
    others = answer.other_kinds() if answer else ""
    return Row(key, kind, _record(key, None, error, answer, files), transient, others=others)


def _record(
    key: str, value: Any, error: dict[str, Any] | None, answer: Answer | None, files: list[str]
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "key": key,
        "value": value,
        "error": error,
        "finish_reason": str(answer.finish_reason) if answer and answer.finish_reason else None,
        "usage": answer.usage if answer else None,
        "files": files,
    }
    if answer and answer.citations:
        record["citations"] = list(answer.citations)
    stored: dict[str, Any] = storable(record)
    return stored


class Tally:
    """The counts of the rows that were written."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys((str(kind) for kind in RowKind), 0)
        self.usage: dict[str, Any] | None = None
        #: The part of it that the metrics do not have yet.
        self.uncounted: dict[str, Any] | None = None
        self.transient: list[str] = []
        #: Rows whose answers have more than text: how many, and the first of them.
        self.with_others = 0
        self.first_others: list[str] = []
        self._failed: list[str] = []

    def add(self, rows: Iterable[Row]) -> Iterable[Row]:
        """Count rows while they are passed on."""
        for row in rows:
            self.counts[str(row.kind)] += 1
            usage = row.record["usage"]
            if usage:
                self.usage = _with(self.usage, usage)
                self.uncounted = self.uncounted if row.is_counted else _with(self.uncounted, usage)
            if row.is_transient:
                self.transient.append(row.key)
            self._note_others(row)
            if row.kind is not RowKind.SUCCESS and len(self._failed) < _NAMED:
                self._failed.append(row.key)
            yield row

    def _note_others(self, row: Row) -> None:
        if row.others:
            self.with_others += 1
            self.first_others += [f"{shown_text(row.key)}: {row.others}"] if len(self.first_others) < _NAMED else []

    def lost(self, count: int) -> None:
        """Count rows that are missing without being known."""
        self.counts[str(RowKind.MISSING)] += max(count, 0)

    @property
    def total(self) -> int:
        """Return the number of rows."""
        return sum(self.counts.values())

    @property
    def unsuccessful(self) -> int:
        """Return the number of rows without a value."""
        return self.total - self.counts[str(RowKind.SUCCESS)]

    def described(self) -> str:
        """Return the counts in words: ``98 of 100 rows are a success; 2 error; the first: a.pdf, b.pdf``."""
        told = f"{self.counts[str(RowKind.SUCCESS)]} of {self.total} rows succeeded"
        others = [f"{count} {kind}" for kind, count in self.counts.items() if count and kind != str(RowKind.SUCCESS)]
        if not others:
            return told
        return f"{told}; {', '.join(others)}; the first: {', '.join(map(shown_text, self._failed))}"


def _with(usage: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    return other if usage is None else sum_of(usage, other)
