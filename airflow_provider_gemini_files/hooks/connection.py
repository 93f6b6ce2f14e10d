"""The settings of an Airflow connection of type ``gemini``, checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from airflow_provider_gemini_files.common.redaction import shown_url
from airflow_provider_gemini_files.common.settings import read_settings
from airflow_provider_gemini_files.exceptions import GeminiAuthError, GeminiInputError
from airflow_provider_gemini_files.hooks.environment import proxy_variable
from airflow_provider_gemini_files.hooks.extras import (
    CONN_TYPE,
    DEFAULT_CONN_ID,
    DEFAULT_HOST,
    HOOK_NAME,
    KEY_VARIABLES,
    ConnectionExtras,
)

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["CONN_TYPE", "DEFAULT_CONN_ID", "DEFAULT_HOST", "HOOK_NAME", "ConnectionExtras", "GeminiConnection"]

_BASE_URL = re.compile(r"https?://[^\s?#\x00-\x1f\x7f]+")


class GeminiConnection(ConnectionExtras):
    """
    How to reach the service, and with which key; the extras are fields of it.

    :param api_key: never shown, not even by ``repr``.
    :param base_url: without a slash at the end.
    :param key_variable: the environment variable that the key comes from; None if it is the connection's own.
    """

    conn_id: str
    api_key: str = Field(repr=False)
    base_url: str = DEFAULT_HOST
    key_variable: str | None = None

    @classmethod
    def from_airflow(cls, conn: Connection, environ: Mapping[str, str]) -> GeminiConnection:
        """
        Read a connection.

        :param environ: where the key is looked up if the connection has none.
        :raises GeminiAuthError: if there is no key, or one with characters that no key has.
        :raises GeminiInputError: for another type of connection, an unknown extra or a value that cannot be used.
        """
        where = f"Connection {conn.conn_id!r}"
        if conn.conn_type != CONN_TYPE:
            raise GeminiInputError(f"{where} has the type {conn.conn_type!r}; choose {CONN_TYPE!r} ({HOOK_NAME}).")
        key, variable = _api_key(conn, environ, where)
        extras = _extras(conn, where).model_dump()
        return cls(conn_id=conn.conn_id, api_key=key, base_url=_base_url(conn, where), key_variable=variable, **extras)

    @property
    def api_url(self) -> str:
        """Return the start of every URL but those of uploads."""
        return f"{self.base_url}/{self.api_version}"

    @property
    def upload_url(self) -> str:
        """Return where uploads start."""
        return f"{self.base_url}/upload/{self.api_version}/files"

    def document_url(self, store: str) -> str:
        """Return where uploads into a file search store start."""
        return f"{self.base_url}/upload/{self.api_version}/{store}:uploadToFileSearchStore"

    @property
    def key_place(self) -> str:
        """Return where the API key is, for error messages."""
        if self.key_variable:
            return f"{self.key_variable} of this process (connection {self.conn_id!r} has no password)"
        return f"the password of connection {self.conn_id!r}"

    def address(self) -> str:
        """Return the address that is called, and the variable of the proxy in between, for error messages."""
        url = shown_url(self.base_url)
        variable = proxy_variable(self.base_url)
        return f"{url} (through the proxy in {variable})" if variable else url


def _api_key(conn: Connection, environ: Mapping[str, str], where: str) -> tuple[str, str | None]:
    """Return the key, and the variable that it comes from if the connection has none."""
    key, variable = (conn.password or "").strip(), None
    if not key:
        variable = next((name for name in KEY_VARIABLES if environ.get(name, "").strip()), None)
        key = environ[variable].strip() if variable else ""
    if not key:
        raise GeminiAuthError(
            f"{where} has no API key: put it into the password (API key), or set {' or '.join(KEY_VARIABLES)} for the "
            "workers and triggerers."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise GeminiAuthError(f"{where}: the API key contains spaces or non-ASCII characters; paste the key alone.")
    return key, variable


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
        # A user before an @ and a query after a ? may be secret.
        got = "one with a user or a query" if set(url) & set("@?") else repr(url)
        raise GeminiInputError(f"{where}: the host must be a base URL like {DEFAULT_HOST!r}; got {got}.")
    return url


def _is_base_url(url: str) -> bool:
    import httpx

    try:
        parts = httpx.URL(url)
        # The socket encodes it once more, and refuses names that httpx accepts.
        address = parts.raw_host.decode().encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        return False
    has_usable_port = parts.port is None or 0 < parts.port < 65536
    return bool(address) and has_usable_port and not parts.userinfo and bool(_BASE_URL.fullmatch(url))


def _extras(conn: Connection, where: str) -> ConnectionExtras:
    try:
        # Not extra_dejson, for which an extra that cannot be read is an empty one.
        extra = json.loads(conn.extra or "null") or {}
    except ValueError:
        extra = conn.extra
    if not isinstance(extra, dict):
        # It is not shown, as somebody may have put the key there.
        raise GeminiInputError(f'{where}: the extra must be a JSON object, such as {{"timeout": 600}}, and is none.')
    given = {key: value for key, value in extra.items() if value not in (None, "")}
    return read_settings(ConnectionExtras, given, f"{where}: extra")
