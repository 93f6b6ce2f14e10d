"""
What lineage tools are told: source, Gemini file, output.

It goes through Airflow's hook lineage, which does nothing as long as nobody reads it. A Gemini file is the asset
``gemini-file://<connection>/files/<id>``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlsplit

from airflow.providers.common.compat.sdk import Asset, get_hook_lineage_collector

from airflow_provider_gemini_files.files.reference import GeminiFile

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset

    from airflow_provider_gemini_files.hooks.base import GeminiBaseHook

SCHEME = "gemini-file"
log = logging.getLogger(__name__)


def uploaded(hook: GeminiBaseHook, files: Iterable[GeminiFile]) -> None:
    """Report files with what they were uploaded from."""
    for file in files:
        if file.uploaded_from:
            _add(hook, "add_input_asset", _source_uri(file.uploaded_from.uri))
        _add(hook, "add_output_asset", file_uri(hook.gemini_conn_id, file.name))


def shown(hook: GeminiBaseHook, files: Iterable[GeminiFile]) -> None:
    """Report files that a model has seen."""
    for file in files:
        _add(hook, "add_input_asset", file_uri(hook.gemini_conn_id, file.name))


def written(hook: GeminiBaseHook, uri: str) -> None:
    """Report where an answer was written."""
    _add(hook, "add_output_asset", uri)


def file_uri(conn_id: str, name: str) -> str:
    """Return the URI of a Gemini file as an asset."""
    return f"{SCHEME}://{quote(conn_id, safe='')}/{name}"


def create_asset(*, conn_id: str, name: str, extra: dict[str, Any] | None = None) -> Asset:
    """
    Return a Gemini file as an asset.

    :param name: ``files/...``.
    """
    return Asset(uri=file_uri(conn_id, name), extra=extra or {})


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Check the URI of an asset.

    :raises ValueError: for one that is not of :func:`file_uri`'s form.
    """
    if not uri.netloc or not uri.path.startswith("/files/") or uri.query or uri.fragment:
        raise ValueError(f"A Gemini file is the asset {SCHEME}://<connection>/files/<id>, got {uri.geturl()!r}.")
    return uri


def to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:
    """Return an asset as OpenLineage's dataset."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    uri = urlsplit(asset.uri)
    return Dataset(namespace=f"{SCHEME}://{uri.netloc}", name=uri.path.lstrip("/"))


def _source_uri(where: str) -> str:
    return where if "://" in where else f"file://{quote(os.path.abspath(where))}"


def _add(hook: GeminiBaseHook, how: str, uri: str) -> None:
    try:
        getattr(get_hook_lineage_collector(), how)(hook, uri=uri)
    except Exception:
        # What a lineage tool makes of it is no reason to fail a task that has done its work.
        log.debug("%s cannot be reported as lineage", uri, exc_info=True)
