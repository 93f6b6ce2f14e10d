"""The TLS certificates that the HTTP clients trust."""

from __future__ import annotations

import os
from functools import lru_cache
from ssl import SSLContext

import httpx

_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def ssl_context() -> SSLContext:
    """
    Return a context for the clients of this process: loading certificates takes longer than most requests.

    A file or directory that the environment names is read again when it has changed, as a triggerer runs for weeks.

    :raises OSError: if its certificates cannot be read.
    """
    return _load(*(_version(os.environ.get(name)) for name in _VARIABLES))


def _version(path: str | None) -> tuple[str, int] | None:
    """Return a path with the time of its last change; 0 if there is nothing."""
    if not path:
        return None
    try:
        return path, os.stat(path).st_mtime_ns
    except OSError:
        return path, 0


@lru_cache(maxsize=1)
def _load(*_versions: tuple[str, int] | None) -> SSLContext:
    return httpx.create_ssl_context()
