"""The MIME type of a source: what the user says, else its name, else its content, else a clear error."""

from __future__ import annotations

import codecs
import mimetypes
from collections.abc import Callable
from pathlib import PurePosixPath

from airflow_provider_gemini_files.exceptions import GeminiInputError

#: What ``mimetypes`` does not know on every system, or names otherwise than the API does.
_BY_SUFFIX = {
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".m4a": "audio/mp4",
    ".mkv": "video/x-matroska",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
    ".webp": "image/webp",
}
#: Text under other names; the API wants ``text/plain`` for text formats it does not know.
_TEXT_SUFFIXES = {
    ".conf", ".cfg", ".ini", ".json5", ".log", ".markdown", ".md", ".rst", ".sql", ".toml", ".tsv", ".yaml", ".yml",
}  # fmt: skip
_KNOWN_TEXT = {
    "text/css", "text/csv", "text/html", "text/javascript", "text/plain", "text/rtf", "text/xml",
}  # fmt: skip


#: What content is taken for only where the library is at least so sure: two bytes that fit are not.
_SURE = 0.3
#: What content is taken for at all. A zip could be of many types, and the API takes none of them.
_TOLD_BY_CONTENT = ("application/pdf", "audio/", "image/", "text/", "video/")


def mime_type_of(name: str, given: str | None = None, head: Callable[[], bytes] | None = None) -> str:
    """
    Return the MIME type to send.

    :param name: the source's file name.
    :param given: what the user says; taken as it is.
    :param head: gives the first bytes of the source; called only where the name does not tell.
    :raises GeminiInputError: where nothing tells.
    """
    if given:
        if "/" not in given:
            raise GeminiInputError(f"mime_type is a type like 'application/pdf', got {given!r}.")
        return given
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _TEXT_SUFFIXES:
        return "text/plain"
    found = _BY_SUFFIX.get(suffix) or mimetypes.guess_type(name)[0] or (head and _type_of_content(head()))
    if not found:
        raise GeminiInputError(
            f"The MIME type of {name!r} can be told neither from its name nor from its content; pass mime_type."
        )
    return "text/plain" if found.startswith("text/") and found not in _KNOWN_TEXT else found


def _type_of_content(head: bytes) -> str | None:
    import puremagic

    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        matches = []
    for match in matches:
        if match.mime_type.startswith(_TOLD_BY_CONTENT) and match.confidence >= _SURE:
            return str(match.mime_type)
    return "text/plain" if _is_text(head) else None


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        # Not the end of the input: a character may be cut there.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
