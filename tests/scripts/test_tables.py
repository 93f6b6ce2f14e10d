"""The tables of the pages are written from what decides what they say."""

from __future__ import annotations

from datetime import timedelta

import pytest
import tables
from pydantic import BaseModel, Field


class Settings(BaseModel):
    """Stands in for the models of the package."""

    key: str = Field(description="The key.")
    version: str = Field("v1beta", description="Either `v1` | `v1beta`.")
    timeout: float = Field(600.0, description="Seconds.")
    dry_run: bool = Field(False, description="Delete nothing.")
    max_age: timedelta | None = Field(timedelta(hours=24), description="Age.")
    keep: tuple[str, ...] = Field((), description="Names.")


TABLE = """\
| field | default | meaning |
|---|---|---|
| `key` | required | The key. |
| `version` | `v1beta` | Either `v1` \\| `v1beta`. |
| `timeout` | `600` | Seconds. |
| `dry_run` | `false` | Delete nothing. |
| `max_age` | 24 hours | Age. |
| `keep` | empty | Names. |
"""
TABLES = {"settings": lambda: TABLE}


def test_table_lists_field_default_and_description():
    assert tables.table(Settings) == TABLE


def test_rewrite_fills_marked_blocks_and_keeps_the_rest():
    page = "# Title\n\n<!-- table: settings -->\nold\n<!-- /table -->\n\nend\n"

    rewritten = tables.rewrite(page, TABLES)

    assert rewritten == f"# Title\n\n<!-- table: settings -->\n{TABLE}<!-- /table -->\n\nend\n"
    assert tables.rewrite(rewritten, TABLES) == rewritten


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<!-- table: other -->\n<!-- /table -->", "no table 'other'"),
        ("<!-- table: settings -->\nold\n", "not closed"),
        ("<!-- table: settings -->\n<!-- table: settings -->\n<!-- /table -->", "not closed"),
    ],
)
def test_rewrite_refuses_wrong_markers(page, message):
    with pytest.raises(ValueError, match=message):
        tables.rewrite(page, TABLES)


def test_table_refuses_a_field_without_description():
    class Bare(BaseModel):
        key: str = ""

    with pytest.raises(ValueError, match=r"Bare\.key has no description"):
        tables.table(Bare)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "`None`"),
        ((), "empty"),
        (0, "`0`"),
        (21474836480, "`21474836480`"),
        (0.9, "`0.9`"),
        (True, "`true`"),
        (timedelta(), "0 seconds"),
        (timedelta(minutes=10), "10 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(days=2), "2 days"),
        (timedelta(seconds=90), "90 seconds"),
    ],
)
def test_default_is_shown_in_readable_units(value, text):
    assert tables.default_text(value) == text


def test_check_reports_outdated_pages_and_changes_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "docs").mkdir()
    page = tmp_path / "README.md"
    page.write_text("<!-- table: settings -->\n<!-- /table -->\n")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "TABLES", TABLES)

    assert tables.main(["--check"]) == 1
    assert "README.md" in capsys.readouterr().err
    assert "The key." not in page.read_text()
    assert tables.main([]) == 0
    assert "The key." in page.read_text()
    assert tables.main(["--check"]) == 0
