from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiGetFileOperator, GeminiUploadFileOperator
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor

FILE = {"name": "files/af01", "display_name": "call.mp3 [airflow in=prod dag=d run=r task=t]"}


class LazySequence(Sequence):
    """A sequence like that of the XComs of a mapped task, which does not show what it contains."""

    def __init__(self, *values: object) -> None:
        self._values = values

    def __getitem__(self, at):
        return self._values[at]

    def __len__(self) -> int:
        return len(self._values)

    def __str__(self) -> str:
        return f"LazyXComSequence([{len(self)} items])"


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("/data/in/invoice.pdf", "in/invoice.pdf"),
        (Path("/data/in/invoice.pdf"), "in/invoice.pdf"),
        ("invoice.pdf", "./invoice.pdf"),
        ("20260417", "./20260417"),
        ("gs://bucket/a/b.mp4", "a/b.mp4"),
        ("s3://connection@bucket/b.mp4", "bucket/b.mp4"),
        (ObjectStoragePath("s3://connection@bucket/b.mp4"), "bucket/b.mp4"),
        ("https://host/a/b.pdf?token=secret#part", "a/b.pdf"),
        ("https://user:s3cret@host/x.pdf", "host/x.pdf"),
        (["https://user:s3cret@host/x.pdf?token=secret", "/b"], "host/x.pdf and 1 more"),
        ("https://[broken", "https:/***"),
        ("/in/a\nb\x1b[31m.pdf", "in/a b.pdf"),
        (["/in/a.pdf", "/in/b.pdf", "/in/c.pdf"], "in/a.pdf and 2 more"),
        (LazySequence("/in/a.pdf", "/in/b.pdf"), "in/a.pdf and 1 more"),
        ("/in/" + 100 * "x", "in/" + 57 * "x" + "…"),
        ([], ""),
        (None, ""),
    ],
)
def test_an_upload_is_labelled_by_its_source(source, label):
    assert GeminiUploadFileOperator(task_id="a", source=source).map_index_label() == label


@pytest.mark.parametrize(
    ("files", "label"),
    [
        ("files/a", "files/a"),
        ({"name": "files/a"}, "files/a"),
        (FILE, "./call.mp3"),
        ([FILE, "files/b"], "./call.mp3 and 1 more"),
        ({"file": "files/a", "video": {"start": 1}}, "files/a"),
    ],
)
def test_other_tasks_are_labelled_by_their_files(files, label):
    assert GeminiFileStateSensor(task_id="b", file_name=files).map_index_label() == label
    assert GeminiGetFileOperator(task_id="c", file_name=files).map_index_label() == label


def test_a_prompt_follows_the_files():
    operator = GeminiGenerateContentOperator(task_id="d", prompt="What\nis this?", files=["files/a", "files/b"])

    assert operator.map_index_label() == "files/a and 1 more · What is this?"
    assert GeminiGenerateContentOperator(task_id="e", prompt="Why?").map_index_label() == "Why?"


def test_a_task_that_has_asked_is_labelled_by_the_display_names_of_its_files(hook, text_file, context):
    a, b = (hook.upload_file(text_file, display_name=name).name for name in ("a.txt", "b.txt"))
    operator = GeminiGenerateContentOperator(task_id="g", prompt="Why?", files=[a, {"file": b}])
    assert operator.map_index_label() == f"{a} and 1 more · Why?"
    operator.execute(context)

    assert operator.map_index_label() == "./a.txt and 1 more · Why?"


def test_a_label_does_not_use_up_what_it_names():
    operator = GeminiUploadFileOperator(task_id="a", source=iter(["/in/a.pdf"]))

    assert operator.map_index_label() == operator.map_index_label() == "in/a.pdf"
    assert operator.source == ["/in/a.pdf"]


@pytest.mark.parametrize(
    ("map_index", "own", "template"),
    [(3, None, "{{ task.map_index_label() }}"), (3, "{{ task.source }}", "{{ task.source }}"), (-1, None, None)],
)
def test_only_mapped_tasks_get_a_label_and_an_authors_template_wins(map_index, own, template):
    context = {"ti": SimpleNamespace(map_index=map_index), "map_index_template": own}
    GeminiUploadFileOperator(task_id="f", source="/a").render_template_fields(context)

    assert context["map_index_template"] == template
