"""How many sources a Dag itself shows, and what its run may add."""

from __future__ import annotations

import math

import pytest
from airflow.sdk import DAG, task

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.written_sources import count_sources, written_in_mapped

SOURCE = {"source": "/data/a.pdf"}
NAMES = ("files", "contents", "requests")


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (None, 0),
        ("files/a", 0),
        ("{{ params.files }}", 0),
        ({"name": "files/a", "source": "UPLOADED"}, 0),
        (SOURCE, 1),
        ([SOURCE, "files/a", [SOURCE]], 2),
        ([{"role": "user", "parts": [SOURCE, "what?"]}], 1),
        ([{"prompt": "what?", "files": [SOURCE], "contents": SOURCE}], 2),
    ],
)
def test_sources_of_an_argument(value, count):
    assert count_sources(value) == count


def mapped(partial: dict[str, object], expand) -> object:
    """Return a mapped task."""
    with DAG("a_dag"):

        @task
        def rows():
            return []

        operator = GeminiGenerateContentOperator.partial(task_id="ask", prompt="what?", **partial)
        return expand(operator, rows())


@pytest.mark.parametrize(
    ("partial", "expand", "count"),
    [
        ({}, lambda operator, rows: operator.expand(files=rows), 0),
        ({}, lambda operator, rows: operator.expand_kwargs(rows), 0),
        ({}, lambda operator, rows: operator.expand(files=rows.map(lambda path: {"source": path})), math.inf),
        ({}, lambda operator, rows: operator.expand(files=[SOURCE, "files/a", [SOURCE, SOURCE]]), 2),
        ({}, lambda operator, rows: operator.expand_kwargs([{"files": SOURCE}, {"files": "files/a"}]), 1),
        ({"files": [{"source": "{{ params.path }}"}]}, lambda operator, rows: operator.expand(model=rows), 1),
    ],
)
def test_sources_of_a_mapped_task(partial, expand, count):
    assert written_in_mapped(mapped(partial, expand), NAMES) == count


def test_data_cannot_add_a_source_to_those_of_the_dag(emulator, context, text_file):
    operator = GeminiGenerateContentOperator(
        task_id="ask", prompt="what?", files=[{"source": str(text_file)}], contents="{{ params.contents }}"
    )
    operator.contents = [{"source": "/etc/passwd"}]

    with pytest.raises(e.GeminiInputError, match="is a source that comes from a template, an XCom or a file"):
        operator.execute(context)

    assert emulator.journal == []


def test_instance_of_a_mapped_task_cannot_be_given_a_source_by_data(emulator, context):
    operator = mapped({}, lambda operator, rows: operator.expand(files=rows)).unmap(
        {"files": [{"source": "/etc/passwd"}]}
    )

    with pytest.raises(e.GeminiInputError, match="is a source that comes from a template, an XCom or a file"):
        operator.execute(context)

    assert emulator.journal == []
