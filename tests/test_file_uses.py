"""Which tasks have used a file, read from Airflow's database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.dialects import mysql, postgresql
from support import add_runs, add_xcom

from airflow_provider_gemini_files import xcom_entries
from airflow_provider_gemini_files.file_uses import recorded_uses, states_of
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.uses import How

#: No other test writes entries of this day.
AT = datetime(2126, 3, 7, 12, tzinfo=UTC)
FILE = GeminiFile("files/abc", create_time=AT.isoformat())

pytestmark = pytest.mark.usefixtures("airflow_db")


@pytest.fixture
def dag_id():
    """Return the id of a Dag with a run, whose entries are deleted after the test."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    dag_id = add_runs("success")
    yield dag_id
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == dag_id))


def response(*files: str) -> dict:
    return {"conn_id": "gemini_default", "files": list(files)}


def found(file: GeminiFile = FILE) -> set[tuple[str, int, How]]:
    uses, _ = recorded_uses(file, "gemini_default")
    return {(use.task_id, use.map_index, use.how) for use in uses}


def test_tasks_are_found_by_what_they_have_recorded(dag_id):
    turn = {"role": "user", "parts": [{"file": "files/abc"}]}
    held = {"name": "cachedContents/a", "contents": [turn]}
    add_xcom(dag_id, response("files/x", "files/abc"), at=AT, map_index=2)
    add_xcom(dag_id, response("files/abc"), key="batch", task_id="rows", at=AT)
    add_xcom(dag_id, held, key="cache", task_id="hold", at=AT)
    add_xcom(dag_id, response("files/abc"), key="imported", task_id="add", at=AT)
    add_xcom(dag_id, ["files/abc"], key="return_value", task_id="list", at=AT)

    assert found() == {
        ("ask", 2, How.MODEL),
        ("rows", -1, How.BATCH),
        ("hold", -1, How.CACHE),
        ("add", -1, How.STORE),
    }


@pytest.mark.parametrize("name", ["files/abc", "files/a_c", "files/a%c", "files/a/c", "files/a'c"])
def test_only_the_same_name_is_found(dag_id, name):
    names = ["files/abc", "files/abcd", "files/a_c", "files/a%c", "files/a/c", "files/a'c", "files/ABC"]
    for index, other in enumerate(names):
        add_xcom(dag_id, response(other), at=AT, map_index=index)

    uses, _ = recorded_uses(GeminiFile(name, create_time=FILE.create_time), "gemini_default")
    assert [use.map_index for use in uses] == [names.index(name)]


def test_entries_from_before_the_file_was_created_are_of_a_former_file(dag_id):
    add_xcom(dag_id, response("files/abc"), at=AT - timedelta(hours=1), task_id="former")
    # The clocks of Airflow and the service differ.
    add_xcom(dag_id, response("files/abc"), at=AT - timedelta(minutes=9), task_id="same")

    assert {task_id for task_id, _, _ in found()} == {"same"}


def test_it_is_said_before_which_time_entries_are_not_read(dag_id, monkeypatch):
    for hour in range(4):
        add_xcom(dag_id, response("files/abc"), at=AT + timedelta(hours=hour), map_index=hour)
    assert recorded_uses(FILE, "gemini_default")[1] is None

    monkeypatch.setattr(xcom_entries, "MAX_ENTRIES", 2)
    assert {map_index for _, map_index, _ in found()} == {2, 3}
    assert recorded_uses(FILE, "gemini_default")[1] == AT + timedelta(hours=2)


def test_file_of_unknown_age_is_looked_for_in_all_entries(dag_id):
    add_xcom(dag_id, response("files/old"), at=datetime(1999, 1, 1, tzinfo=UTC))

    assert found(GeminiFile("files/old")) == {("ask", -1, How.MODEL)}


def test_states_are_those_of_the_task_instances_that_exist(dag_id):
    add_xcom(dag_id, response(), at=AT, state="running")
    add_xcom(dag_id, response(), at=AT, task_id="rows", map_index=1)
    ask, rows = (dag_id, "success", "ask", -1), (dag_id, "success", "rows", 1)

    assert states_of([ask, rows, (dag_id, "success", "rows", 0)]) == {ask: "running", rows: "success"}
    assert states_of([]) == {}


DAG = """
from airflow.sdk import dag

from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator
from airflow_provider_gemini_files.operators.caches import GeminiCreateCacheOperator
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.file_search import (
    GeminiAddDocumentsOperator,
    GeminiCreateFileSearchStoreOperator,
)
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator


@dag(schedule=None)
def use():
    file = GeminiUploadFileOperator(task_id="upload", source="/data/use_of_docs.py").output
    GeminiGenerateContentOperator(task_id="ask", prompt="what?", files=file)
    GeminiBatchGenerateContentOperator(task_id="rows", prompt="what?", files=[file], output_path="/data/rows.jsonl")
    GeminiCreateCacheOperator(task_id="hold", files=file, contents=["word " * 2000])
    store = GeminiCreateFileSearchStoreOperator(task_id="store", display_name="Uses").output
    GeminiAddDocumentsOperator(task_id="add", store=store, file_name=file)


use()
"""


def test_real_tasks_record_what_they_use(run_dag, emulator, hook):
    run = run_dag(DAG, "use")

    assert run.state == "success"
    [file] = [file for file in hook.list_files() if file.owner and file.owner.task_id == "upload"]
    uses, _ = recorded_uses(file, "gemini_default")
    assert {(use.run_id, use.task_id, use.state, use.how) for use in uses} == {
        (run.run_id, "ask", "success", How.MODEL),
        (run.run_id, "rows", "success", How.BATCH),
        (run.run_id, "hold", "success", How.CACHE),
        (run.run_id, "add", "success", How.STORE),
    }


@pytest.mark.parametrize(
    ("dialect", "text"),
    [(postgresql.dialect(), "CAST(xcom.value AS TEXT)"), (mysql.dialect(), "CAST(xcom.value AS CHAR)")],
)
def test_other_databases_search_the_text_of_the_value(dialect, text, mocker):
    """The database of these tests is SQLite."""
    sent = mocker.patch("sqlalchemy.orm.Session.execute", autospec=True, return_value=[])
    list(xcom_entries.read_entries(["response"], AT, "files/a_c"))

    statement = sent.call_args.args[1].compile(dialect=dialect)
    assert f"{text} LIKE" in str(statement)
    assert "ESCAPE '/'" in str(statement)
    assert "files//a/_c" in statement.params.values()
