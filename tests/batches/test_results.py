"""The lines of result files, joined with the requests by key."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest

from airflow_provider_gemini_files.batches.requests import BatchRequests, Words, from_files, from_list
from airflow_provider_gemini_files.batches.results import Results
from airflow_provider_gemini_files.batches.rows import RowKind
from airflow_provider_gemini_files.content.schema import Schema

MIB = 1024**2


def line(key: Any, text: str = "Yes.") -> bytes:
    candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
    return json.dumps({"response": {"candidates": [candidate]}, "key": key}).encode() + b"\n"


def results(*files: bytes) -> Results:
    """Return the results of some files."""
    found = Results()
    for content in files:
        found.add(io.BytesIO(content))
    return found


def requests(*keys: str) -> BatchRequests:
    return BatchRequests(from_list([{"key": key} for key in keys]), Words(prompt="x"))


def values(found: Results, *keys: str) -> list[tuple[str, Any]]:
    return [(row.key, row.record["value"]) for row in found.rows(requests(*keys))]


def test_rows_come_in_the_order_of_the_requests():
    found = results(line("c", "3") + line("a", "1") + line("b", "2"))

    assert values(found, "a", "b", "c") == [("a", "1"), ("b", "2"), ("c", "3")]
    assert found.odd_lines == 0


def test_rows_can_be_read_again():
    found = results(line("a", "1") + line("b", "2"))

    assert values(found, "b", "a") == values(found, "b", "a") == [("b", "2"), ("a", "1")]


def test_last_line_needs_no_end():
    assert values(results(line("a", "1") + line("b", "2").rstrip()), "b") == [("b", "2")]


def test_first_line_of_a_key_counts_within_a_file():
    found = results(line("a", "first") + line("a", "second"))

    assert values(found, "a") == [("a", "first")]
    assert found.odd_lines == 1


def test_line_of_a_later_file_replaces_an_earlier_one():
    found = results(line("a", "old") + line("b", "old"), line("a", "new"))

    assert values(found, "a", "b") == [("a", "new"), ("b", "old")]
    assert found.odd_lines == 0


def test_blank_lines_are_no_lines():
    found = results(b"\n  \r\n" + line("a", "1") + b"\n")

    assert values(found, "a") == [("a", "1")]
    assert found.odd_lines == 0


def test_lines_that_are_no_result_are_counted_and_left_out():
    odd = [b"{", b"5", b"null", b'["a"]', b"{}", b'{"key": 5.0}', b'{"key": true}', b'{"key": null}', b'"\xff"',
           b"[" * 100_000]  # fmt: skip

    found = results(b"\n".join([*odd, line("a", "1")]))

    assert values(found, "a") == [("a", "1")]
    assert found.odd_lines == len(odd)


def test_bytes_that_are_no_text_do_not_lose_a_result():
    found = results(line("a", "caf?").replace(b"caf?", b"caf\xe9") + b'{"key": "\xff", "response": {}}\n')

    assert values(found, "a") == [("a", "caf\ufffd")]
    assert found.odd_lines == 0


@pytest.mark.parametrize("key", [0, "0"])
def test_key_that_comes_back_as_a_number_is_joined(key):
    found = results(line(key, "1") + line(-1, "2"))

    assert values(found, "0", "-1") == [("0", "1"), ("-1", "2")]


def test_byte_order_mark_and_windows_line_ends_are_accepted():
    found = results(b"\xef\xbb\xbf" + (line("a", "1") + line("b", "2")).replace(b"\n", b"\r\n"))

    assert values(found, "a", "b") == [("a", "1"), ("b", "2")]
    assert found.odd_lines == 0


@pytest.mark.parametrize(
    "response",
    [b"[" * 100_000 + b"]" * 100_000, b'{"a": ' + b"9" * 6000 + b"}"],
    ids=["nested too deeply", "number too long"],
)
def test_line_that_cannot_be_read_costs_its_own_row_alone(response):
    found = results(b'{"key": "a", "response": ' + response + b"}\n" + line("b", "2"))

    assert [(row.key, row.kind) for row in found.rows(requests("a", "b"))] == [
        ("a", RowKind.MISSING), ("b", RowKind.SUCCESS),
    ]  # fmt: skip
    assert found.odd_lines == 1


def test_row_has_the_key_of_the_request_and_the_answer_under_the_sent_one():
    asked = BatchRequests(from_files(["files/a", "files/b"], {"files/a": "a.pdf"}.get), Words(prompt="x"))
    found = results(line("#1", "2") + line("#0", "1") + line("a.pdf", "another"))

    assert [(row.key, row.record["value"], row.record["files"]) for row in found.rows(asked)] == [
        ("a.pdf", "1", ["files/a"]), ("1", "2", ["files/b"]),
    ]  # fmt: skip


def test_key_of_the_connection_is_in_no_row():
    refused = b'{"key": "a", "error": {"code": 403, "message": "key KEY is suspended"}}\n'

    for asked in (requests("a"), None):
        [row] = results(refused).rows(asked, secrets=["KEY"])
        assert row.record["error"]["message"] == "key *** is suspended"


def test_request_without_a_line_is_missing():
    [row] = results(line("b")).rows(requests("a"))

    assert (row.key, row.kind) == ("a", RowKind.MISSING)


def test_line_without_a_request_is_left_out():
    assert values(results(line("x") + line("a", "1")), "a") == [("a", "1")]


def test_keys_of_any_script_are_joined():
    assert values(results(line("größe ☃.pdf", "1")), "größe ☃.pdf") == [("größe ☃.pdf", "1")]


def test_rows_come_in_the_order_of_the_results_if_the_requests_are_not_known():
    found = results(line("c", "3") + line("a", "1"), line("b", "2") + line("c", "new"))

    rows = list(found.rows(None))

    assert [(row.key, row.record["value"], row.record["files"]) for row in rows] == [
        ("c", "new", []), ("a", "1", []), ("b", "2", []),
    ]  # fmt: skip


def test_schema_holds_for_requests_that_are_not_known():
    [row] = results(line("a", "[1]")).rows(None, Schema.of({"type": "array"}))

    assert row.record["value"] == [1]


def test_no_results_have_no_rows():
    assert list(results().rows(None)) == []
    assert results(b"").get("a") is None


def test_results_stay_in_their_file(tmp_path):
    path = tmp_path / "results.jsonl"
    with path.open("wb") as file:
        for number in range(2000):
            file.write(line(str(number), "x" * 10_000))
    found = Results()

    with path.open("rb") as file:
        tracemalloc.start()
        found.add(file)
        count = sum(row.kind is RowKind.SUCCESS for row in found.rows(None))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert count == 2000
    assert path.stat().st_size > 19 * MIB > 10 * peak
