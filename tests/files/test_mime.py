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


@pytest.mark.parametrize(
    ("head", "mime_type"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(50), "image/jpeg"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(50), "video/mp4"),
        (b"fLaC" + bytes(50), "audio/flac"),
        ("Grüße".encode(), "text/plain"),
        ("Grüße".encode()[:3], "text/plain"),
        (b'{"a": 1}', "text/plain"),
        (b"BM is how this text begins", "text/plain"),
    ],
)
def test_the_content_tells_where_the_name_does_not(head, mime_type):
    assert mime_type_of("data", head=lambda: head) == mime_type


def test_the_content_is_not_read_where_the_name_tells():
    def head() -> bytes:
        raise AssertionError("read")

    assert mime_type_of("a.pdf", head=head) == "application/pdf"


@pytest.mark.parametrize("head", [bytes(100), b"\x80\x81" * 50, b"PK\x03\x04" + bytes(50)])
def test_content_that_does_not_tell_is_an_error(head):
    with pytest.raises(GeminiInputError, match="neither from its name nor from its content; pass mime_type"):
        mime_type_of("data", head=lambda: head)


def test_a_bare_extension_is_no_type():
    with pytest.raises(GeminiInputError, match="application/pdf"):
        mime_type_of("a.pdf", "pdf")
