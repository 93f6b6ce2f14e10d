"""
The assets of this provider, for Airflow's schedules and for lineage tools.

``gemini-files://<connection>`` is the storage of a connection, ``gemini-files://<connection>/files/<id>`` a file in it,
and ``gemini-files://<connection>/fileSearchStores/<id>/documents/<id>`` a document of a file search store.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlsplit

import attrs
from airflow.sdk import Asset

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset

SCHEME = "gemini-files"
#: Empty for the storage; else a file or a document.
_PATH = re.compile(r"/?|/files/[^/]+|/fileSearchStores/[^/]+/documents/[^/]+")


def _normalize(uri: str) -> str:
    return sanitize_uri(urlsplit(uri)).geturl()


# eq=False: the base class compares its own fields, so an asset of either class equals the other.
# type: ignore: Airflow passes keywords, so their order does not matter.
@attrs.define(init=False, eq=False)
class _StorageAsset(Asset):  # type: ignore[override]
    """
    An asset whose URI is normalized by this module.

    ``Asset`` imports the asset handlers of all installed providers to find the one of the scheme, which takes a second
    or more in each process that parses the Dag file.
    """

    uri: str = attrs.field(converter=_normalize, kw_only=True)


def storage_asset(gemini_conn_id: str) -> Asset:
    """
    Return the asset that each cleanup of a connection's storage updates: ``Asset("gemini-files://<connection>")``.

    The extra of its events is a :class:`~airflow_provider_gemini_files.files.storage_usage.StorageUsage` as a dict.
    In a Dag file, this costs less than ``Asset``, which imports the asset handlers of all installed providers. Pass its
    URI between tasks, not the asset: Airflow reads only its own classes from XCom.
    """
    return _StorageAsset(f"{SCHEME}://{quote(gemini_conn_id, safe='')}")


def file_uri(gemini_conn_id: str, name: str) -> str:
    """Return the asset URI of a file or document."""
    return f"{SCHEME}://{quote(gemini_conn_id, safe='')}/{name}"


def create_asset(*, conn_id: str, name: str, extra: dict[str, Any] | None = None) -> Asset:
    """
    Return a file as an asset. Airflow calls this for the lineage that hooks report.

    :param name: ``files/...``.
    """
    return Asset(uri=file_uri(conn_id, name), extra=extra or {})


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Check and normalize a URI. Airflow calls this for our scheme.

    :raises ValueError: if it names neither a storage nor a file.
    """
    if not uri.netloc or not _PATH.fullmatch(uri.path) or uri.query or uri.fragment:
        raise ValueError(
            f"The URI of a storage is {SCHEME}://<connection>, that of a file {SCHEME}://<connection>/files/<id>; got "
            f"{uri.geturl()!r}."
        )
    return uri._replace(path=uri.path.rstrip("/"))


def to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:
    """Return the OpenLineage dataset of an asset."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    uri = urlsplit(asset.uri)
    return Dataset(namespace=f"{SCHEME}://{uri.netloc}", name=uri.path.strip("/") or "files")
