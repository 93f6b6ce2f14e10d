"""
The MIME type of a source: the given one, else the one that its content and its name show.

The tables are our own, and contain only types that the API takes. What the system's mimetypes files say differs between
workers, and libraries that detect types name many that the API refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.signatures import (
    HEAD_BYTES,
    has_pdf_header,
    invalid_utf8_at,
    is_html,
    is_pdf,
    is_text,
    text_encoding,
    type_of_binary,
)

#: Types that decide how text is read; all other text is sent as text/plain, as Google advises.
_TEXT_TYPES = {
    ".css": "text/css",
    ".csv": "text/csv",
    ".htm": "text/html",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".rtf": "text/rtf",
    ".xml": "text/xml",
}
_MEDIA_TYPES = {
    ".3g2": "video/3gpp",
    ".3gp": "video/3gpp",
    ".aac": "audio/aac",
    ".aif": "audio/aiff",
    ".aifc": "audio/aiff",
    ".aiff": "audio/aiff",
    ".avi": "video/avi",
    ".bmp": "image/bmp",
    ".flac": "audio/flac",
    ".flv": "video/x-flv",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".jpe": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".m4a": "audio/mp4",
    ".m4b": "audio/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".qt": "video/quicktime",
    ".wav": "audio/wav",
    ".wave": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".wmv": "video/wmv",
}
#: Text by its suffix; other suffixes need a look at the content.
_PLAIN_TEXT = """
    .adoc .asm .awk .bash .bat .bib .bzl .c .cc .cfg .clj .cls .cmake .cmd .conf .cpp .cs .cu .cuh .cxx .dart .diff
    .ejs .el .env .erl .ex .exs .f .f90 .fish .for .fs .geojson .go .gql .gradle .graphql .groovy .h .hcl .hh .hpp
    .hs .ics .ini .ipynb .java .jl .json5 .jsonl .jsx .kt .kts .less .lisp .log .lua .m .markdown .md .mk .ml .mm
    .ndjson .nim .nix .org .pas .patch .php .pl .pm .po .properties .proto .ps1 .py .pyi .pyx .r .rb .rs .rst .sass
    .scala .scss .sh .sol .sql .srt .sty .sv .svelte .swift .tcl .tex .text .tf .toml .tsv .tsx .txt .v .vb .vcf
    .vhd .vhdl .vim .vtt .vue .xsd .xsl .yaml .yml .zig .zsh
"""
_BY_SUFFIX = {**_MEDIA_TYPES, **_TEXT_TYPES, **dict.fromkeys(_PLAIN_TEXT.split(), "text/plain")}
_TEXT = frozenset(_TEXT_TYPES.values()) | {"text/plain"}


class _Format(NamedTuple):
    """
    A format that models do not read.

    :param plural: its name in a sentence.
    :param advice: what a user can do instead.
    """

    plural: str
    advice: str


_EXCEL = _Format("Excel files", "export it as CSV or PDF")
_OPEN_DOCUMENT = _Format("OpenDocument files", "convert it to PDF or text")
_POWERPOINT = _Format("PowerPoint files", "convert it to PDF")
_WORD = _Format("Word files", "convert it to PDF or text")
_TRANSPORT_STREAM = _Format("MPEG transport streams", "convert it to MP4")
_ARCHIVE = _Format("compressed files and archives", "unpack it first")
#: By the names that ``signatures.type_of_binary`` gives them.
_UNREADABLE = {
    "archive": _ARCHIVE,
    "asf-audio": _Format("Windows Media audio", "convert it to MP3 or FLAC"),
    "avif": _Format("AVIF images", "convert it to PNG or JPEG"),
    "email": _Format("e-mail files", "save its text and its attachments as files of their own"),
    "epub": _Format("EPUB books", "convert it to PDF or text"),
    "excel": _EXCEL,
    "gif": _Format("GIF images", "convert it to PNG, or to MP4 if it is animated"),
    "gzip": _Format("gzip-compressed files", "decompress it first"),
    "iwork": _Format("Pages, Numbers and Keynote files", "export it as PDF"),
    "matroska": _Format("Matroska files", "convert it to MP4 or WebM"),
    "office": _Format("old Microsoft Office files", "convert it to PDF or text"),
    "ogg-video": _Format("Ogg videos", "convert it to MP4 or WebM"),
    "opendocument": _OPEN_DOCUMENT,
    "powerpoint": _POWERPOINT,
    "svg": _Format("SVG images", "convert it to PNG"),
    "tiff": _Format("TIFF images", "convert it to PNG, JPEG or PDF"),
    "transport-stream": _TRANSPORT_STREAM,
    "word": _WORD,
    "zip": _Format("zip archives", "unpack it first"),
}
_UNREADABLE_SUFFIXES = {
    **dict.fromkeys((".7z", ".bz2", ".rar", ".tar", ".tbz", ".txz", ".xz", ".z", ".zst"), "archive"),
    **dict.fromkeys((".gz", ".tgz"), "gzip"),
    **dict.fromkeys((".doc", ".docm", ".docx", ".dot", ".dotx"), "word"),
    **dict.fromkeys((".xls", ".xlsb", ".xlsm", ".xlsx", ".xltx"), "excel"),
    **dict.fromkeys((".pot", ".potx", ".pps", ".ppsx", ".ppt", ".pptm", ".pptx"), "powerpoint"),
    **dict.fromkeys((".odp", ".ods", ".odt"), "opendocument"),
    **dict.fromkeys((".key", ".numbers", ".pages"), "iwork"),
    **dict.fromkeys((".m2t", ".m2ts", ".mts", ".ts"), "transport-stream"),
    **dict.fromkeys((".mka", ".mkv"), "matroska"),
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    ".avif": "avif",
    ".eml": "email",
    ".epub": "epub",
    ".gif": "gif",
    ".msg": "email",
    ".ogv": "ogg-video",
    ".svg": "svg",
    ".wma": "asf-audio",
    ".zip": "zip",
}
#: Formats that are text themselves, so that text under their suffix is not a wrong name.
_UNREADABLE_TEXT = {"email", "svg"}
#: Formats of which the content shows only the container: the suffix tells them apart.
_CONTAINERS = {
    "zip": {"word", "excel", "powerpoint", "opendocument", "epub", "iwork"},
    "office": {"word", "excel", "powerpoint", "email"},
    "gzip": {"archive"},
    "video/wmv": {"asf-audio"},
}
#: Types that share a container: if the content shows only the container, the suffix chooses among them.
_SAME_CONTAINER = {
    "video/mp4": {"audio/mp4", "video/quicktime", "video/3gpp"},
    "audio/mpeg": {"audio/aac", "audio/flac"},
    "image/heif": {"image/heic"},
}
#: Types by name that a page of HTML does not contradict.
_MAY_BE_HTML = {None, "text/html", "text/plain", "text/xml"}
_MIME_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(;[\w.-]+=[\w.+-]+)*", re.ASCII)


def mime_type_of(name: str, given: str | None = None, head: Callable[[], bytes] | None = None) -> str:
    """
    Return the MIME type to send.

    A content that is unmistakable wins over a name that does not fit it: a PDF named ``.docx`` is a PDF.

    :param name: the source's file name.
    :param given: the type that the user chose; returned as it is.
    :param head: returns the first bytes of the source: at least 8 KiB to detect its type, and as much of a text as has
        to be UTF-8; without it only the name is used.
    :raises GeminiInputError: for a type that cannot be detected, a format that models do not read, text that is not
        UTF-8, and a ``given`` that is not a MIME type.
    """
    if given is not None and given != "":
        return checked_mime_type(given)
    suffix = PurePosixPath(name).suffix.lower()
    if head is None:
        return _by_name(name, suffix)
    beginning = head()
    content = beginning[:HEAD_BYTES]
    if is_pdf(content) or _is_pdf_after_junk(suffix, content):
        return "application/pdf"
    if not is_text(content):
        return _type_of_media(name, suffix, content)
    found = _type_of_text(name, suffix, content)
    if found in _TEXT and (at := invalid_utf8_at(beginning)) is not None:
        raise _not_utf8(name, suffix, beginning[max(at - HEAD_BYTES // 2, 0) : at + HEAD_BYTES // 2])
    return found


def may_be_html(name: str) -> bool:
    """Return whether a file of this name can contain HTML; False for ``.pdf``, ``.mp4``, ``.csv``, ``.docx``..."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix not in _UNREADABLE_SUFFIXES and _BY_SUFFIX.get(suffix) in _MAY_BE_HTML


def is_media(name: str) -> bool:
    """Return whether a file of this name is a PDF, an image, audio or a video, none of which is ever text."""
    return PurePosixPath(name).suffix.lower() in _MEDIA_TYPES


def checked_mime_type(given: object) -> str:
    """
    Return a MIME type that a user has chosen.

    :raises GeminiInputError: if it is none.
    """
    if not isinstance(given, str) or not _MIME_TYPE.fullmatch(given):
        raise GeminiInputError(
            f"mime_type is a type like 'application/pdf', without spaces or control characters; got {given!r}."
        )
    return given


def _by_name(name: str, suffix: str) -> str:
    if suffix in _UNREADABLE_SUFFIXES:
        raise _unreadable(name, _UNREADABLE_SUFFIXES[suffix])
    if suffix not in _BY_SUFFIX:
        raise _unknown(name)
    return _BY_SUFFIX[suffix]


def _is_pdf_after_junk(suffix: str, content: bytes) -> bool:
    """Return whether content is a PDF although something stands before its header."""
    if not has_pdf_header(content) or type_of_binary(content, bare_audio=False) is not None:
        # An archive may hold a PDF as it is.
        return False
    if _BY_SUFFIX.get(suffix) in _TEXT:
        return False
    # A text may mention the header, but not under the name of another format.
    return suffix in _BY_SUFFIX or suffix in _UNREADABLE_SUFFIXES or not is_text(content)


def _type_of_text(name: str, suffix: str, content: bytes) -> str:
    """Return the type of content that is UTF-8 text."""
    by_name = _BY_SUFFIX.get(suffix)
    if by_name in _TEXT:
        return str(by_name)
    if is_html(content):
        return "text/html"
    if content.startswith(b"{\\rtf"):
        return "text/rtf"
    if _UNREADABLE_SUFFIXES.get(suffix) in _UNREADABLE_TEXT:
        raise _unreadable(name, _UNREADABLE_SUFFIXES[suffix])
    # Text alone proves nothing against a media suffix.
    return by_name or "text/plain"


def _type_of_media(name: str, suffix: str, content: bytes) -> str:
    """Return the type of content that is not UTF-8 text."""
    by_name, unreadable = _BY_SUFFIX.get(suffix), _UNREADABLE_SUFFIXES.get(suffix)
    found = type_of_binary(content, bare_audio=by_name is None or by_name.startswith("audio/"))
    if unreadable and (found is None or unreadable in _CONTAINERS.get(found, ())):
        raise _unreadable(name, unreadable)
    if found is not None and found in _UNREADABLE:
        raise _unreadable(name, found)
    if found:
        return by_name if by_name and by_name in _SAME_CONTAINER.get(found, ()) else found
    if by_name and by_name not in _TEXT:
        return by_name
    raise _not_utf8(name, suffix, content)


def _not_utf8(name: str, suffix: str, content: bytes) -> GeminiInputError:
    """Return the error of content that is neither a known format nor UTF-8."""
    if encoding := text_encoding(content):
        return GeminiInputError(
            f"{name!r} looks like text in {encoding}, and the API reads UTF-8: convert it to UTF-8, or set mime_type "
            "to upload it anyway."
        )
    if suffix in _BY_SUFFIX:
        return GeminiInputError(
            f"{name!r} is not UTF-8 text, although its name says so: convert it to UTF-8, or set mime_type to "
            "upload it anyway."
        )
    return _unknown(name)


def _unreadable(name: str, kind: str) -> GeminiInputError:
    plural, advice = _UNREADABLE[kind]
    return GeminiInputError(f"{name!r}: models do not read {plural}; {advice}, or set mime_type to upload it anyway.")


def _unknown(name: str) -> GeminiInputError:
    return GeminiInputError(
        f"The MIME type of {name!r} cannot be detected, neither from its name nor from its content; set mime_type."
    )
