"""Rendered fields show the model and the schema that a task uses."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields
from pydantic import BaseModel, Field, create_model

from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator
from airflow_provider_gemini_files.operators.caches import GeminiCreateCacheOperator
from airflow_provider_gemini_files.operators.content import GeminiCountTokensOperator, GeminiGenerateContentOperator

calls: list[object] = []


class Invoice(BaseModel):
    """A schema that notices being called."""

    number: str = Field(description="Größe")
    token: int

    def __init__(self, *args, **kwargs):
        calls.append(args)
        super().__init__(**kwargs)


@pytest.fixture(autouse=True)
def no_class_is_called():
    calls.clear()
    yield
    assert calls == []


def shown(operator, **context) -> dict:
    """Render as a worker does, and return what it stores."""
    operator = operator.prepare_for_execution()
    operator.render_template_fields({"params": {"nothing": None}, **context})
    return _serialize_rendered_fields(operator)


@pytest.mark.parametrize("model", [None, "{{ params.nothing }}", ""])
@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (GeminiGenerateContentOperator, {"prompt": "what?"}),
        (GeminiCountTokensOperator, {"prompt": "what?"}),
        (GeminiCreateCacheOperator, {"files": "files/a"}),
        (GeminiBatchGenerateContentOperator, {"requests": ["what?"], "output_path": "/tmp/rows.jsonl"}),
    ],
)
def test_model_of_the_connection_is_shown_if_the_task_sets_none(connect, kind, given, model):
    connect(extra={"model": "gemini-of-the-team"})

    assert shown(kind(task_id="ask", model=model, **given))["model"] == "gemini-of-the-team"
    assert shown(kind(task_id="ask", model="gemini-own", **given))["model"] == "gemini-own"


def test_model_of_the_cache_is_shown_if_the_request_uses_one(connect):
    connect(extra={"model": "gemini-of-the-team"})
    cache = {"name": "cachedContents/a", "model": "gemini-of-the-cache"}
    ask = GeminiGenerateContentOperator(task_id="ask", prompt="what?", cached_content=cache)

    assert shown(ask)["model"] == "gemini-of-the-cache"


def test_connection_that_cannot_be_read_is_no_error_of_rendering(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_GEMINI_DEFAULT", json.dumps({"conn_type": "gemini", "extra": {"wrong": 1}}))
    ask = GeminiGenerateContentOperator(task_id="ask", prompt="what?", response_schema={"type": "integer"})

    fields = shown(ask)
    assert fields["model"] is None
    assert json.loads(fields["response_schema"]) == {"type": "integer"}


def test_class_is_shown_by_its_name_and_as_the_json_schema_that_is_sent(connect):
    connect()
    ask = GeminiGenerateContentOperator(task_id="ask", prompt="what?", response_schema=Invoice)

    name, _, text = shown(ask)["response_schema"].partition("\n")
    assert name == f"{__name__}.Invoice"
    assert json.loads(text) == Invoice.model_json_schema()
    # For people: neither escaped, nor masked for a name like that of a secret.
    assert "Größe" in text
    assert ask.response_schema is Invoice


@pytest.mark.parametrize(
    ("schema", "start"),
    [
        (f"{__name__}.Invoice", f"{__name__}.Invoice\n{{"),
        (list[Invoice], f"list[{__name__}.Invoice]\n{{"),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, '{\n  "type": "object"'),
        (int, 'builtins.int\n{\n  "type": "integer"'),
    ],
)
def test_schema_is_shown_in_any_form(connect, schema, start):
    connect()
    rows = GeminiBatchGenerateContentOperator(
        task_id="rows", requests=["what?"], output_path="/tmp/rows.jsonl", response_schema=schema
    )

    assert shown(rows)["response_schema"].startswith(start)


def test_prefix_that_airflow_gives_the_file_of_a_dag_is_not_shown():
    in_dag = create_model("Line", __module__=f"unusual_prefix_{'0a' * 20}_invoices", amount=(int, ...))

    assert str(Schema.of(in_dag)).startswith("invoices.Line\n")
    assert str(Schema.of(list[in_dag])).startswith("list[invoices.Line]\n")


def test_long_schema_is_cut(connect):
    connect()
    schema = {"type": "object", "properties": {f"field_{number}": {"type": "string"} for number in range(500)}}

    text = shown(GeminiGenerateContentOperator(task_id="ask", prompt="?", response_schema=schema))["response_schema"]
    assert len(text) < 2100
    assert text.endswith(" characters)")


@pytest.mark.parametrize("schema", ["no_such_module.Invoice", object(), {"type": "number of a kind"}, None])
def test_schema_that_cannot_be_used_is_an_error_of_the_task_and_not_of_rendering(connect, schema):
    connect()

    assert "response_schema" not in shown(
        GeminiGenerateContentOperator(task_id="ask", prompt="what?", response_schema=schema)
    )


def test_fields_that_a_dag_is_serialized_with_have_no_schema(connect):
    from airflow.serialization import serialized_objects

    # Airflow 3.1 has it under another name.
    kind = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG

    def parsed() -> dict:
        with DAG("ask", schedule=None, render_template_as_native_obj=True) as dag:
            GeminiGenerateContentOperator(task_id="ask", prompt="what?", response_schema=Invoice)
            GeminiGenerateContentOperator.partial(task_id="each", response_schema=list[Invoice]).expand(prompt=["a"])

            @task.gemini(response_schema=Invoice)
            def answer():
                return "what?"

            answer()
        return kind.to_dict(dag)

    assert parsed() == parsed()
    assert "response_schema" not in GeminiGenerateContentOperator.template_fields


RUN = """
from airflow.sdk import dag, task
from pydantic import BaseModel

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator


class Line(BaseModel):
    amount: int


@dag(schedule=None, render_template_as_native_obj=True)
def read():
    GeminiGenerateContentOperator(task_id="ask", prompt="what?", response_schema=Line)
    GeminiGenerateContentOperator.partial(task_id="each", response_schema=Line).expand(prompt=["a", "b"])

    @task.gemini(response_schema=list[Line])
    def answer():
        return "what?"

    answer()


read()
"""


def test_running_tasks_store_what_they_use(run_dag, emulator):
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session
    from sqlalchemy import select

    run = run_dag(RUN, "read")

    assert run.state == "success"
    with create_session() as session:
        stored = session.scalars(
            select(RenderedTaskInstanceFields).where(RenderedTaskInstanceFields.run_id == run.run_id)
        ).all()
        fields = {(one.task_id, one.map_index): one.rendered_fields for one in stored}
    assert set(fields) == {("ask", -1), ("each", 0), ("each", 1), ("answer", -1)}
    assert {one["model"] for one in fields.values()} == {"gemini-3.8-flash"}
    starts = {key: one["response_schema"].partition("\n")[0] for key, one in fields.items()}
    assert starts == dict.fromkeys(fields, "read_of_docs.Line") | {("answer", -1): "list[read_of_docs.Line]"}
