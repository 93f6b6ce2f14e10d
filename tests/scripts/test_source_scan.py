"""The source says which metrics, XCom keys and messages there are."""

from __future__ import annotations

import ast

import pytest
import source_scan
from source_scan import Message, Metric

SOURCE = """
import airflow.configuration as settings
from airflow.sdk import BaseHook as Hook
def f():
    from airflow.models.log import Log, other
self._own = Hook()._theirs + self._own.__doc__ + self._method() + self._CONSTANT
class A:
    _CONSTANT = 1
    def _method(self): ...
tags = {"conn": "x"}
Stats.incr("gemini_files.upload.files", tags={"model": model})
Stats.gauge(f"gemini_files.{self._kind}.used", 3, tags=tags)
Stats.incr("other.metric")
ti.xcom_push("file", 1)
raise GeminiInputError(f"{name!r} is not a file: expected " "'files/...'.")
raise GeminiInputError(f"{where}: {reason}.")
raise GeminiInputError(message)
"""


@pytest.fixture
def package(tmp_path):
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "one.py").write_text(SOURCE)
    (tmp_path / "emulator").mkdir()
    (tmp_path / "emulator" / "two.py").write_text('ti.xcom_push("emulated", 1)')
    return tmp_path


def test_metrics_have_kind_and_tags(package):
    assert source_scan.metrics(package) == [
        Metric("gemini_files.<kind>.used", "gauge", ("conn",)),
        Metric("gemini_files.upload.files", "counter", ("model",)),
    ]


def test_keys_that_the_provider_pushes_are_found(package):
    assert source_scan.xcom_keys(package) == {"file"}


def test_imports_are_found_in_functions_and_by_their_own_names(package):
    names = ["airflow.configuration", "airflow.sdk.BaseHook", "airflow.models.log.Log", "airflow.models.log.other"]

    assert source_scan.imports(package) == {name: {"hooks.one"} for name in names}


def test_private_attributes_of_others_are_found(package):
    assert source_scan.private_attributes(package) == {"_kind", "_theirs"}


def test_messages_that_consist_of_values_only_are_left_out(package):
    [message] = source_scan.messages(package)

    assert message == Message("GeminiInputError", "hooks.one", "<name> is not a file: expected 'files/...'.")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("f'{shown_text(self._uri)} is gone'", "<uri> is gone"),
        ("f'{LIMIT} bytes'", "<limit> bytes"),
        ("f'{a + b} bytes'", "… bytes"),
        ("told + ' Retry.'", "… Retry."),
        ("told", None),
    ],
)
def test_what_varies_is_a_placeholder(expression, text):
    assert source_scan.text_of(ast.parse(expression, mode="eval").body) == text
