from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiGetFileOperator, GeminiUploadFileOperator
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("/data/in/invoice.pdf", "in/invoice.pdf"),
        (Path("/data/in/invoice.pdf"), "in/invoice.pdf"),
        ("invoice.pdf", "./invoice.pdf"),
        ("gs://bucket/a/b.mp4", "a/b.mp4"),
        ("https://host/a/b.pdf?token=secret#part", "a/b.pdf"),
        ("https://user:s3cret@host/x.pdf", "host/x.pdf"),
        ("https://[broken", "https:/***"),
        (["/in/a.pdf", "/in/b.pdf", "/in/c.pdf"], "in/a.pdf and 2 more"),
        ("/in/" + 100 * "x", "in/" + 57 * "x" + "…"),
        ([], ""),
    ],
)
def test_upload_is_labelled_by_its_source_without_secrets(source, label):
    assert GeminiUploadFileOperator(task_id="a", source=source).map_index_label() == label


def test_other_tasks_are_labelled_by_their_files_and_prompt():
    assert GeminiFileStateSensor(task_id="b", file_name="files/a").map_index_label() == "files/a"
    assert GeminiGetFileOperator(task_id="c", file_name={"name": "files/a"}).map_index_label() == "files/a"
    metadata = {"name": "files/a", "display_name": "call-17.mp3 [airflow in=x dag=d run=r task=t]"}
    transcribe = GeminiGenerateContentOperator(task_id="g", prompt="Transcribe", files=metadata)
    assert transcribe.map_index_label() == "./call-17.mp3 · Transcribe"
    of_xcom = GeminiGenerateContentOperator(task_id="h", prompt="Compare", files=iter(["files/a", "files/b"]))
    assert of_xcom.map_index_label() == "files/a and 1 more · Compare"
    asked = GeminiGenerateContentOperator(task_id="d", prompt="What\nis this?", files=["files/a", "files/b"])
    assert asked.map_index_label() == "files/a and 1 more · What is this?"
    assert GeminiGenerateContentOperator(task_id="e", prompt="Why?").map_index_label() == "Why?"


@pytest.mark.parametrize(
    ("map_index", "own", "template"),
    [(3, None, "{{ task.map_index_label() }}"), (3, "{{ task.source }}", "{{ task.source }}"), (-1, None, None)],
)
def test_only_mapped_tasks_get_a_label_and_the_authors_template_wins(map_index, own, template):
    context = {"ti": SimpleNamespace(map_index=map_index), "map_index_template": own}
    GeminiUploadFileOperator(task_id="f", source="/a").render_template_fields(context)

    assert context["map_index_template"] == template
