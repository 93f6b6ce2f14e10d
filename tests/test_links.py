from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from airflow_provider_gemini_files.links import GeminiCleanupReportLink, GeminiFileLink
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiGetFileOperator, GeminiUploadFileOperator
from airflow_provider_gemini_files.provider_info import get_provider_info
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor

A = "files/a"
B = "files/b"


class Pushed:
    """A task instance that has pushed something before."""

    dag_id, run_id, task_id, map_index = "a_dag", "a run", "a_task", 3

    def __init__(self, **pushed: object) -> None:
        self._pushed = pushed

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> object:
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        return self._pushed.get(key)


def asked(link: str | None) -> dict[str, list[str]]:
    page, _, query = str(link).partition("?")
    assert page == "plugin/gemini-files"
    return parse_qs(query)


@pytest.mark.parametrize(
    ("operator", "pushed", "names"),
    [
        (GeminiUploadFileOperator(task_id="a", source="/a.txt"), {"file": {"name": A}}, [A]),
        (GeminiUploadFileOperator(task_id="b", source=["/a", "/b"]), {"files": [{"name": A}, {"name": B}]}, [A, B]),
        (GeminiFileStateSensor(task_id="c", file_name=A), {}, [A]),
        (GeminiFileStateSensor(task_id="d", file_name=[A, B]), {}, [A, B]),
        (GeminiGetFileOperator(task_id="e", file_name={"name": A}), {}, [A]),
        (GeminiGenerateContentOperator(task_id="f", prompt="?", files=[A, B]), {}, [A, B]),
    ],
)
def test_a_task_links_to_its_files(operator, pushed, names):
    [link] = operator.operator_extra_links

    assert asked(link.get_link(operator, ti_key=Pushed(**pushed))) == {"conn_id": ["gemini_default"], "file": names}


@pytest.mark.parametrize(
    "operator",
    [
        GeminiUploadFileOperator(task_id="g", source="/not/uploaded"),
        GeminiGenerateContentOperator(task_id="h", prompt="no files"),
        GeminiGetFileOperator(task_id="i", file_name="No File!"),
    ],
)
def test_without_a_file_there_is_no_link(operator):
    assert GeminiFileLink().get_link(operator, ti_key=Pushed()) is None


def test_the_link_to_many_files_stays_a_url():
    operator = GeminiFileStateSensor(task_id="j", file_name=[f"files/{number:024x}" for number in range(1000)])

    assert len(str(GeminiFileLink().get_link(operator, ti_key=Pushed()))) < 4000


def test_the_report_is_asked_for_by_its_task_instance():
    operator = GeminiGetFileOperator(task_id="k", file_name=A)

    assert asked(GeminiCleanupReportLink().get_link(operator, ti_key=Pushed())) == {
        "conn_id": ["gemini_default"],
        "report": ["1"],
        "dag_id": ["a_dag"],
        "run_id": ["a run"],
        "task_id": ["a_task"],
        "map_index": ["3"],
    }


def test_airflow_knows_the_links():
    names = {f"{link.__module__}.{link.__name__}" for link in (GeminiFileLink, GeminiCleanupReportLink)}

    assert set(get_provider_info()["extra-links"]) == names
