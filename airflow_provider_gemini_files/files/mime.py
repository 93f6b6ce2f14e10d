"""The MIME type of a source: what the user says, else what its name says, else a clear error."""

from __future__ import annotations

import mimetypes
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


def mime_type_of(name: str, given: str | None = None) -> str:
    """
    Return the MIME type to send.

    :param name: the source's file name.
    :param given: what the user says; taken as it is.
    :raises GeminiInputError: where neither tells.
    """
    if given:
        if "/" not in given:
            raise GeminiInputError(f"mime_type is a type like 'application/pdf', got {given!r}.")
        return given
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _TEXT_SUFFIXES:
        return "text/plain"
    guessed = _BY_SUFFIX.get(suffix) or mimetypes.guess_type(name)[0]
    if guessed is None:
        raise GeminiInputError(f"The MIME type of {name!r} cannot be told from its name; pass mime_type.")
    return "text/plain" if guessed.startswith("text/") and guessed not in _KNOWN_TEXT else guessed
