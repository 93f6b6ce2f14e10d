"""The metadata that uploads have left in XCom, found by who is given only names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, parse_name

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Where uploads leave it.
_KEYS = ("file", "files")


class UploadedMetadata:
    """
    What is known of the files that a task works with; XCom is asked once, when it is first needed.

    :param context: of the task.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def of(self, name: str, given: FileLike) -> GeminiFile | None:
        """
        Return the metadata of a file: as it was given, else as a task upstream in this run has pushed it.

        :param name: ``files/...``.
        :param given: what the task has the name from.
        :return: None where nobody has said more than the name.
        """
        known = _read(given)
        return known if known and known.uploaded_from else self._pushed.get(name, known)

    @cached_property
    def _pushed(self) -> dict[str, GeminiFile]:
        ti, task = self._context["ti"], self._context.get("task")
        upstream = sorted(task.get_flat_relative_ids(upstream=True)) if task else []
        # A mapped task has left one for each index; all are wanted.
        pushed = [ti.xcom_pull(task_ids=[task_id], key=key) for task_id in upstream for key in _KEYS]
        return {file.name: file for one in _flat(pushed) if (file := _read(one))}


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
