"""The TLS certificates that the HTTP clients trust."""

from __future__ import annotations

import os
from functools import cache
from ssl import SSLContext

import httpx


def ssl_context() -> SSLContext:
    """
    Return a context for the clients of this process: loading certificates takes longer than most requests.

    :raises OSError: if SSL_CERT_FILE or SSL_CERT_DIR cannot be read.
    """
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        # Read each time, as an administrator can replace them while a triggerer runs.
        return httpx.create_ssl_context()
    return _bundled()


@cache
def _bundled() -> SSLContext:
    return httpx.create_ssl_context()
