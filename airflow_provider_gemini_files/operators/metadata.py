"""The metadata that uploads have left in XCom, found by who is given only names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, parse_name

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Where uploads leave it.
_KEYS = ("file", "files")


def metadata_of(name: str, given: FileLike, context: Context) -> GeminiFile | None:
    """
    Return the metadata of a file: as it was given, else as a task upstream in this run has pushed it.

    :param name: ``files/...``.
    :param given: what the task has the name from.
    :return: None where nobody has said more than the name.
    """
    known = _read(given)
    if known and known.uploaded_from:
        return known
    pushed = _pushed_upstream(context)
    return next((file for file in pushed if file.name == name), known)


def _pushed_upstream(context: Context) -> list[GeminiFile]:
    ti, task = context["ti"], context.get("task")
    upstream = sorted(task.get_flat_relative_ids(upstream=True)) if task else []
    # A mapped task has left one for each index; all are wanted.
    pushed = [ti.xcom_pull(task_ids=[task_id], key=key) for task_id in upstream for key in _KEYS]
    return [file for one in _flat(pushed) if (file := _read(one))]


def _flat(pushed: Any) -> list[Any]:
    return [one for item in pushed for one in _flat(item)] if isinstance(pushed, list) else [pushed]


def _read(given: Any) -> GeminiFile | None:
    """Read a file's metadata; None for anything else, as other tasks use the same keys."""
    if isinstance(given, GeminiFile):
        return given
    if not isinstance(given, Mapping) or "uploaded_from" not in given:
        return None
    try:
        parse_name(given)
        return GeminiFile.from_dict(given)
    except (GeminiInputError, TypeError):
        return None
