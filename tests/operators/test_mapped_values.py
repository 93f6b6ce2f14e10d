"""The output of a mapped task, as a task that is given all of it reads and shows it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiDeleteFileOperator
from airflow_provider_gemini_files.operators.mapped_values import read_at_once
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor

NAMES = [f"files/f{number}" for number in range(5)]


class Values(Sequence):
    """The sequence that Airflow renders for the output of a mapped task; it counts the requests."""

    def __init__(self, names: list[str], requests: list[object], *, fails: bool = False) -> None:
        self._names, self._requests, self._fails = names, requests, fails

    def __len__(self) -> int:
        self._requests.append("len")
        return len(self._names)

    def __getitem__(self, key):
        self._requests.append(key)
        if self._fails:
            raise RuntimeError("no XCom")
        return self._names[key]


@pytest.mark.parametrize(
    ("kind", "argument", "others"),
    [
        (GeminiGenerateContentOperator, "files", {"prompt": "what?"}),
        (GeminiDeleteFileOperator, "file_name", {}),
        (GeminiFileStateSensor, "file_name", {}),
    ],
)
def test_values_are_read_with_one_request_and_shown(connect, kind, argument, others):
    connect()
    requests: list[object] = []
    operator = kind(task_id="t", **{argument: None}, **others)
    setattr(operator, argument, Values(NAMES, requests))
    operator.render_template_fields({})

    assert _serialize_rendered_fields(operator)[argument] == NAMES
    assert getattr(operator, argument) == NAMES
    # Airflow asks for the length of an argument that is to be rendered.
    assert [request for request in requests if request != "len"] == [slice(None)]


def test_values_that_cannot_be_read_are_an_error_of_the_task():
    operator = GeminiDeleteFileOperator(task_id="t", file_name=None)
    operator.file_name = values = Values(NAMES, [], fails=True)
    read_at_once(operator, ["file_name"])

    assert operator.file_name is values


@pytest.mark.parametrize("value", ["files/a", b"files/a", ["files/a"], ("files/a",), {"name": "files/a"}, None])
def test_other_values_stay_as_they_are(value):
    operator = GeminiDeleteFileOperator(task_id="t", file_name=value)
    read_at_once(operator, ["file_name", "missing"])

    assert operator.file_name is value
