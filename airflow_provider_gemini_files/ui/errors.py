"""What the page shows of an error: its kind, which decides the advice, and a text that is safe in a browser."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_gemini_files.exceptions import GeminiAuthError, GeminiFilesError, GeminiInputError
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

#: Longer texts are cut: one error must not fill the page.
_MAX_CHARACTERS = 500


class ErrorKind(StrEnum):
    """What the user can do about an error. ``notices.js`` has the title and the actions of each kind."""

    MISSING_CONNECTION = "missing_connection"
    INVALID_CONNECTION = "invalid_connection"
    API_KEY = "api_key"
    UNREACHABLE = "unreachable"
    SERVICE = "service"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True)
class PageError:
    """
    An error as the page shows it.

    :param message: one line, without the API key.
    """

    kind: ErrorKind
    message: str

    @classmethod
    def of(cls, error: Exception, hook: GeminiFilesHook) -> PageError:
        """
        Describe an error of a hook's call.

        An error outside the provider's tree is not described: its text was not written for a browser and may hold
        anything, so the caller has to log it.
        """
        if not isinstance(error, GeminiFilesError):
            return cls(ErrorKind.UNEXPECTED, "The files could not be listed. See the log of the API server.")
        kind = _kind(error)
        if kind is ErrorKind.UNREACHABLE:
            return cls(kind, _unreachable(error, hook))
        return cls(kind, one_line(str(error), _api_key(hook)))


def one_line(text: str, secret: str = "") -> str:
    """
    Return a text from elsewhere as one line of printable characters, at most 500.

    :param secret: replaced by ``***`` wherever it occurs, also if it is percent-encoded.
    """
    for form in {secret, quote(secret, safe="")} - {""}:
        text = text.replace(form, "***")
    line = " ".join("".join(_printable(character) for character in text).split())
    return line if len(line) <= _MAX_CHARACTERS else f"{line[: _MAX_CHARACTERS - 1]}…"


def proxy_variable(url: str) -> str | None:
    """
    Return the name of the environment variable whose proxy is used for a URL, or None.

    Only the name is shown: the value may hold a password.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    if proxy_bypass(parts.hostname or ""):
        return None
    # As httpx does: the scheme's own proxy comes before the general one, and lower case before upper case.
    scheme = next((scheme for scheme in (parts.scheme, "all") if scheme in proxies), "")
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    return next((name for name in names if os.environ.get(name)), None)


def _api_key(hook: GeminiFilesHook) -> str:
    try:
        return hook.connection.api_key
    except GeminiFilesError:
        # The error is about a connection without a usable key, so there is no key to hide.
        return ""


def _kind(error: GeminiFilesError) -> ErrorKind:
    import httpx

    if isinstance(error, GeminiInputError):
        missing = isinstance(error.__cause__, AirflowNotFoundException)
        return ErrorKind.MISSING_CONNECTION if missing else ErrorKind.INVALID_CONNECTION
    if isinstance(error, GeminiAuthError):
        return ErrorKind.API_KEY
    return ErrorKind.UNREACHABLE if isinstance(error.__cause__, httpx.TransportError) else ErrorKind.SERVICE


def _unreachable(error: GeminiFilesError, hook: GeminiFilesHook) -> str:
    base_url = hook.connection.base_url
    variable = proxy_variable(base_url)
    through = f" through the proxy in {variable}" if variable else ""
    cause = one_line(f"{type(error.__cause__).__name__}: {error.__cause__}", hook.connection.api_key)
    return f"The API server cannot reach {base_url}{through} ({cause.rstrip(': .')})."


def _printable(character: str) -> str:
    category = unicodedata.category(character)
    # Format characters include those that reverse the direction of the text that follows.
    if category == "Cf":
        return ""
    return " " if category in ("Cc", "Cs", "Zl", "Zp") else character
