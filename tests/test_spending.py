"""Tokens and cost, read from Airflow's database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from support import add_runs, add_xcom

from airflow_provider_gemini_files import xcom_entries
from airflow_provider_gemini_files.costs.report import By
from airflow_provider_gemini_files.costs.spent import Kind, Usage
from airflow_provider_gemini_files.spending import read_report, read_spending

RESPONSE = {"conn_id": "a", "model": "flash", "usage": {"prompt": 10, "answer": 3}}
BATCH = {**RESPONSE, "counts": {"success": 4}}
#: No other test writes entries of these days.
DAY = date(2125, 3, 7)
AT = datetime(2125, 3, 7, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("airflow_db")


@pytest.fixture
def dag_id(monkeypatch):
    """Return the id of a Dag with a run, whose entries are deleted after the test."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    dag_id = add_runs("success")
    yield dag_id
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == dag_id))


def test_entries_of_answers_and_batches_are_read_with_the_state_of_their_task(dag_id):
    add_xcom(dag_id, RESPONSE, at=AT)
    add_xcom(dag_id, BATCH, key="batch", task_id="rows", at=AT, state="failed")
    add_xcom(dag_id, {"usage": RESPONSE["usage"]}, key="return_value", task_id="other", at=AT)

    found = {(what.dag_id, what.task_id, what.kind, what.has_failed): told for what, told in read_spending(DAY)}

    assert found == {
        (dag_id, "ask", Kind.ANSWER, False): Usage(calls=1, prompt=10, answer=3),
        (dag_id, "rows", Kind.BATCH, True): Usage(calls=4, prompt=10, answer=3),
    }


def test_mapped_task_instances_are_added(dag_id):
    for map_index in range(3):
        add_xcom(dag_id, RESPONSE, at=AT, map_index=map_index, state="failed" if map_index else "success")

    assert {what.has_failed: told.calls for what, told in read_spending(DAY)} == {False: 1, True: 2}


def test_entries_of_earlier_days_are_not_read(dag_id):
    add_xcom(dag_id, RESPONSE, at=AT - timedelta(seconds=1), task_id="yesterday")
    add_xcom(dag_id, RESPONSE, at=AT, task_id="today")

    assert [what.task_id for what, _ in read_spending(DAY)] == ["today"]


def test_only_the_newest_entries_are_read_if_there_are_too_many(dag_id, monkeypatch):
    for hour in range(5):
        add_xcom(dag_id, RESPONSE, at=AT + timedelta(hours=hour), map_index=hour)
    assert read_spending(DAY).missing_before is None

    monkeypatch.setattr(xcom_entries, "MAX_ENTRIES", 3)
    monkeypatch.setattr(xcom_entries, "_PAGE", 2)
    found = read_spending(DAY)

    [(_, tokens)] = found
    assert tokens.calls == 3
    assert found.missing_before == AT + timedelta(hours=2)


def test_entry_in_an_object_storage_is_unreadable(dag_id):
    add_xcom(dag_id, "s3://bucket/xcom/response.json", at=AT)
    found = read_spending(DAY)

    assert found.unreadable == 1
    assert list(found) == []


DAG = """
from airflow.sdk import Asset, dag

from airflow_provider_gemini_files.operators.caches import GeminiCreateCacheOperator, GeminiDeleteCacheOperator
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator


@dag(schedule=None)
def spend():
    ask = GeminiGenerateContentOperator(task_id="ask", prompt="what?", outlets=[Asset("answer")])
    check = GeminiGenerateContentOperator(
        task_id="check", prompt="what?", response_schema={"type": "integer"}, repair_answer=True
    )
    rows = GeminiBatchGenerateContentOperator(
        task_id="rows",
        requests=["a", "b"],
        output_path="/data/rows.jsonl",
        trigger_rule="all_done",
        outlets=[Asset("rows")],
    )
    cache = GeminiCreateCacheOperator(task_id="cache", contents=["some words " * 2000], model="gemini-3.5-flash")
    ask >> cache >> GeminiDeleteCacheOperator(task_id="delete", cache=cache.output) >> check >> rows


spend()
"""


def test_real_tasks_are_counted_also_if_they_fail_and_events_of_assets_have_tokens(run_dag, emulator, prices):
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    for text in ("an answer", "no number", "still no number"):
        emulator.answers.add(text)
    run_dag(DAG, "spend")

    report = read_report(1, By.TASK)
    told = {names["task_id"]: one for names, one in report.groups if names["dag_id"] == "spend"}
    assert {task_id: (one.usage.calls, one.failed) for task_id, one in told.items()} == {
        "ask": (1, 0),
        "check": (2, 2),
        "rows": (2, 0),
        "cache": (1, 0),
    }
    assert (told["cache"].caches, told["cache"].usage.open_caches) == (1, 0)
    assert told["cache"].cache_tokens == told["cache"].usage.input > 1024
    with create_session() as session:
        events = session.execute(
            select(AssetEvent.source_task_id, AssetEvent.extra).where(AssetEvent.source_dag_id == "spend")
        )
        extras = {task_id: extra["gemini"] for task_id, extra in events}
    for task_id in ("ask", "rows"):
        assert extras[task_id]["usage"]["answer"] == told[task_id].usage.answer
        # Every token costs a millionth, in a batch half of it.
        share = 2 if task_id == "rows" else 1
        assert extras[task_id]["cost"] == pytest.approx(extras[task_id]["usage"]["total"] / share / 1e6)
        assert round(extras[task_id]["cost"], 6) == told[task_id].to_dict()["cost"]
