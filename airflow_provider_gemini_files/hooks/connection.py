"""What an Airflow connection of type ``gemini`` says, checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files.exceptions import GeminiAuthError, GeminiInputError
from airflow_provider_gemini_files.files.limits import DEFAULT_QUOTA_BYTES, MIN_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from airflow.sdk import Connection

CONN_TYPE = "gemini"
DEFAULT_CONN_ID = "gemini_default"
DEFAULT_HOST = "https://generativelanguage.googleapis.com"
DEFAULT_API_VERSION = "v1beta"
#: The model of Google's own examples in November 2026.
DEFAULT_MODEL = "gemini-3.8-flash"
DEFAULT_TIMEOUT_SECONDS = 600.0
DEFAULT_MAX_RETRIES = 4
#: Read in this order where the connection has no key.
KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_BASE_URL = re.compile(r"https?://[^\s?#\x00-\x1f\x7f]+")


def _version(value: Any) -> str:
    if not re.fullmatch(r"v\d+[a-z0-9]*", str(value)):
        raise ValueError("a version like 'v1beta'")
    return str(value)


def _seconds(value: Any) -> float:
    if float(value) < MIN_TIMEOUT_SECONDS:
        raise ValueError(f"seconds, at least {MIN_TIMEOUT_SECONDS}: the service refuses less")
    return float(value)


def _whole_number(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or int(value) != float(value) or int(value) < least:
            raise ValueError(f"a whole number, at least {least}")
        return int(value)

    return read


#: The extras there are, and how each is read.
_EXTRAS: dict[str, Callable[[Any], Any]] = {
    "api_version": _version,
    "model": str,
    "quota_bytes": _whole_number(1),
    "timeout": _seconds,
    "max_retries": _whole_number(0),
}


@dataclass(frozen=True)
class GeminiConnection:
    """
    How to reach the service, and as whom.

    :param api_key: never shown, not even by ``repr``.
    :param base_url: without a slash at the end.
    :param quota_bytes: storage of the key's project.
    :param timeout: seconds a single request may take.
    :param max_retries: how often a request that failed on the way is sent again.
    """

    conn_id: str
    api_key: str = field(repr=False)
    base_url: str = DEFAULT_HOST
    api_version: str = DEFAULT_API_VERSION
    model: str = DEFAULT_MODEL
    quota_bytes: int = DEFAULT_QUOTA_BYTES
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    max_retries: int = DEFAULT_MAX_RETRIES

    @classmethod
    def from_airflow(cls, conn: Connection, environ: Mapping[str, str]) -> GeminiConnection:
        """
        Read a connection.

        :param environ: where the key is looked for when the connection has none.
        :raises GeminiAuthError: where there is no key, or one that cannot be.
        :raises GeminiInputError: for another type of connection, or an extra that is unknown or of no use.
        """
        where = f"Connection {conn.conn_id!r}"
        if conn.conn_type != CONN_TYPE:
            raise GeminiInputError(
                f"{where} has the type {conn.conn_type!r}; choose {CONN_TYPE!r} (Google Gemini API)."
            )
        return cls(
            conn_id=conn.conn_id,
            api_key=_api_key(conn, environ, where),
            base_url=_base_url(conn, where),
            **_extras(conn, where),
        )

    def upload_url(self) -> str:
        """Return where uploads start."""
        return f"{self.base_url}/upload/{self.api_version}/files"


def _api_key(conn: Connection, environ: Mapping[str, str], where: str) -> str:
    in_environment = next((environ[name] for name in KEY_VARIABLES if environ.get(name)), "")
    key = (conn.password or in_environment).strip()
    if not key:
        raise GeminiAuthError(
            f"{where} has no API key: put it into the password (API key), or set {' or '.join(KEY_VARIABLES)} for the "
            "workers and triggerers."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise GeminiAuthError(f"{where}: the API key has characters that no key has; was more than the key pasted?")
    return key


def _base_url(conn: Connection, where: str) -> str:
    host = (conn.host or "").strip().rstrip("/")
    if not host:
        return DEFAULT_HOST
    url = host if "://" in host else f"{conn.schema or 'https'}://{host}"
    if conn.port:
        scheme, _, rest = url.partition("://")
        address, slash, path = rest.partition("/")
        url = f"{scheme}://{address}:{conn.port}{slash}{path}"
    if not _is_base_url(url):
        # What is before an @ or behind a ? may be secret.
        got = "one with a user or a query" if set(url) & set("@?") else repr(url)
        raise GeminiInputError(f"{where}: the host is a base URL like {DEFAULT_HOST!r}, got {got}.")
    return url


def _is_base_url(url: str) -> bool:
    import httpx

    try:
        parts = httpx.URL(url)
        # The socket encodes it once more, and refuses what httpx lets pass.
        address = parts.raw_host.decode().encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        return False
    port_is_fine = parts.port is None or 0 < parts.port < 65536
    return bool(address) and port_is_fine and not parts.userinfo and bool(_BASE_URL.fullmatch(url))


def _extras(conn: Connection, where: str) -> dict[str, Any]:
    given = {key: value for key, value in conn.extra_dejson.items() if value not in (None, "")}
    if unknown := sorted(set(given) - set(_EXTRAS)):
        raise GeminiInputError(f"{where}: unknown extra {', '.join(unknown)}; there are {', '.join(_EXTRAS)}.")
    read = {}
    for key, value in given.items():
        try:
            read[key] = _EXTRAS[key](value)
        except (TypeError, ValueError) as error:
            raise GeminiInputError(f"{where}: extra {key} is {error}; got {value!r}.") from error
    return read
