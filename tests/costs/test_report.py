"""The report of tokens and cost: groups, sums and notes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_gemini_files.common.xcom import Entry
from airflow_provider_gemini_files.costs.entry import KEYS
from airflow_provider_gemini_files.costs.prices import read_prices
from airflow_provider_gemini_files.costs.report import Bound, By, CostReport, report_of
from airflow_provider_gemini_files.costs.spent import Spending

TODAY = date(2026, 11, 30)
AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 30, 18, tzinfo=UTC)
PRICES = read_prices(
    json.dumps(
        {
            "currency": "EUR",
            "valid_from": "2026-11-25",
            "source": "contract",
            "models": {"flash": {"input": 1, "output": 10, "cached_input": 0.1, "batch_share": 0.5}},
        }
    ),
    "prices.json",
)


def call(dag: str = "films", task: str = "ask", *, days_ago: int = 0, **value: Any) -> Entry:
    """Return the entry of a call with a million tokens in, and as many out."""
    usage = {"prompt": 1_000_000, "answer": 1_000_000, "cached": value.pop("cached", 0)}
    state, key = value.pop("state", "success"), value.pop("key", "response")
    told = {"conn_id": "a", "model": "flash", "usage": usage, "counts": {"success": 1}, **value}
    return Entry(key, told, AT - timedelta(days=days_ago), dag, task, state)


def report(
    *entries: Entry, by: By = By.DAG, days: int = 7, conn_id: str | None = None, prices: Any = PRICES
) -> CostReport:
    spending = Spending(NOW)
    for entry in entries:
        spending.add(entry)
    return report_of(spending, by, days, TODAY, conn_id, prices)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (By.DAG, [{"dag_id": "films"}, {"dag_id": "songs"}]),
        (By.TASK, [{"dag_id": "films", "task_id": "ask"}, {"dag_id": "films", "task_id": "check"},
                   {"dag_id": "songs", "task_id": "ask"}]),
        (By.MODEL, [{"model": "flash"}, {"model": "pro"}]),
        (By.DAY, [{"day": "2026-11-30"}, {"day": "2026-11-29"}]),
    ],
)  # fmt: skip
def test_calls_are_grouped_with_the_most_expensive_first_and_days_with_the_newest(by, names):
    calls = [call(), call(), call(), call(task="check"), call(task="check"), call("songs", days_ago=1, model="pro")]

    assert [group for group, _ in report(*calls, by=by).groups] == names


def test_days_include_today_and_end_with_it():
    calls = [call(days_ago=days) for days in range(4)]

    told = report(*calls, days=2)
    assert (told.first_day, told.last_day, told.total.usage.calls) == (date(2026, 11, 29), TODAY, 2)
    assert report(*calls, days=1).total.usage.calls == 1


def test_calls_of_one_connection_are_counted():
    calls = [call(), call(conn_id="b"), call(conn_id=None)]

    assert report(*calls, conn_id="a").total.usage.calls == 1
    assert report(*calls).total.usage.calls == 3


def test_total_counts_batches_failures_and_cached_tokens():
    total = report(
        call(cached=500_000), call(key="batch"), call(state="failed"), call(state="failed", calls=2)
    ).total  # fmt: skip

    assert total.cached_share == 0.125
    assert total.batch_share == 0.25
    assert (total.failed, total.failed_tokens) == (3, 4_000_000)
    # 0.5 + 0.05 + 10, half of 11, and twice 11.
    assert total.cost == Decimal("38.05")
    assert total.to_dict()["cost"] == 38.05


def test_call_without_a_price_makes_the_cost_incomplete():
    told = report(call(), call(model="pro"), call(days_ago=6))

    assert told.total.cost == 11
    assert told.total.unpriced == 2
    assert told.unpriced == {"flash": ["before the first valid_from"], "pro": []}
    assert [one.source for one in told.prices] == ["contract"]


def test_missing_price_of_cached_tokens_concerns_only_the_calls_that_have_some():
    models = {"flash": {"input": 1, "output": 1}}
    prices = read_prices(json.dumps({"currency": "EUR", "valid_from": "2026-01-01", "models": models}), "prices.json")
    told = report(call(), call(cached=1), prices=prices)

    assert (told.total.cost, told.total.unpriced) == (2, 1)


def test_nothing_is_said_about_money_without_prices():
    told = report(call(), prices=None)

    assert told.currency is told.total.cost is None
    assert (told.prices, told.unpriced) == ((), {})


#: Fields of what tasks push, and names of caches.
NAMES = [
    "usage", "prompt", "answer", "cached", "tools", "thoughts", "calls", "counts", "success", "model", "model_version",
    "conn_id", "name", "tokens", "create_time", "expire_time", "deleted", "missing", "documents", "bytes",
    "recreated_cache", "cachedContents/a",
]  # fmt: skip
CACHE = {
    "name": "cachedContents/a",
    "model": "flash",
    "tokens": 1_000_000,
    "conn_id": "a",
    "create_time": "2026-11-30T12:00:00Z",
    "expire_time": "2026-11-30T14:00:00Z",
}
WITH_STORAGE = read_prices(
    json.dumps(
        {
            "currency": "EUR",
            "valid_from": "2026-01-01",
            "models": {"flash": {"input": 1, "output": 10, "cache_storage": 0.5}},
        }
    ),
    "prices.json",
)


def cache(**value: Any) -> Entry:
    return Entry("cache", {**CACHE, **value}, AT, "films", "cache", "success")


def deletion() -> Entry:
    return Entry("deleted_caches", {"deleted": [CACHE["name"]]}, AT + timedelta(hours=1), "films", "delete", "success")


def documents(task: str = "sync") -> Entry:
    value = {"conn_id": "a", "documents": 12, "bytes": 3 * 1024**2}
    return Entry("indexed", value, AT, "films", task, "success")


def test_cache_is_part_of_the_calls_and_the_input_and_costs_its_tokens_and_hours():
    told = report(call(), cache(), deletion(), prices=WITH_STORAGE)

    assert (told.total.usage.calls, told.total.usage.input, told.total.cache_tokens) == (2, 2_000_000, 1_000_000)
    assert (told.total.cost, told.total.bound) == (Decimal("12.5"), Bound.EXACT)
    [_, note, _] = told.notes()
    assert note == (
        "Caches: 1 created from 1,000,000 tokens, which are part of the input, and stored for 1,000,000 token-hours."
    )


def test_storage_of_a_cache_that_no_task_has_deleted_is_told_as_the_most_that_it_can_be():
    told = report(cache(), prices=WITH_STORAGE)

    assert (told.total.cost, told.total.bound) == (Decimal(2), Bound.AT_MOST)
    assert "at most 2,000,000 token-hours. No task has recorded the deletion of 1 of 1: " in told.notes()[1]
    assert report(cache(), call(model="pro"), prices=WITH_STORAGE).total.bound is Bound.ABOUT


def test_cache_without_a_price_of_storage_has_no_price_and_says_what_lacks():
    told = report(call(), cache(), deletion())

    assert (told.total.cost, told.total.unpriced, told.total.bound) == (11, 1, Bound.AT_LEAST)
    assert told.notes()[-1] == (
        "The cost is incomplete: 1 of 2 calls have no price. Their models: flash (cache_storage)."
    )


def test_cache_of_unknown_size_has_no_price():
    told = report(cache(tokens=None), prices=WITH_STORAGE)

    assert told.total.cost is None
    assert "Their models: flash (number of tokens unknown)." in told.notes()[-1]


def test_documents_are_told_in_words_and_no_sum_with_them_is_complete():
    prices = read_prices(
        json.dumps({"currency": "EUR", "valid_from": "2026-01-01", "models": {"*": {"input": 1, "output": 10}}}), "p"
    )
    told = report(call(), documents(), by=By.TASK, prices=prices)

    assert [(names["task_id"], one.cost, one.bound) for names, one in told.groups] == [
        ("ask", 11, Bound.EXACT),
        ("sync", None, Bound.AT_LEAST),
    ]
    assert (told.total.cost, told.total.bound, told.total.unpriced) == (11, Bound.AT_LEAST, 0)
    assert told.total.to_dict()["document_bytes"] == 3 * 1024**2
    assert told.notes()[1] == (
        "Documents indexed for file search: 12 (3.0 MiB). No total includes their cost, which is unknown, because the "
        "service does not report their tokens."
    )
    # Nothing else would be said about their cost.
    assert "12 (3.0 MiB)" in report(documents(), prices=None).notes()[1]


def test_change_of_prices_leaves_the_days_before_as_they_were():
    models = {"flash": {"input": 1, "output": 10}}, {"flash": {"input": 2, "output": 20}}
    days = "2026-01-01", "2026-11-30"
    lists = [{"currency": "EUR", "valid_from": day, "models": one} for day, one in zip(days, models, strict=True)]
    told = report(call(), call(days_ago=1), by=By.DAY, prices=read_prices(json.dumps(lists), "prices.json"))

    assert [(names["day"], one.cost) for names, one in told.groups] == [("2026-11-30", 22), ("2026-11-29", 11)]
    assert len(told.prices) == 2


def test_many_models_without_a_price_are_not_all_named_in_a_note():
    told = report(*(call(model=f"m{number:02}") for number in range(25)))

    assert told.notes()[-1].endswith("m18, m19 and 5 more.")
    assert len(told.to_dict()["unpriced_models"]) == 25


def test_report_is_json():
    told = json.loads(json.dumps(replace(report(call()), missing_before=datetime(2026, 11, 1, tzinfo=UTC)).to_dict()))

    assert told["missing_before"] == "2026-11-01T00:00:00+00:00"
    assert told["groups"] == [
        {
            "dag_id": "films",
            "calls": 1,
            "input_tokens": 1_000_000,
            "cached_tokens": 0,
            "output_tokens": 1_000_000,
            "thoughts_tokens": 0,
            "batch_tokens": 0,
            "failed_calls": 0,
            "failed_tokens": 0,
            "caches": 0,
            "cache_tokens": 0,
            "cache_token_hours": 0.0,
            "open_caches": 0,
            "documents": 0,
            "document_bytes": 0,
            "cost": 11.0,
            "cost_is": "exact",
            "unpriced_calls": 0,
        }
    ]
    assert told["total"]["cost"] == 11.0


def test_nothing_spent_has_empty_shares():
    total = report().total

    assert total.cached_share == total.batch_share == 0.0


def test_notes_say_which_days_and_prices_are_meant_and_what_is_missing():
    assert report(call()).notes() == [
        "From 2026-11-24 to 2026-11-30; a day begins at 00:00 UTC.",
        "Prices in EUR, valid from 2026-11-25 on, from contract.",
    ]
    told = replace(
        report(call(model="pro"), days=1), missing_before=datetime(2026, 11, 30, 7, tzinfo=UTC), unreadable=2
    )
    _, missing, unreadable, _, unpriced = told.notes()
    assert "those before 2026-11-30 07:00 UTC are missing" in missing
    assert unreadable.startswith("2 XCom entries have only a URI in Airflow's database")
    assert unpriced == "The cost is incomplete: 1 of 1 calls have no price. Their models: pro."
    assert "prices_file is not set" in report(call(), prices=None).notes()[-1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None, database=None)
@given(entries=st.lists(st.tuples(st.sampled_from(KEYS), st.dictionaries(st.sampled_from(NAMES), JSON)), max_size=4))
def test_whatever_tasks_have_pushed_makes_a_report(entries):
    told = report(*(Entry(key, value, AT, "films", "ask", "success") for key, value in entries), prices=WITH_STORAGE)

    sums = json.loads(json.dumps(told.to_dict(), allow_nan=False))["total"]
    assert all(number >= 0 for number in sums.values() if isinstance(number, int | float))
    assert told.notes()
