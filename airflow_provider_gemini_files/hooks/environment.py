"""The environment of a worker that the HTTP clients read: proxies and certificates."""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from airflow_provider_gemini_files.exceptions import GeminiInputError


def environment_error(error: Exception) -> GeminiInputError:
    """Return the error of a process whose proxy or certificates cannot be used."""
    return GeminiInputError(
        "The environment of this process cannot be used to reach the service: check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY "
        "(a socks proxy needs the package httpx[socks]), NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR "
        f"({type(error).__name__})."
    )


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
