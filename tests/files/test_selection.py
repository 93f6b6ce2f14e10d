from __future__ import annotations

import pytest

from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.selection import FileFilter

VIDEO = GeminiFile("files/a", state="ACTIVE", mime_type="video/mp4", display_name="clip one", size_bytes=100)
BARE = GeminiFile("files/b")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"state": "ACTIVE"},
        {"mime_type": "video/"},
        {"mime_type": "video/mp4"},
        {"display_name": "one"},
        {"min_bytes": 100},
        {"state": "", "mime_type": "", "display_name": ""},
        {"state": "ACTIVE", "mime_type": "video/", "display_name": "clip", "min_bytes": 1},
    ],
)
def test_file_that_meets_every_condition_is_selected(fields):
    assert FileFilter(**fields).selects(VIDEO)


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "FAILED"},
        {"mime_type": "mp4"},
        {"mime_type": "application/pdf"},
        {"display_name": "two"},
        {"min_bytes": 101},
        {"state": "ACTIVE", "display_name": "two"},
    ],
)
def test_file_that_misses_one_condition_is_not_selected(fields):
    assert not FileFilter(**fields).selects(VIDEO)


@pytest.mark.parametrize(
    "fields", [{"state": "ACTIVE"}, {"mime_type": "video/"}, {"display_name": "x"}, {"min_bytes": 1}]
)
def test_unknown_field_of_a_file_meets_no_condition(fields):
    assert FileFilter().selects(BARE)
    assert not FileFilter(**fields).selects(BARE)
