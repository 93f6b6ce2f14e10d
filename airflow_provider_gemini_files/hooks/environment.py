"""The environment of a worker that the HTTP clients read: proxies and certificates."""

from __future__ import annotations

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import GeminiInputError


def environment_error(error: Exception) -> GeminiInputError:
    """Return the error of a process whose proxy or certificates cannot be used."""
    return GeminiInputError(
        "The environment of this process cannot be used to reach the service: check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY "
        "(a socks proxy needs the package httpx[socks]), NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR "
        f"({type(error).__name__}: {shown_text(error)})."
    )
