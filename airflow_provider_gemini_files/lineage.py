"""
Lineage of source, Gemini file and output.

It goes through Airflow's hook lineage, which does nothing as long as nobody reads it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.providers.common.compat.sdk import get_hook_lineage_collector

from airflow_provider_gemini_files.assets import file_uri
from airflow_provider_gemini_files.files.reference import GeminiFile

if TYPE_CHECKING:
    from airflow.sdk import BaseHook

log = logging.getLogger(__name__)


def uploaded(hook: BaseHook | None, conn_id: str, files: Iterable[GeminiFile]) -> None:
    """Report files with their sources."""
    for file in files:
        if file.uploaded_from:
            _add(hook, "add_input_asset", _source_uri(file.uploaded_from.uri))
        _add(hook, "add_output_asset", file_uri(conn_id, file.name))


def indexed(hook: BaseHook | None, conn_id: str, source: str, document: str) -> None:
    """
    Report a document of a file search store with its source.

    :param source: a path, a URI, or the name of a Gemini file.
    """
    _add(hook, "add_input_asset", file_uri(conn_id, source) if source.startswith("files/") else _source_uri(source))
    _add(hook, "add_output_asset", file_uri(conn_id, document))


def shown(hook: BaseHook | None, conn_id: str, files: Iterable[GeminiFile]) -> None:
    """Report files that a model has seen."""
    for file in files:
        _add(hook, "add_input_asset", file_uri(conn_id, file.name))


def written(hook: BaseHook | None, uri: str) -> None:
    """Report where an answer was written."""
    _add(hook, "add_output_asset", uri)


def _source_uri(where: str) -> str:
    return where if "://" in where else f"file://{quote(os.path.abspath(where))}"


def is_read() -> bool:
    """
    Return whether a plugin reads lineage.

    Even Airflow's collector for nobody imports the asset handlers of all installed providers, which can take a second.
    """
    try:
        from airflow.sdk.plugins_manager import get_hook_lineage_readers_plugins
    except ImportError:  # Airflow 3.1
        return True
    return bool(get_hook_lineage_readers_plugins())


def _add(hook: BaseHook | None, how: str, uri: str) -> None:
    if hook is None or not is_read():
        return
    try:
        getattr(get_hook_lineage_collector(), how)(hook, uri=uri)
    except Exception:
        # A failing lineage tool is no reason to fail a task that has done its work.
        log.debug("%s cannot be reported as lineage", uri, exc_info=True)
