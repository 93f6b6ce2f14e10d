"""URIs of files in prompts: files of this service, or content of other sites."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

from airflow_provider_gemini_files.emulator.body import get

_GOOGLE = "generativelanguage.googleapis.com"
_FILE_PATH = re.compile(r"/v1(?:alpha|beta)?/files/([^/]+)")
_YOUTUBE = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"})
_NOTHING = SplitResult("", "", "", "", "")


def file_id(uri: str) -> str | None:
    """
    Return the id of the file that a URI of this service stands for; None for another kind of URI.

    A file has the address of Google's service, or of the emulator. The emulator can have any name but serves no TLS, so
    all ``http`` addresses with the path of a file are taken for its own.
    """
    parts = _split(uri)
    found = _FILE_PATH.fullmatch(parts.path)
    is_own = parts.scheme == "http" or (parts.scheme, parts.hostname) == ("https", _GOOGLE)
    return found[1] if found and is_own else None


def is_youtube(uri: str) -> bool:
    """Return whether a URI is that of a YouTube video."""
    parts = _split(uri)
    return parts.scheme == "https" and parts.hostname in _YOUTUBE


def is_external(uri: str) -> bool:
    """Return whether the service would fetch a URI from another site."""
    parts = _split(uri)
    return parts.scheme == "https" and bool(parts.hostname) and not is_youtube(uri) and file_id(uri) is None


def without_secrets(url: str) -> str:
    """Return a URL without user, query and fragment, any of which can be a credential."""
    parts = _split(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def has_external_url(value: Any) -> bool:
    """Return whether JSON data has a part whose URI the service would fetch."""
    if isinstance(value, list):
        return any(has_external_url(item) for item in value)
    if not isinstance(value, dict):
        return False
    uri = get(value, "fileUri")
    return (isinstance(uri, str) and is_external(uri)) or any(has_external_url(item) for item in value.values())


def _split(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError:
        return _NOTHING
