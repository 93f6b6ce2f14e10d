"""Links from a task instance to the page "Gemini Files"."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_gemini_files.batches.job import parse_batch_names
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.resources import listed_documents, parse_documents, parse_store
from airflow_provider_gemini_files.files.reference import parse_names

#: A URL has a limited length.
_MAX_NAMES = 50
#: Airflow shows no link then. Of None, it shows a link to a page "None".
_NO_LINK = ""


class GeminiFileLink(BaseOperatorLink):
    """
    Leads to the rows of the files that a task works with.

    Airflow asks for it whenever a worker ends its part of the task, so also before and after a deferral, and keeps the
    last result: it uses what exists at each of these times.
    """

    name = "Gemini file"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the link; an empty text if no file is known."""
        try:
            names = parse_names(_files_of(operator, ti_key))
        except GeminiInputError:
            return _NO_LINK
        return _page(conn_id=operator.gemini_conn_id, file=names[:_MAX_NAMES])


class GeminiFileSearchStoreLink(BaseOperatorLink):
    """Leads to the rows of the file search stores that a task works with."""

    name = "Gemini file search store"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the link; an empty text if no store is known."""
        try:
            names = _stores_of(operator, ti_key)
        except GeminiInputError:
            return _NO_LINK
        return _page(conn_id=operator.gemini_conn_id, tab="stores", store=names[:_MAX_NAMES]) if names else _NO_LINK


class GeminiBatchLink(BaseOperatorLink):
    """Leads to the rows of the batch jobs that a task works with; of a batch, once a job has been submitted."""

    name = "Gemini batch"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the link; an empty text if no job is known."""
        has_name = hasattr(operator, "batch_name")
        batches = operator.batch_name if has_name else _pulled(ti_key, "batch_name", "return_value")
        try:
            names = parse_batch_names([one for one in batches if one] if isinstance(batches, list) else batches)
        except GeminiInputError:
            return _NO_LINK
        return _page(conn_id=operator.gemini_conn_id, tab="batches", batch=names[:_MAX_NAMES])


class GeminiCleanupReportLink(BaseOperatorLink):
    """Leads to the report that a cleanup task has returned."""

    name = "Cleanup report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the link; the page reads the report itself."""
        return _page(
            conn_id=operator.gemini_conn_id,
            report="1",
            dag_id=ti_key.dag_id,
            run_id=ti_key.run_id,
            task_id=ti_key.task_id,
            map_index=ti_key.map_index,
        )


def _files_of(operator: Any, ti: Any) -> Any:
    """Return the files that an operator was given; of an upload, those it has pushed, even before a deferral."""
    if not hasattr(operator, "source"):
        return getattr(operator, "file_name", None) or getattr(operator, "files", None)
    # An upload pushes one of the two; which of them was decided when it found its sources.
    return _pulled(ti, "file", "files")


def _stores_of(operator: Any, ti: Any) -> list[str]:
    """Return the stores that an operator was given, or those of its documents; else those that it has returned."""
    if hasattr(operator, "store"):
        return [parse_store(operator.store)]
    if hasattr(operator, "document"):
        documents = parse_documents([one for one in listed_documents(operator.document) if one])
        return list(dict.fromkeys(document.partition("/documents/")[0] for document in documents))
    returned = _pulled(ti, "return_value")
    return [parse_store(store) for store in (returned if isinstance(returned, list) else [returned])]


def _pulled(ti: Any, *keys: str) -> Any:
    """Return the first of some XCom values that a task instance has pushed."""
    # Airflow logs an error if a single value does not exist. Only a mapped task has to ask for one.
    only = {"map_indexes": ti.map_index} if ti.map_index >= 0 else {}
    pushed = (ti.xcom_pull(task_ids=ti.task_id, key=key, **only) for key in keys)
    return next((value for value in pushed if value), None)


def _page(**query: Any) -> str:
    # Without a leading slash: Airflow's pages have a base, so the worker need not know the prefix of their URLs.
    return f"plugin/gemini-files?{urlencode(query, doseq=True)}"
