"""Rows in parts: each is small, and together they are complete, whichever process sends them."""

from __future__ import annotations

import json

import pytest

from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.ui import parts
from airflow_provider_gemini_files.ui.files import FileListing
from airflow_provider_gemini_files.ui.owners import OwnerRuns
from airflow_provider_gemini_files.ui.parts import Part, Rows

MAX_RESPONSE = 300_000


def file(number: int, label: str) -> GeminiFile:
    """Return a file of a mapped task, as the service has it."""
    run_id = f"scheduled__2026-11-{number % 28:02}T03:00:00+00:00"
    owner = Owner("invoice_extraction", run_id, "upload", number % 40, "d")
    return GeminiFile(
        name=f"files/af{number:024x}",
        mime_type="application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        size_bytes=1 << 30,
        state="FAILED",
        create_time="2026-11-30T12:00:00Z",
        expiration_time="2026-12-02T12:00:00Z",
        display_name=display_name_for(label, owner),
        source="UPLOADED",
        owner=owner,
        error={"message": "The file could not be processed."},
    )


def all_parts(rows: Rows) -> list[Part]:
    found = [rows.part()]
    while (after := found[-1].next) is not None:
        found.append(rows.part(after))
    return found


def names(found: list[Part]) -> list[str]:
    return [row[1] for part in found for row in json.loads(part.rows)]


@pytest.mark.parametrize("label", ["product-00001.mp4", "\N{CJK UNIFIED IDEOGRAPH-88FD}" * 300])
def test_5000_files_are_sent_in_small_parts(label: str):
    files = tuple(file(number, label) for number in range(5000))
    found = all_parts(FileListing(0.0, "gemini_default", files, 20 << 30, OwnerRuns({}, "d")).rows)

    assert max(len(part.rows) + len(part.owners) for part in found) < MAX_RESPONSE
    sent = [f"files/{row[2]}" for part in found for row in json.loads(part.rows)]
    assert sorted(sent) == [one.name for one in files]
    assert len(found) < 30


def test_each_part_has_the_owners_of_its_rows_once(monkeypatch):
    monkeypatch.setattr(parts, "MAX_BYTES", 40)
    owners = [["dag"], ["dag"], None, ["other"]]
    found = all_parts(Rows((f"f{number}", owner, [f"f{number}"]) for number, owner in enumerate(owners)))

    assert names(found) == ["f0", "f1", "f2", "f3"]
    for part in found:
        listed = json.loads(part.owners)
        for position, name in json.loads(part.rows):
            assert (None if position is None else listed[position]) == owners[int(name[1:])]
        assert len(listed) == len({json.dumps(owner) for owner in listed})


def test_row_that_is_larger_than_a_part_is_sent_alone(monkeypatch):
    monkeypatch.setattr(parts, "MAX_BYTES", 10)
    found = all_parts(Rows((name, None, [name]) for name in ("a" * 50, "b" * 50)))

    assert [len(json.loads(part.rows)) for part in found] == [1, 1]


def test_part_of_another_process_continues_after_a_file_that_it_does_not_have():
    of_one = Rows((name, None, [name]) for name in ("a", "b", "c"))
    of_another = Rows((name, None, [name]) for name in ("a", "c", "d"))

    assert names([of_one.part()]) == ["a", "b", "c"]
    assert names([of_another.part("b")]) == ["c", "d"]


def test_text_that_no_encoding_can_hold_is_sent():
    [part] = all_parts(Rows([("a", ["\ud800"], ["\ud800\N{CJK UNIFIED IDEOGRAPH-88FD}"])]))

    assert json.loads(part.rows) == [[0, "\ud800\N{CJK UNIFIED IDEOGRAPH-88FD}"]]
    assert json.loads(part.owners) == [["\ud800"]]
