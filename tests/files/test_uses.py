"""How an XCom entry says that its task has used a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_gemini_files.common.xcom import Entry
from airflow_provider_gemini_files.files.uses import How, Use, use_in

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)


def how(key: str, value: Any, name: str = "files/abc", conn_id: str = "gemini_default") -> How | None:
    use = use_in(Entry(key, value, AT, "films", "ask", "failed", "manual__1", 3), name, conn_id)
    assert use is None or use == Use("films", "manual__1", "ask", 3, "failed", AT.timestamp(), use.how)
    return use and use.how


def cache(*turns: Any, **fields: Any) -> dict[str, Any]:
    return {"name": "cachedContents/a", "conn_id": "gemini_default", "contents": list(turns), **fields}


@pytest.mark.parametrize("key", ["response", "batch", "imported"])
def test_task_names_the_files_that_it_has_used(key):
    value = {"conn_id": "gemini_default", "files": ["files/x", "files/abc"]}

    assert how(key, value) == {"response": How.MODEL, "batch": How.BATCH, "imported": How.STORE}[key]
    # Airflow's database has some values as JSON in a text.
    assert how(key, json.dumps(value)) == how(key, value)


def test_cache_names_its_files_within_its_turns():
    turn = {"role": "user", "parts": [{"text": "files/other"}, {"file": "files/abc"}]}

    assert how("cache", cache(turn)) is How.CACHE
    assert how("cache", cache(turn), "files/other") is None


def test_skipped_cache_holds_nothing():
    turn = {"role": "user", "parts": [{"file": "files/abc"}]}

    assert how("cache", cache(turn, name=None)) is None


@pytest.mark.parametrize("name", ["files/ab", "files/abcd", "files/ABC", "les/abc", "files/a%c", "files/a_c"])
def test_similar_name_is_another_file(name):
    assert how("response", {"files": [name]}) is None


def test_same_name_through_another_connection_is_not_taken_for_the_file():
    value = {"conn_id": "other", "files": ["files/abc"]}

    assert how("response", value) is None
    assert how("response", value, conn_id="other") is How.MODEL


@pytest.mark.parametrize(
    "value", [None, 3, "files/abc", ["files/abc"], {}, {"files": None}, {"files": "files/abc"}, {"files": [{}, None]}]
)
def test_value_of_another_form_is_no_use(value):
    assert how("response", value) is None


@pytest.mark.parametrize("contents", [None, 3, [None], [{}], [{"parts": 3}], [{"parts": [None, {"file": {}}]}]])
def test_cache_of_another_form_is_no_use(contents):
    assert how("cache", {"name": "cachedContents/a", "contents": contents}) is None
