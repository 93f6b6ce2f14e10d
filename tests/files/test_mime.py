from __future__ import annotations

import mimetypes

import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files import mime
from airflow_provider_gemini_files.files.mime import may_be_html, mime_type_of

PDF = b"%PDF-1.7\n%\xe2\xe3"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(50)
M4A = b"\x00\x00\x00\x18ftypM4A " + bytes(50)
MP3 = b"\xff\xfb\x90\x64" + bytes(500)
AAC = b"\xff\xf1\x50\x80" + bytes(500)
ZIP = b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(16)
GZIP = b"\x1f\x8b\x08\0" + bytes(50)
OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(50)
TRANSPORT_STREAM = (b"\x47" + bytes(187)) * 4
CAMERA_STREAM = (bytes(4) + b"\x47" + bytes(187)) * 4
ASF = bytes.fromhex("3026b2758e66cf11") + bytes(50)
PAGE = b"\n<!DOCTYPE html><title>Log in</title>"
#: Types that Google lists for files, and JSON and BMP, which it lists for URLs.
TAKEN = {
    "video/mp4", "video/mpeg", "video/quicktime", "video/avi", "video/x-flv", "video/webm", "video/wmv", "video/3gpp",
    "image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "image/bmp",
    "audio/wav", "audio/mpeg", "audio/aiff", "audio/aac", "audio/ogg", "audio/flac", "audio/mp4",
    "application/pdf", "application/json",
}  # fmt: skip


def detected(name: str, content: bytes) -> str:
    return mime_type_of(name, head=lambda: content)


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("a.mp4", "video/mp4"),
        ("a.m4v", "video/mp4"),
        ("a.flv", "video/x-flv"),
        ("a.wmv", "video/wmv"),
        ("a.avi", "video/avi"),
        ("a.mov", "video/quicktime"),
        ("a.3gp", "video/3gpp"),
        ("a.3g2", "video/3gpp"),
        ("a.m4a", "audio/mp4"),
        ("a.wav", "audio/wav"),
        ("a.flac", "audio/flac"),
        ("a.webp", "image/webp"),
        ("Tür.jpg", "image/jpeg"),
        ("report.v2.pdf", "application/pdf"),
        ("A.PDF", "application/pdf"),
        ("note.txt", "text/plain"),
        ("page.html", "text/html"),
        ("table.csv", "text/csv"),
        ("data.json", "application/json"),
        ("read.md", "text/plain"),
        ("app.log", "text/plain"),
        ("x.py", "text/plain"),
        ("kernel.cu", "text/plain"),
        ("main.rs", "text/plain"),
        ("thesis.tex", "text/plain"),
    ],
)
def test_suffix_decides_the_type(name, mime_type):
    assert mime_type_of(name) == mime_type


def test_system_mimetypes_files_change_nothing(monkeypatch):
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_: pytest.fail("the system's types were consulted"))

    assert mime_type_of("kernel.cu", head=lambda: b"__global__ void f() {}") == "text/plain"


def test_every_type_by_suffix_is_one_that_the_api_takes():
    assert {kind for kind in mime._BY_SUFFIX.values() if not kind.startswith("text/")} <= TAKEN


def test_given_type_is_returned_as_it_is():
    assert mime_type_of("a.docx", "application/x-special", lambda: ZIP) == "application/x-special"
    assert mime_type_of("a.txt", "text/plain;charset=utf-8") == "text/plain;charset=utf-8"


@pytest.mark.parametrize("given", ["pdf", "text/plain\n", " text/plain", "text/ plain", "text/plain\0", "a/b/c", 5])
def test_given_type_of_another_form_is_refused(given):
    with pytest.raises(GeminiInputError, match="without spaces or control characters; got"):
        mime_type_of("a.pdf", given)


@pytest.mark.parametrize("name", ["data", "a.unknownending", ".hidden"])
def test_unknown_suffix_without_content_is_an_error(name):
    with pytest.raises(GeminiInputError, match="set mime_type"):
        mime_type_of(name)


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (PDF, "application/pdf"),
        (b"%PDF-1.4 x", "application/pdf"),
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(50), "image/jpeg"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "image/heic"),
        (b"BM" + bytes(8) + b"\x36\0\0\0\x28\0\0\0" + bytes(40), "image/bmp"),
        (MP4, "video/mp4"),
        (b"\0\0\0\x14ftypqt  " + bytes(50), "video/quicktime"),
        (b"\0\0\0\x08wide\0\0\0\0mdat" + bytes(50), "video/quicktime"),
        (b"\0\0\0\x18ftyp3gp4" + bytes(50), "video/3gpp"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm" + bytes(50), "video/webm"),
        (b"RIFF\x24\0\0\0AVI LIST", "video/avi"),
        (b"FLV\x01\x05\0\0\0\x09", "video/x-flv"),
        (ASF, "video/wmv"),
        (b"\0\0\x01\xba\x44" + bytes(50), "video/mpeg"),
        (b"fLaC" + bytes(50), "audio/flac"),
        (M4A, "audio/mp4"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"FORM\0\0\0\x24AIFFCOMM", "audio/aiff"),
        (b"OggS\0\x02" + bytes(22) + b"\x01vorbis", "audio/ogg"),
        (b"ID3\x04\0\0\0\0\0\0", "audio/mpeg"),
        (MP3, "audio/mpeg"),
        (AAC, "audio/aac"),
        ("Grüße".encode(), "text/plain"),
        ("Grüße".encode()[:3], "text/plain"),
        ("\ufeffGrüße".encode(), "text/plain"),
        (b'{"a": 1}', "text/plain"),
        (b"BM is how this text begins", "text/plain"),
        (PAGE, "text/html"),
        (rb"{\rtf1 text}", "text/rtf"),
    ],
)
def test_content_decides_the_type_of_an_unknown_suffix(content, mime_type):
    assert detected("data", content) == mime_type


@pytest.mark.parametrize(
    ("name", "content", "mime_type"),
    [
        ("report.docx", PDF, "application/pdf"),
        ("report.txt", PDF, "application/pdf"),
        ("scan.pdf", PNG, "image/png"),
        ("clip.mp4", M4A, "audio/mp4"),
        ("letter.doc", b"plain words", "text/plain"),
        ("table.xls", PAGE, "text/html"),
        ("archive.gz", b"plain words", "text/plain"),
        ("report.pdf", PAGE, "text/html"),
        ("report.docx", b"\xff\xfejunk\r\n" + PDF, "application/pdf"),
        ("report.docx", b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.4\n1 0 obj", "application/pdf"),
        ("report.mp4", bytes(1000) + PDF, "application/pdf"),
        ("server.key", b"-----BEGIN PRIVATE KEY-----\n", "text/plain"),
        ("report.pages", PDF, "application/pdf"),
    ],
)
def test_unmistakable_content_wins_over_a_wrong_name(name, content, mime_type):
    assert detected(name, content) == mime_type


@pytest.mark.parametrize(
    ("name", "content", "mime_type"),
    [
        ("a.m4a", MP4, "audio/mp4"),
        ("a.mov", MP4, "video/quicktime"),
        ("a.3gp", MP4, "video/3gpp"),
        ("a.m4v", MP4, "video/mp4"),
        ("a.aac", b"ID3\x04\0\0\0\0\0\0", "audio/aac"),
        ("a.mp4", bytes(100), "video/mp4"),
        ("a.mp4", MP3, "video/mp4"),
        ("a.pdf", b"0123456789", "application/pdf"),
        ("page.md", b"<html> is how this page begins", "text/plain"),
    ],
)
def test_name_decides_if_the_content_fits_it(name, content, mime_type):
    assert detected(name, content) == mime_type


def test_pdf_header_after_junk_is_found_without_a_name():
    assert detected("data", bytes(500) + PDF) == "application/pdf"


@pytest.mark.parametrize(
    ("name", "content", "mime_type"),
    [
        ("notes.md", b"A PDF begins with %PDF-1.7", "text/plain"),
        ("notes", b"A PDF begins with %PDF-1.7", "text/plain"),
        ("data.mp4", bytes(1020) + PDF, "video/mp4"),
    ],
    ids=["text", "text without suffix", "header too late"],
)
def test_mention_of_a_pdf_header_is_no_pdf(name, content, mime_type):
    assert detected(name, content) == mime_type


@pytest.mark.parametrize("name", ["a.zip", "a.docx"])
def test_archive_with_a_pdf_in_it_is_no_pdf(name):
    with pytest.raises(GeminiInputError, match="models do not read"):
        detected(name, ZIP + b"a.pdf" + PDF)


@pytest.mark.parametrize("name", ["module.mts", "module.ts", "main.unknownending"])
def test_program_text_is_plain_text(name):
    assert detected(name, b"export const one = 1;\n") == "text/plain"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.docx", ZIP, "models do not read Word files; convert it to PDF or text, or set mime_type to upload it"),
        ("data", ZIP + b"word/document.xml", "models do not read Word files"),
        ("a.doc", OLE, "models do not read Word files"),
        ("data", OLE, "models do not read old Microsoft Office files"),
        ("a.xlsx", ZIP, "models do not read Excel files; export it as CSV or PDF"),
        ("a.pptx", ZIP, "models do not read PowerPoint files"),
        ("a.odt", ZIP, "models do not read OpenDocument files"),
        ("a.pages", ZIP, "models do not read Pages, Numbers and Keynote files; export it as PDF, or set mime_type"),
        ("a.numbers", ZIP, "models do not read Pages, Numbers and Keynote files"),
        ("a.key", ZIP + b"Data/photo.jpg", "models do not read Pages, Numbers and Keynote files"),
        ("data", ZIP + b"Index/Document.iwa", "models do not read Pages, Numbers and Keynote files"),
        ("a.epub", ZIP + b"mimetypeapplication/epub+zip", "models do not read EPUB books"),
        ("a.eml", b"From: a@example.com\r\n\r\nHello", "models do not read e-mail files; save its text"),
        ("a.svg", b"<svg></svg>", "models do not read SVG images; convert it to PNG"),
        ("a.zip", ZIP, "models do not read zip archives; unpack it first"),
        ("a.csv", GZIP, "models do not read gzip-compressed files; decompress it first"),
        ("a.csv.gz", GZIP, "models do not read gzip-compressed files"),
        ("a.tar", bytes(257) + b"ustar\0" + bytes(200), "models do not read compressed files and archives"),
        ("a.mts", CAMERA_STREAM, "models do not read MPEG transport streams; convert it to MP4"),
        ("a.ts", TRANSPORT_STREAM, "models do not read MPEG transport streams"),
        ("a.mp4", TRANSPORT_STREAM, "models do not read MPEG transport streams"),
        ("a.mkv", b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska" + bytes(50), "models do not read Matroska files"),
        ("a.wma", ASF, "models do not read Windows Media audio"),
        ("a.ogg", b"OggS\0\x02" + bytes(22) + b"\x80theora", "models do not read Ogg videos"),
        ("a.gif", b"GIF89a\x01\0\x01\0", "models do not read GIF images"),
        ("a.tif", b"II*\0\x08\0\0\0", "models do not read TIFF images"),
        ("a.avif", b"\0\0\0\x1cftypavif" + bytes(50), "models do not read AVIF images"),
        ("a.avif", b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(50), "models do not read AVIF images"),
        ("a.heif", b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(50), "models do not read AVIF images"),
        ("a.svs", b"II+\0\x08\0\0\0" + bytes(50), "models do not read TIFF images"),
    ],
)
def test_format_that_models_do_not_read_is_refused(name, content, message):
    with pytest.raises(GeminiInputError, match=message):
        detected(name, content)


@pytest.mark.parametrize(
    "name", ["a.docx", "a.xlsx", "a.pptx", "a.epub", "a.eml", "a.zip", "a.gz", "a.mts", "a.mkv", "a.pages"]
)
def test_format_that_models_do_not_read_is_refused_by_its_name_alone(name):
    with pytest.raises(GeminiInputError, match=f"{name}': models do not read"):
        mime_type_of(name)


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json", "data"])
@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("Grüße".encode("utf-16"), "UTF-16"),
        ("a,b\r\n1,2\r\n".encode("utf-16-le"), "UTF-16"),
        ("a,b\r\n1,2\r\n".encode("utf-16-be"), "UTF-16"),
        ("Grüße".encode("utf-32"), "UTF-32"),
        ("Grüße aus München".encode("latin-1"), "Latin-1"),
        ("“Grüße” für 5 €".encode("cp1252"), "Windows-1252"),
    ],
)
def test_text_that_is_not_utf_8_is_refused_with_its_encoding(name, content, encoding):
    with pytest.raises(GeminiInputError, match=f"looks like text in {encoding}, .*convert it to UTF-8"):
        detected(name, content)


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "data", "a.docx"])
@pytest.mark.parametrize("at", [8 * 1024, 100_000])
def test_text_that_is_not_utf_8_only_later_is_refused_with_its_encoding(name, at):
    content = (b"plain words\n" * at)[:at] + "Grüße aus München".encode("latin-1")

    with pytest.raises(GeminiInputError, match=r"looks like text in Latin-1, .*convert it to UTF-8"):
        detected(name, content)


def test_text_that_turns_into_binary_data_is_refused():
    content = b"#!/bin/sh\n" * 1000 + b"\x80\x81\0" * 5000

    with pytest.raises(GeminiInputError, match="is not UTF-8 text, although its name says so"):
        detected("install.sh", content)
    with pytest.raises(GeminiInputError, match="neither from its name nor from its content"):
        detected("install", content)


@pytest.mark.parametrize("rest", ["größer".encode(), "größer".encode()[:3], b"a\0b"], ids=["utf-8", "cut", "nul"])
def test_long_utf_8_text_is_text(rest):
    assert detected("a.log", b"x" * 8191 + rest) == "text/plain"


def test_later_bytes_of_a_media_file_do_not_matter():
    assert detected("a.mp4", b"x" * 8192 + b"\xff") == "video/mp4"


@pytest.mark.parametrize("content", [bytes(100), b"\x80\x81" * 50])
def test_content_of_an_unknown_format_is_an_error(content):
    with pytest.raises(GeminiInputError, match="neither from its name nor from its content; set mime_type"):
        detected("data", content)
    with pytest.raises(GeminiInputError, match="is not UTF-8 text, although its name says so"):
        detected("data.txt", content)


@pytest.mark.parametrize(("name", "expected"), [
    ("a.html", True), ("page", True), ("a.php", True), ("a.txt", True), ("a.unknownending", True),
    ("a.pdf", False), ("a.mp4", False), ("a.csv", False), ("a.json", False), ("a.docx", False), ("a.zip", False),
])  # fmt: skip
def test_names_that_html_contradicts(name, expected):
    assert may_be_html(name) is expected
