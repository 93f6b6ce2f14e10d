"""The asset that stands for the storage of a connection: ``gemini-files://<connection>``."""

from __future__ import annotations

from urllib.parse import SplitResult

from airflow.sdk import Asset

SCHEME = "gemini-files"


def storage_asset(gemini_conn_id: str) -> Asset:
    """
    Return the asset that each sweep of a connection's storage updates.

    The extra of its events is a :class:`~airflow_provider_gemini_files.files.usage.StorageUsage` as a dict. The same
    as ``Asset("gemini-files://<connection>")``.
    """
    return Asset(f"{SCHEME}://{gemini_conn_id}")


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Check and normalize the URI of a storage; Airflow calls this for our scheme.

    :raises ValueError: where it names no connection, or more than one.
    """
    if not uri.netloc or uri.path.strip("/") or uri.query:
        raise ValueError(f"The asset of a storage is {SCHEME}://<connection id>, got {uri.geturl()!r}.")
    return uri._replace(path="")
