"""Redaction: a URL is shown as scheme, host and path; a text from outside as one clean line without the key."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_HIDDEN = "***"
_MAX_CHARACTERS = 500
#: A URL inside a text; it ends at a space, a quote or a bracket. The bound of the scheme keeps the search linear.
_URL_IN_TEXT = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s'\"<>()]+")
#: User and password of a URL inside a text. An unencoded password may have spaces, quotes and brackets, which end the
#: URL for the pattern above. A port is no password.
_PASSWORD_IN_TEXT = re.compile(
    r"([a-zA-Z][a-zA-Z0-9+.-]{0,30}://)[^\s/:@'\"<>()\[]*:(?!\d{1,5}(?:[\s/?#,;'\"<>()]|$))(?:(?!://)[^@\r\n]){0,200}@"
)
#: Sequences that change how a terminal shows what follows.
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
#: Controls, and the surrogates that do not stand for a byte of a name that is no UTF-8.
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udc7f\udd00-\udfff]")
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

    :param secrets: texts that are replaced wherever they occur, such as the API key; also if all or some of
        their characters are percent-encoded.
    :param limit: characters that are kept.
    """
    line = str(text)
    for secret in filter(None, secrets):
        line = re.sub("".join(map(_in_any_form, secret)), _HIDDEN, line)
    line = _PASSWORD_IN_TEXT.sub(r"\1", line)
    line = _URL_IN_TEXT.sub(lambda found: shown_url(found[0]), line)
    line = _LOG_COMMAND.sub(r"\1 ", _ANSI.sub("", line))
    line = " ".join("".join(map(_printable, line)).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def escaped(text: str) -> str:
    """Return a name or path as text for logs and databases: control characters and invalid UTF-8 are escaped."""
    readable = _UNSTORABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return readable.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def storable(value: Any) -> Any:
    """
    Return a JSON value that every database and file can hold.

    NUL and lone surrogates in texts are replaced, and numbers that are not finite become None.
    """
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return [storable(item) for item in value] if isinstance(value, list | tuple) else value


def _in_any_form(character: str) -> str:
    """Return a pattern of a character as it is or percent-encoded, with hex digits of either case."""
    encoded = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "replace"))
    return f"(?:{re.escape(character)}|(?i:{encoded}))"


def _printable(character: str) -> str:
    category = unicodedata.category(character)
    # Format characters include those that reverse the direction of the text that follows.
    if category == "Cf":
        return ""
    return " " if category in ("Cc", "Cs", "Zl", "Zp") else character
