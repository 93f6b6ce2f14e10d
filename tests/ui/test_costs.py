"""What the page's tab "Costs" is told."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from support import add_runs, add_xcom

from airflow_provider_gemini_files.costs.report import By
from airflow_provider_gemini_files.ui.costs import CostListing, costs_of
from airflow_provider_gemini_files.ui.errors import ErrorKind
from airflow_provider_gemini_files.ui.listings import ListingCache, Snapshot

pytestmark = pytest.mark.usefixtures("airflow_db")


@pytest.fixture
def spent():
    """Put an answer of today and one of two days ago into the database; return the id of their connection."""
    dag_id, now = add_runs("success"), datetime.now(UTC)
    for task_id, days in (("ask", 0), ("check", 2)):
        value = {"conn_id": dag_id, "model": "flash", "usage": {"prompt": 1_000_000, "answer": 0}}
        add_xcom(dag_id, value, task_id=task_id, at=now - timedelta(days=days))
    return dag_id


def told(conn_id: str, *, days: int = 7, by: By = By.TASK) -> dict:
    snapshot = asyncio.run(ListingCache("costs", CostListing.read).snapshot(conn_id, str(days)))
    return json.loads(json.dumps(costs_of(snapshot, conn_id, by)))


def test_costs_are_those_of_a_connection_and_the_days(spent):
    report = told(spent)["report"]

    assert {one["task_id"] for one in report["groups"]} == {"ask", "check"}
    assert report["total"]["input_tokens"] == 2_000_000
    assert [one["task_id"] for one in told(spent, days=1)["report"]["groups"]] == ["ask"]
    assert told("another connection")["report"]["groups"] == []


def test_page_is_told_when_to_ask_again(spent):
    answer = told(spent)

    assert answer["error"] is None
    assert not answer["loading"]
    assert answer["next_listing_at"] - answer["listed_at"] == 300


def test_prices_apply_as_soon_as_the_file_changes_and_errors_in_it_are_told(spent, tmp_path, monkeypatch):
    snapshot = asyncio.run(ListingCache("costs", CostListing.read).snapshot(spent, "7"))
    path = tmp_path / "prices.json"
    monkeypatch.setenv("AIRFLOW__GEMINI_FILES__PRICES_FILE", str(path))
    path.write_text('{"currency": "USD"}')
    report = costs_of(snapshot, spent, By.DAG)["report"]
    assert report["total"]["cost"] is None
    assert f"The prices in {path}: valid_from must be a day" in report["notes"][-1]
    assert len(report["notes"]) == 2

    models = {"flash": {"input": 2, "output": 9}}
    path.write_text(json.dumps({"currency": "USD", "valid_from": "2020-01-01", "models": models}))
    assert costs_of(snapshot, spent, By.DAG)["report"]["total"]["cost"] == 4


def test_error_of_the_database_is_told(spent, mocker):
    error = RuntimeError("the database is away")
    mocker.patch("airflow_provider_gemini_files.ui.costs.read_spending", autospec=True, side_effect=error)
    answer = told(spent)

    assert answer["report"] is answer["listed_at"] is None
    assert answer["error"] == {
        "kind": ErrorKind.UNEXPECTED,
        "message": "The costs could not be listed. See the log of the API server.",
    }


def test_what_has_not_been_read_in_time_is_left_out():
    assert costs_of(Snapshot(loading=True), "a", By.DAG)["report"] is None
