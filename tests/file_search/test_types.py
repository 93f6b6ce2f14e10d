"""The types of documents."""

from __future__ import annotations

import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.types import document_type_of

ZIP = b"PK\x03\x04" + bytes(26)
OLD = bytes.fromhex("d0cf11e0a1b11ae1")


def not_read() -> bytes:
    raise AssertionError("the source was read")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "plan.docx",
            ZIP + b"word/document.xml",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        ("PLAN.DOCX", ZIP, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("table.xlsx", ZIP, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("slides.pptx", ZIP, "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        ("old.doc", OLD, "application/msword"),
        ("older.doc", b"\x31\xbe\0\0\0\xab", "application/msword"),
        ("all.zip", ZIP + b"mimetypeapplication/epub+zip", "application/zip"),
    ],
)
def test_office_files_and_archives_are_documents_though_models_do_not_read_them(name, content, expected):
    assert document_type_of(name, None, lambda: content) == expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("scan.docx", b"%PDF-1.7 ...", "application/pdf"),
        ("export.xls", b"<html><table>", "text/html"),
        ("export.xls", b"name,year\n", "text/plain"),
        ("letter.doc", b"{\\rtf1 Dear", "text/rtf"),
        ("slide.ppt", b"\x89PNG\r\n\x1a\n" + bytes(20), "image/png"),
    ],
)
def test_content_wins_over_the_name_of_an_office_file(name, content, expected):
    assert document_type_of(name, None, lambda: content) == expected


def test_video_under_the_name_of_an_archive_is_refused():
    with pytest.raises(GeminiInputError, match="neither audio nor video"):
        document_type_of("talk.zip", None, lambda: b"\x00\x00\x00\x18ftypmp42" + bytes(100))


def test_type_is_detected_from_the_content():
    assert document_type_of("unknown", None, lambda: b"%PDF-1.7 ...") == "application/pdf"
    assert document_type_of("notes.md", None, lambda: b"# Notes") == "text/plain"


def test_given_type_is_taken_without_reading_the_source():
    assert document_type_of("plan.docx", "text/markdown", not_read) == "text/markdown"


@pytest.mark.parametrize("given", ["audio/mpeg", "video/mp4", "Audio/MPEG"])
def test_audio_and_video_are_refused_with_the_reason(given):
    with pytest.raises(GeminiInputError, match=r"neither audio nor video\. Add a transcript instead"):
        document_type_of("talk", given, not_read)


def test_video_is_refused_by_its_content():
    with pytest.raises(GeminiInputError, match="'talk' is video/mp4"):
        document_type_of("talk", None, lambda: b"\x00\x00\x00\x18ftypmp42" + bytes(100))


@pytest.mark.parametrize("given", ["pdf", "text/plain\n", "a b/c"])
def test_given_type_that_is_no_mime_type_is_refused(given):
    with pytest.raises(GeminiInputError, match="mime_type is a type like"):
        document_type_of("a.txt", given, lambda: b"text")
