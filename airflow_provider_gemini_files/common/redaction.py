"""Redaction: a URL is shown as scheme, host and path; a text from outside as one clean line without the key."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

_HIDDEN = "***"
_MAX_CHARACTERS = 500
#: A URL inside a text; it ends at a space, a quote or a bracket. The scheme has a limit, as a long text without spaces
#: would otherwise take minutes.
_URL_IN_TEXT = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s'\"<>()]+")
#: Sequences that change how a terminal shows what follows.
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
#: Airflow's log view folds what follows one of these.
_LOG_COMMAND = re.compile(r"::(group|endgroup)::")


def shown_url(url: str) -> str:
    """
    Return scheme, host, port and path of a URL.

    The user, the password, the query and the fragment may be secret. A text without ``://`` is returned as it is.
    """
    if "://" not in url:
        return url
    scheme, _, rest = url.partition("://")
    port = rest.partition("/")[0].partition(":")[2]
    if "@" in rest and port and not port.isdigit():
        # A password with characters that should have been encoded.
        url = f"{scheme}://{rest.rpartition('@')[2]}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition('://')[0]}://{_HIDDEN}"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL; an empty text if it has no host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme and host else ""


def shown_text(text: object, secrets: Iterable[str] = (), *, limit: int = _MAX_CHARACTERS) -> str:
    """
    Return a text from outside in one line that can be logged and shown: URLs redacted, control characters removed.

    :param secrets: texts that are replaced wherever they occur, also percent-encoded, such as the API key.
    :param limit: characters that are kept.
    """
    line = str(text)
    for secret in secrets:
        for form in {secret, quote(secret, safe="")} - {""}:
            line = line.replace(form, _HIDDEN)
    line = _URL_IN_TEXT.sub(lambda found: shown_url(found[0]), line)
    line = _LOG_COMMAND.sub(r"\1 ", _ANSI.sub("", line))
    line = " ".join("".join(map(_printable, line)).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def storable(value: Any) -> Any:
    """Return a JSON value whose texts every database and file can hold: without NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return [storable(item) for item in value] if isinstance(value, list | tuple) else value


def _printable(character: str) -> str:
    category = unicodedata.category(character)
    # Format characters include those that reverse the direction of the text that follows.
    if category == "Cf":
        return ""
    return " " if category in ("Cc", "Cs", "Zl", "Zp") else character
