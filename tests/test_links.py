from __future__ import annotations

import shutil
from urllib.parse import parse_qs

import pytest

from airflow_provider_gemini_files.links import (
    GeminiBatchLink,
    GeminiCleanupReportLink,
    GeminiFileLink,
    GeminiFileSearchStoreLink,
)
from airflow_provider_gemini_files.operators.batches import (
    GeminiBatchGenerateContentOperator,
    GeminiCancelBatchOperator,
    GeminiDeleteBatchOperator,
    GeminiGetBatchOperator,
    GeminiListBatchesOperator,
)
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.file_search import (
    GeminiAddDocumentsOperator,
    GeminiCreateFileSearchStoreOperator,
    GeminiDeleteDocumentsOperator,
    GeminiDeleteFileSearchStoreOperator,
    GeminiListDocumentsOperator,
    GeminiListFileSearchStoresOperator,
    GeminiSyncFileSearchStoreOperator,
)
from airflow_provider_gemini_files.operators.files import GeminiGetFileOperator, GeminiUploadFileOperator
from airflow_provider_gemini_files.provider_info import get_provider_info
from airflow_provider_gemini_files.sensors.batches import GeminiBatchSensor
from airflow_provider_gemini_files.sensors.file_search import GeminiDocumentStateSensor
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor

A = "files/a"
B = "files/b"
STORE = "fileSearchStores/handbook-1"
OTHER = "fileSearchStores/notes-2"
DOCUMENT = f"{STORE}/documents/a-1"
JOB = "batches/a"
BATCH = GeminiBatchGenerateContentOperator(task_id="batch", files=[A], prompt="?", output_path="/tmp/x")


class Pushed:
    """The key of a task instance that has pushed something before."""

    dag_id, run_id, task_id, map_index = "a_dag", "a run", "a_task", 3

    def __init__(self, **pushed: object) -> None:
        self._pushed = pushed

    def xcom_pull(self, *, task_ids: str, key: str, **only: int) -> object:
        # Without map_indexes, Airflow reads a list and logs no error if a value does not exist.
        assert (task_ids, only) == (self.task_id, {"map_indexes": self.map_index} if self.map_index >= 0 else {})
        return self._pushed.get(key)


class PushedUnmapped(Pushed):
    """The same of a task that is not mapped."""

    map_index = -1


def query_of(link: str | None) -> dict[str, list[str]]:
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

    for ti_key in (Pushed(**pushed), PushedUnmapped(**pushed)):
        assert query_of(link.get_link(operator, ti_key=ti_key)) == {"conn_id": ["gemini_default"], "file": names}


def test_an_upload_of_a_directory_links_to_its_files_though_the_directory_is_gone(tmp_path):
    operator = GeminiUploadFileOperator(task_id="a", source=str(tmp_path))
    shutil.rmtree(tmp_path)

    link = GeminiFileLink().get_link(operator, ti_key=Pushed(files=[{"name": A}, {"name": B}]))

    assert query_of(link)["file"] == [A, B]


@pytest.mark.parametrize(
    "operator",
    [
        GeminiUploadFileOperator(task_id="g", source="/not/uploaded"),
        GeminiGenerateContentOperator(task_id="h", prompt="no files"),
        GeminiGetFileOperator(task_id="i", file_name="No File!"),
    ],
)
def test_a_task_without_files_has_no_link(operator):
    assert GeminiFileLink().get_link(operator, ti_key=Pushed()) == ""


@pytest.mark.parametrize("pushed", ["No File!", 5.5, [None], {"name": "No File!"}, {}])
def test_pushed_values_that_are_not_files_give_no_link(pushed):
    operator = GeminiUploadFileOperator(task_id="l", source="/a")

    assert GeminiFileLink().get_link(operator, ti_key=Pushed(file=pushed)) == ""


def test_the_link_to_many_files_stays_a_usable_url():
    operator = GeminiFileStateSensor(task_id="j", file_name=[f"files/{number:024x}" for number in range(1000)])

    assert len(str(GeminiFileLink().get_link(operator, ti_key=Pushed()))) < 4000


def test_the_cleanup_report_is_linked_by_its_task_instance():
    operator = GeminiGetFileOperator(task_id="k", file_name=A)

    assert query_of(GeminiCleanupReportLink().get_link(operator, ti_key=Pushed())) == {
        "conn_id": ["gemini_default"],
        "report": ["1"],
        "dag_id": ["a_dag"],
        "run_id": ["a run"],
        "task_id": ["a_task"],
        "map_index": ["3"],
    }


@pytest.mark.parametrize(
    ("operator", "returned", "stores"),
    [
        (GeminiSyncFileSearchStoreOperator(task_id="sync", store=STORE, source="/a"), None, [STORE]),
        (GeminiAddDocumentsOperator(task_id="add", store={"name": STORE}, file_name=A), [DOCUMENT], [STORE]),
        (GeminiListDocumentsOperator(task_id="documents", store="handbook-1"), [DOCUMENT], [STORE]),
        (GeminiDeleteFileSearchStoreOperator(task_id="delete", store=STORE), True, [STORE]),
        (GeminiDeleteDocumentsOperator(task_id="one", document=DOCUMENT), None, [STORE]),
        (
            GeminiDeleteDocumentsOperator(task_id="some", document=[DOCUMENT, None, f"{OTHER}/documents/b"]),
            None,
            [STORE, OTHER],
        ),
        (GeminiDocumentStateSensor(task_id="wait", document=[DOCUMENT, f"{STORE}/documents/b"]), None, [STORE]),
        # What a task returns is known once it has ended.
        (GeminiCreateFileSearchStoreOperator(task_id="create", display_name="Handbook"), STORE, [STORE]),
        (GeminiListFileSearchStoresOperator(task_id="stores"), [STORE, OTHER], [STORE, OTHER]),
    ],
)
def test_a_task_of_file_search_links_to_its_stores(operator, returned, stores):
    [link] = operator.operator_extra_links

    assert query_of(link.get_link(operator, ti_key=Pushed(return_value=returned))) == {
        "conn_id": ["gemini_default"],
        "tab": ["stores"],
        "store": stores,
    }


@pytest.mark.parametrize(
    "operator",
    [
        GeminiListDocumentsOperator(task_id="m", store="{{ not rendered }}"),
        GeminiDeleteDocumentsOperator(task_id="n", document=None),
        GeminiDeleteDocumentsOperator(task_id="o", document=["operations/a"]),
        GeminiCreateFileSearchStoreOperator(task_id="p", display_name="Handbook"),
    ],
)
def test_a_task_without_a_known_store_has_no_link(operator):
    assert GeminiFileSearchStoreLink().get_link(operator, ti_key=Pushed()) == ""


def test_a_task_that_has_found_no_stores_has_no_link():
    operator = GeminiListFileSearchStoresOperator(task_id="q")

    assert GeminiFileSearchStoreLink().get_link(operator, ti_key=Pushed(return_value=[])) == ""


def test_airflow_knows_the_links():
    links = (GeminiFileLink, GeminiFileSearchStoreLink, GeminiBatchLink, GeminiCleanupReportLink)
    names = {f"{link.__module__}.{link.__name__}" for link in links}

    assert set(get_provider_info()["extra-links"]) == names


@pytest.mark.parametrize(
    ("operator", "pushed", "batches"),
    [
        (BATCH, {"batch_name": JOB}, [JOB]),
        (BATCH, {"batch_name": [JOB, "batches/b"], "return_value": "file:///tmp/x"}, [JOB, "batches/b"]),
        (GeminiBatchSensor(task_id="r", batch_name="a"), {}, [JOB]),
        (GeminiGetBatchOperator(task_id="s", batch_name={"name": JOB}), {}, [JOB]),
        (GeminiCancelBatchOperator(task_id="t", batch_name=[JOB, None]), {}, [JOB]),
        (GeminiDeleteBatchOperator(task_id="u", batch_name=JOB), {}, [JOB]),
        (GeminiListBatchesOperator(task_id="v"), {"return_value": [JOB, "batches/b"]}, [JOB, "batches/b"]),
    ],
)
def test_a_task_of_batches_links_to_its_jobs(operator, pushed, batches):
    [link] = operator.operator_extra_links

    assert query_of(link.get_link(operator, ti_key=Pushed(**pushed))) == {
        "conn_id": ["gemini_default"],
        "tab": ["batches"],
        "batch": batches,
    }


@pytest.mark.parametrize(
    "operator",
    [
        BATCH,
        GeminiGetBatchOperator(task_id="w", batch_name="{{ not rendered }}"),
        GeminiDeleteBatchOperator(task_id="x", batch_name=None),
        GeminiListBatchesOperator(task_id="y"),
    ],
)
def test_a_task_without_a_known_job_has_no_link(operator):
    assert GeminiBatchLink().get_link(operator, ti_key=Pushed()) == ""
