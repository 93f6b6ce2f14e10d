from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile, UploadedFrom
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator
from airflow_provider_gemini_files.operators.metadata import UploadedMetadata

FILE = GeminiFile(
    "files/a",
    owner=Owner("d", "r", "upload", deployment="prod"),
    uploaded_from=UploadedFrom("/data/a.txt"),
    conn_id="gemini_default",
)
OTHER = GeminiFile("files/b", uploaded_from=UploadedFrom("s3://bucket/b.txt", "a_connection"))


@pytest.fixture
def dag() -> DAG:
    """Return a Dag of two uploads and two other tasks, of which ``elsewhere`` and ``aside`` are not upstream."""
    with DAG("d") as dag:
        uploads = {name: GeminiUploadFileOperator(task_id=name, source="/a") for name in ("upload", "aside")}
        mapped = GeminiUploadFileOperator.partial(task_id="mapped").expand(source=["/a", "/b"])
        others = {name: EmptyOperator(task_id=name) for name in ("wait", "ask", "elsewhere")}
        [uploads["upload"], mapped] >> others["wait"] >> others["ask"]
    return dag


@pytest.fixture
def context(context, dag) -> dict[str, Any]:
    return context | {"task": dag.get_task("ask")}


@pytest.mark.parametrize(
    ("task_id", "key", "pushed"),
    [
        ("upload", "file", [FILE.to_dict()]),
        ("upload", "files", [[OTHER.to_dict(), FILE.to_dict()]]),
        ("mapped", "file", [OTHER.to_dict(), None, FILE.to_dict()]),
        ("mapped", "files", [[OTHER.to_dict()], [FILE.to_dict()]]),
    ],
)
def test_metadata_of_upload_tasks_upstream_is_found(task_id, key, pushed, ti, context):
    ti.upstream[task_id, key] = pushed

    found = UploadedMetadata(context).of("files/a")

    assert found == FILE
    assert (found.uploaded_from, found.conn_id) == (FILE.uploaded_from, FILE.conn_id)


@pytest.mark.parametrize("task_id", ["wait", "elsewhere", "aside"])
def test_metadata_of_any_other_task_is_not_believed(task_id, ti, context):
    # A task of another kind could name a path or URL of its own choosing; one aside has not run for certain.
    ti.upstream[task_id, "file"] = [FILE.to_dict()]

    assert UploadedMetadata(context).of("files/a") is None


def test_a_file_that_no_task_has_uploaded_is_not_known(ti, context):
    ti.upstream["upload", "file"] = [OTHER.to_dict()]

    assert UploadedMetadata(context).of("files/a") is None


@pytest.mark.parametrize(
    "pushed",
    [
        "text",
        5,
        {},
        {"name": "report.csv", "uploaded_from": None},
        {"name": "files/a", "uploaded_from": 1},
        {"name": "files/a", "uploaded_from": {"path": "/etc/passwd"}},
        {"name": "files/a", "owner": "me"},
    ],
)
def test_values_that_are_not_metadata_are_ignored(pushed, ti, context):
    ti.upstream["upload", "file"] = [pushed]
    ti.upstream["mapped", "file"] = [OTHER.to_dict()]
    metadata = UploadedMetadata(context)

    assert metadata.of("files/a") is None
    assert metadata.of("files/b") == OTHER


def test_xcom_is_read_once_and_only_when_needed(ti, context, mocker):
    pull = mocker.spy(ti, "xcom_pull")
    metadata = UploadedMetadata(context)
    assert pull.call_count == 0

    for name in ("files/a", "files/b", "files/a"):
        metadata.of(name)

    # Two upload tasks with two keys.
    assert pull.call_count == 4


def test_mapped_task_reads_only_what_its_own_index_has_recorded(ti, context, mocker):
    ti.map_index = 1
    ti.upstream["mapped", "file"] = [OTHER.to_dict(), FILE.to_dict()]
    pull = mocker.spy(ti, "xcom_pull")

    assert UploadedMetadata(context).of("files/a") == FILE
    assert [call.kwargs.get("map_indexes") for call in pull.call_args_list] == [[1]] * 4


def test_mapped_task_reads_all_if_its_own_index_has_not_recorded_the_file(ti, context):
    ti.map_index = 1
    ti.upstream["mapped", "file"] = [OTHER.to_dict(), FILE.to_dict()]

    assert UploadedMetadata(context).of("files/b") == OTHER


def test_outside_of_a_task_nothing_is_known(ti):
    assert UploadedMetadata({"ti": ti}).of("files/a") is None
