from __future__ import annotations

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile, UploadedFrom
from airflow_provider_gemini_files.operators.metadata import UploadedMetadata

FILE = GeminiFile("files/a", owner=Owner("d", "r", "upload"), uploaded_from=UploadedFrom("/data/a.txt"))
OTHER = GeminiFile("files/b", uploaded_from=UploadedFrom("/data/b.txt"))


@pytest.fixture
def context(context):
    """Return the context of a task that comes after ``upload`` and ``wait``, beside ``elsewhere``."""
    with DAG("d"):
        tasks = {name: EmptyOperator(task_id=name) for name in ("upload", "wait", "ask", "elsewhere")}
        tasks["upload"] >> tasks["wait"] >> tasks["ask"]
    return context | {"task": tasks["ask"]}


@pytest.mark.parametrize("given", [FILE, FILE.to_dict()])
def test_what_was_given_is_enough(given, context):
    found = UploadedMetadata(context).of("files/a", given)

    assert found == FILE
    assert found.uploaded_from == FILE.uploaded_from


@pytest.mark.parametrize(
    ("key", "pushed"),
    [
        ("file", [FILE.to_dict()]),
        ("file", [OTHER.to_dict(), None, FILE.to_dict()]),
        ("files", [[OTHER.to_dict(), FILE.to_dict()]]),
        ("files", [[OTHER.to_dict()], [FILE.to_dict()]]),
    ],
)
def test_what_tasks_upstream_have_pushed_is_found_however_far_and_mapped_or_not(key, pushed, ti, context):
    ti.upstream["upload", key] = pushed

    found = UploadedMetadata(context).of("files/a", "files/a")

    assert found == FILE
    assert found.uploaded_from == FILE.uploaded_from


def test_a_name_without_a_source_is_looked_for_and_what_is_known_kept(ti, context):
    bare = GeminiFile("files/a", display_name="x")
    assert UploadedMetadata(context).of("files/a", bare.to_dict()) == bare

    ti.upstream["upload", "file"] = [FILE.to_dict()]
    assert UploadedMetadata(context).of("files/a", bare.to_dict()).uploaded_from == FILE.uploaded_from


@pytest.mark.parametrize(
    "pushed", ["text", 5, {"name": "report.csv", "uploaded_from": None}, {"uploaded_from": 1, "name": "files/a"}, {}]
)
def test_what_other_tasks_push_under_the_same_key_is_passed_over(pushed, ti, context):
    ti.upstream["upload", "file"] = [pushed]

    assert UploadedMetadata(context).of("files/a", "files/a") is None


def test_a_task_beside_is_not_asked(ti, context):
    ti.upstream["elsewhere", "file"] = [FILE.to_dict()]

    assert UploadedMetadata(context).of("files/a", "files/a") is None
