"""Which XCom entries count as spent, and for what."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_gemini_files.common.xcom import Entry
from airflow_provider_gemini_files.content.tokens import usage_of
from airflow_provider_gemini_files.costs.entry import INDEXED_KEY
from airflow_provider_gemini_files.costs.spent import Kind, Spending, Usage, What

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
NOW = datetime(2026, 12, 1, tzinfo=UTC)
USAGE = usage_of(
    {"promptTokenCount": 100, "candidatesTokenCount": 20, "thoughtsTokenCount": 7, "cachedContentTokenCount": 60,
     "toolUsePromptTokenCount": 5}
)  # fmt: skip
RESPONSE = {
    "conn_id": "gemini_default",
    "model": "gemini-latest",
    "model_version": "gemini-3.8-pro",
    "finish_reason": "STOP",
    "calls": 2,
    "usage": USAGE,
}
BATCH = {
    "name": "batches/a",
    "conn_id": "gemini_default",
    "model": "models/gemini-2.5-flash",
    "counts": {"total": 9, "success": 4, "error": 1, "invalid": 1, "blocked": 1, "cut": 1, "missing": 1},
    "usage": USAGE,
}


def entry(value: Any, key: str = "response", at: datetime = AT, state: str | None = "success") -> Entry:
    return Entry(key, value, at, "films", "ask", state)


def spent(*entries: Entry) -> list[tuple[What, Usage]]:
    spending = Spending(NOW)
    for one in entries:
        spending.add(one)
    return list(spending)


def test_answer_of_a_task_counts_its_calls_and_tokens():
    [(what, tokens)] = spent(entry(RESPONSE))

    assert what == What(
        date(2026, 11, 30), "films", "ask", "gemini-3.8-pro", "gemini_default", Kind.ANSWER, False, True
    )
    assert tokens == Usage(calls=2, prompt=100, tools=5, cached=60, answer=20, thoughts=7)
    assert (tokens.input, tokens.output) == (105, 27)


def test_batch_counts_the_rows_that_were_answered():
    [(what, tokens)] = spent(entry(BATCH, "batch"))

    assert (what.model, what.kind, tokens.calls) == ("gemini-2.5-flash", Kind.BATCH, 7)


def test_entries_about_the_same_are_added():
    [(_, tokens)] = spent(entry(RESPONSE), entry(RESPONSE, at=AT + timedelta(hours=11)))

    assert tokens == Usage(calls=4, prompt=200, tools=10, cached=120, answer=40, thoughts=14)


def test_day_is_in_utc():
    tokyo = datetime(2026, 12, 1, 8, tzinfo=timezone(timedelta(hours=9)))
    [(what, _)] = spent(entry(RESPONSE, at=tokyo))

    assert what.day == date(2026, 11, 30)


@pytest.mark.parametrize(
    ("state", "has_failed"),
    [("success", False), ("failed", True), ("up_for_retry", True), ("running", False), (None, False)],
)
def test_task_that_failed_has_still_paid(state, has_failed):
    [(what, _)] = spent(entry(RESPONSE, state=state))

    assert what.has_failed is has_failed


def test_model_that_was_asked_stands_in_for_one_that_the_service_does_not_name():
    [(what, _)] = spent(entry({**RESPONSE, "model_version": None}))
    assert what.model == "gemini-latest"
    [(what, tokens)] = spent(entry({"usage": USAGE}))
    assert (what.model, what.conn_id, tokens.calls) == ("unknown", None, 1)


def test_entry_of_object_storage_is_unreadable():
    spending = Spending(NOW)
    for value in ("s3://xcom/films/run/ask/response.json", json.dumps("file:///xcom/response.json")):
        spending.add(entry(value))

    assert spending.unreadable == 2
    assert list(spending) == []


def test_entry_that_is_stored_as_a_text_is_read():
    assert spent(entry(json.dumps(RESPONSE))) == spent(entry(RESPONSE))


@pytest.mark.parametrize("key", ["response", "batch"])
@pytest.mark.parametrize(
    "value",
    [None, "done", 5, [RESPONSE], {}, {"usage": None}, {"usage": {"cpu": 3}, "counts": {"success": 1}},
     {"usage": USAGE, "counts": {"success": "1"}, "calls": -1}, {"usage": [1], "counts": [1]}],
)  # fmt: skip
def test_entry_of_other_tasks_counts_for_nothing(key, value):
    spending = Spending(NOW)
    spending.add(entry(value, key))

    assert list(spending) == []
    assert spending.unreadable == 0


def test_count_that_is_no_number_is_none():
    odd = ["many", -4, None, True, 10**400, math.nan, math.inf, 1.5, [3], {"a": 1}]
    told = [spent(entry({**RESPONSE, "usage": {**USAGE, "prompt": one, "answer": 2}})) for one in odd]

    assert [(usage.prompt, usage.answer) for [(_, usage)] in told] == [(0, 2)] * len(odd)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"usage": ' + "9" * 5000 + "}", "NaN", '{"usage": NaN}', "\udcff"])
def test_text_that_is_no_entry_counts_for_nothing(text):
    spending = Spending(NOW)
    spending.add(entry(text))

    assert list(spending) == []
    assert spending.unreadable == 0


def test_name_of_a_model_is_one_name_with_and_without_its_prefix_and_is_not_endless():
    names = ["models/flash", "flash", "tunedModels/films-1", "x" * 100_000]
    told = [what.model for what, _ in spent(*(entry({**RESPONSE, "model_version": name}) for name in names))]

    assert told == ["flash", "tunedModels/films-1", "x" * 200]


def test_documents_that_were_indexed_are_counted_without_tokens():
    [(what, usage)] = spent(entry({"conn_id": "a", "store": "s", "documents": 3, "bytes": 70}, INDEXED_KEY))

    assert (what.kind, what.conn_id, what.is_known) == (Kind.DOCUMENTS, "a", False)
    assert usage == Usage(documents=3, document_bytes=70)
    assert spent(entry({"conn_id": "a", "documents": 0, "bytes": 0}, INDEXED_KEY)) == []
    assert spent(entry({"indexed": True, "documents": True}, INDEXED_KEY)) == []
