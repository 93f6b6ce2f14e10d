from __future__ import annotations

import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.mime import mime_type_of


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("a.mp4", "video/mp4"),
        ("report.v2.pdf", "application/pdf"),
        ("A.PDF", "application/pdf"),
        ("note.txt", "text/plain"),
        ("page.html", "text/html"),
        ("table.csv", "text/csv"),
        ("read.md", "text/plain"),
        ("app.log", "text/plain"),
        ("x.py", "text/plain"),
        ("a.flac", "audio/flac"),
        ("a.webp", "image/webp"),
        ("Tür.jpg", "image/jpeg"),
    ],
)
def test_the_name_tells(name, mime_type):
    assert mime_type_of(name) == mime_type


def test_what_the_user_says_is_taken():
    assert mime_type_of("a.mp4", "application/x-special") == "application/x-special"


@pytest.mark.parametrize("name", ["data", "a.unknownending", ".hidden"])
def test_a_name_that_does_not_tell_is_an_error(name):
    with pytest.raises(GeminiInputError, match="pass mime_type"):
        mime_type_of(name)


def test_a_bare_extension_is_no_type():
    with pytest.raises(GeminiInputError, match="application/pdf"):
        mime_type_of("a.pdf", "pdf")
