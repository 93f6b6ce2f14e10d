"""Read what tasks of this run have pushed to XCom, such as the metadata of an upload by its file name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.reference import GeminiFile, parse_name
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The XCom keys of uploads.
_KEYS = ("file", "files")


class UploadedMetadata:
    """
    What the upload tasks upstream of a task have recorded; XCom is read when it is first needed.

    Nothing else decides what a worker reads again: a metadata dict, a run's configuration or the XCom of any other task
    could name a path or URL of someone else's choosing.

    :param context: of the task.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def of(self, name: str) -> GeminiFile | None:
        """
        Return the metadata of a file; None if no upload task of this run has recorded it.

        :param name: ``files/...``.
        """
        return self._of_own_index.get(name) or self._recorded.get(name)

    @cached_property
    def _of_own_index(self) -> dict[str, GeminiFile]:
        """Return what uploads of the task's own index have recorded; nothing if the task is not mapped."""
        # Mostly, a task is mapped over the uploads. If each of a thousand read all of them, that would be a million.
        index = self._context["ti"].map_index
        return {} if index is None or index < 0 else self._read(map_indexes=[index])

    @cached_property
    def _recorded(self) -> dict[str, GeminiFile]:
        return self._read()

    def _read(self, **which: Any) -> dict[str, GeminiFile]:
        pushed = pushed_upstream(self._context, GeminiUploadFileOperator, _KEYS, **which)
        return {file.name: file for one in pushed if (file := _read(one))}


def pushed_upstream(context: Context, kind: type[Any], keys: Iterable[str], **which: Any) -> list[Any]:
    """
    Return what the tasks of one kind upstream of a task have pushed to XCom under some keys.

    :param kind: a class of operators.
    :param which: ``map_indexes`` of the tasks; a mapped task has pushed one value for each index, and all are returned
        without it.
    """
    ti: Any = context["ti"]
    return _flat(
        [
            ti.xcom_pull(task_ids=[task_id], key=key, **which)
            for task_id in _tasks_upstream(context, kind)
            for key in keys
        ]
    )


def _tasks_upstream(context: Context, kind: type[Any]) -> Iterator[str]:
    """Yield the ids of the tasks of one kind upstream."""
    task: Any = context.get("task")
    if task is None:
        return
    for task_id in sorted(task.get_flat_relative_ids(upstream=True)):
        upstream = task.dag.get_task(task_id)
        operator_class = getattr(upstream, "operator_class", type(upstream))
        if isinstance(operator_class, type) and issubclass(operator_class, kind):
            yield task_id


def _flat(pushed: Any) -> list[Any]:
    return [one for item in pushed for one in _flat(item)] if isinstance(pushed, list) else [pushed]


def _read(pushed: Any) -> GeminiFile | None:
    """Return the metadata of an upload's XCom; None for a task that has pushed nothing."""
    if not isinstance(pushed, Mapping):
        return None
    try:
        parse_name(pushed)
        return GeminiFile.from_dict(pushed)
    except (GeminiInputError, TypeError):
        return None
