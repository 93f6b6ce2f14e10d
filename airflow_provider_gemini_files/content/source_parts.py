"""Parts that show a source itself: ``{"source": "s3://bucket/report.pdf"}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_url
from airflow_provider_gemini_files.common.unset import is_unset
from airflow_provider_gemini_files.content.ways import Via, is_via
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.reference import GeminiFile

#: Key of a part whose source is not looked at yet.
SOURCE = "source"
_OPTIONS = ("via", "source_conn_id", "mime_type")
KEYS = {SOURCE, *_OPTIONS}


@dataclass(frozen=True)
class SourcePart:
    """
    A part as its author wrote it.

    :param where: its place, as in ``contents[0].parts[1]``; different for each part of a request.
    :param source: as an upload takes it: one, several, a directory or a glob; or one that was found.
    :param conn_id: connection of the object storage; that of the task if None.
    :param mime_type: told from name and content if None.
    :param via: that of the task if None.
    :param view: how the model is to process it, in the service's spelling.
    """

    where: str
    source: Any
    conn_id: str | None
    mime_type: str | None
    via: Via | None
    view: Mapping[str, Any]

    @classmethod
    def read(cls, item: Mapping[str, Any], where: str, view: Mapping[str, Any]) -> SourcePart:
        """
        Read a part.

        :raises GeminiInputError: naming the key that cannot be used.
        """
        source = item[SOURCE]
        # A text that is empty or "None" comes from a template that gave nothing.
        via, conn_id, mime_type = (None if is_unset(given := item.get(key)) else given for key in _OPTIONS)
        if is_unset(source) or isinstance(source, bytes | int | float | Mapping):
            raise GeminiInputError(f"{where}: source must be a path, a URI, a URL or a list of these; got {source!r}.")
        if via is not None and not is_via(via):
            raise GeminiInputError(f"{where}: via must be auto, inline, upload, register or url; got {via!r}.")
        for name, value in (("source_conn_id", conn_id), ("mime_type", mime_type)):
            if not isinstance(value, str | None):
                raise GeminiInputError(f"{where}: {name} must be a text; got {value!r}.")
        if isinstance(source, Sequence) and not isinstance(source, str):
            # XCom of a mapped task is read once.
            source = tuple(source)
        return cls(where, source, conn_id, mime_type, via, view)


@dataclass(frozen=True)
class SourceFile(GeminiFile):
    """Stands for a source that is uploaded or registered later; the file may get another name then."""


def is_source(value: Any) -> bool:
    """Return whether a part shows a source; the metadata of a file has a source of another kind."""
    return isinstance(value, Mapping) and SOURCE in value and "name" not in value


def source_from_data(where: str) -> GeminiInputError:
    """
    Return the error of a source that the Dag itself does not show.

    What a run's data says must not decide what a worker reads.
    """
    return GeminiInputError(
        f"{where} is a source that comes from a template, an XCom or a file. Write the dict in the Dag file, and only "
        "its 'source' as a template or an XCom: files=[{'source': paths.output}]."
    )


def advice_for(text: str) -> str:
    """Return how to show a text that is no Gemini file, if it looks like a source; else an empty text."""
    if "/" not in text and "\\" not in text:
        return ""
    advice = f" To send a file that is not uploaded yet, pass {{'source': {shown_url(text)!r}}}."
    return f"{advice} A URL that the service fetches itself is {{'url': 'https://...'}}." if "://" in text else advice


#: Returns the parts that take the place of a source.
Resolve = Callable[[SourcePart], list[dict[str, Any]]]
