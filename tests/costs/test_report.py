"""The report of tokens and cost: groups, sums and notes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_gemini_files.costs.prices import read_prices
from airflow_provider_gemini_files.costs.report import By, CostReport, report_of
from airflow_provider_gemini_files.costs.spent import Entry, Spending

TODAY = date(2026, 11, 30)
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
    at = datetime(2026, 11, 30, 12, tzinfo=UTC) - timedelta(days=days_ago)
    return Entry(key, told, at, dag, task, state)


def report(
    *entries: Entry, by: By = By.DAG, days: int = 7, conn_id: str | None = None, prices: Any = PRICES
) -> CostReport:
    spending = Spending()
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
    assert (told.first_day, told.last_day, told.total.tokens.calls) == (date(2026, 11, 29), TODAY, 2)
    assert report(*calls, days=1).total.tokens.calls == 1


def test_calls_of_one_connection_are_counted():
    calls = [call(), call(conn_id="b"), call(conn_id=None)]

    assert report(*calls, conn_id="a").total.tokens.calls == 1
    assert report(*calls).total.tokens.calls == 3


def test_total_counts_batches_failures_and_cached_tokens():
    total = report(
        call(cached=500_000), call(key="batch"), call(state="failed"), call(state="failed", calls=2)
    ).total  # fmt: skip

    assert total.cached_share == 0.125
    assert total.batch_share == 0.25
    assert (total.failed, total.failed_tokens) == (3, 4_000_000)
    # 0.5 + 0.05 + 10, half of 11, and twice 11.
    assert total.cost == pytest.approx(10.55 + 5.5 + 22)
    assert total.to_dict()["cost"] == 38.05


def test_call_without_a_price_makes_the_cost_incomplete():
    told = report(call(), call(model="pro"), call(days_ago=6))

    assert told.total.cost == 11
    assert told.total.unpriced == 2
    assert told.unpriced_models == ("flash", "pro")
    assert [one.source for one in told.prices] == ["contract"]


def test_missing_price_of_cached_tokens_concerns_only_the_calls_that_have_some():
    models = {"flash": {"input": 1, "output": 1}}
    prices = read_prices(json.dumps({"currency": "EUR", "valid_from": "2026-01-01", "models": models}), "prices.json")
    told = report(call(), call(cached=1), prices=prices)

    assert (told.total.cost, told.total.unpriced) == (2, 1)


def test_nothing_is_said_about_money_without_prices():
    told = report(call(), prices=None)

    assert told.currency is told.total.cost is None
    assert told.prices == told.unpriced_models == ()


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
            "cost": 11.0,
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
    assert "calls before 2026-11-30 07:00 UTC are missing" in missing
    assert unreadable.startswith("2 XCom entries have only a URI in Airflow's database")
    assert unpriced == "The cost is incomplete: 1 of 1 calls have no price. Their models: pro."
    assert "prices_file is not set" in report(call(), prices=None).notes()[-1]
