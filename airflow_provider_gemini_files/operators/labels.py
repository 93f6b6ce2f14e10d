"""Labels of mapped task instances: their files and prompts instead of their numbers."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_text, shown_url
from airflow_provider_gemini_files.files.naming import label_of
from airflow_provider_gemini_files.transfer.object_storage import location

#: The arguments that can name a task's files; the first that is set is used.
_FILES = ("source", "file_name", "files")
_TEMPLATE = "{{ task.map_index_label() }}"
_MAX_CHARACTERS = 60


class MapIndexLabel:
    """Gives the instances of a mapped task a label if its author has not set a ``map_index_template``."""

    #: Display names of files by their names, as far as the task knows them; Airflow renders the label again at its end.
    display_names: Mapping[str, str] = MappingProxyType({})

    def _do_render_template_fields(
        self, parent: Any, template_fields: Any, context: Any, *args: Any, **kwargs: Any
    ) -> None:
        # The only method of a mapped task's instance that Airflow calls before it renders the label of a running task.
        # ``__init__`` would be too late: the template of the label has been read by then.
        if context.get("map_index_template") is None and getattr(context.get("ti"), "map_index", -1) >= 0:
            context["map_index_template"] = _TEMPLATE
        super()._do_render_template_fields(parent, template_fields, context, *args, **kwargs)  # type: ignore[misc]

    def map_index_label(self) -> str:
        """Return one line: the task's files and its prompt."""
        about = next((value for name in _FILES if (value := getattr(self, name, None))), None)
        parts = [_label_of_files(about, self.display_names), str(getattr(self, "prompt", None) or "")]
        return " · ".join(_cut(" ".join(part.split())) for part in parts if part)


def _label_of_files(about: Any, known: Mapping[str, str]) -> str:
    # A sequence of Airflow's XComs is read, instead of being named by its type.
    is_many = isinstance(about, Collection) and not isinstance(about, str | bytes | Mapping | os.PathLike)
    many = list(about) if is_many else [about] if about else []
    if not many:
        return ""
    label = _label(many[0], known)
    return label if len(many) == 1 else f"{label} and {len(many) - 1} more"


def _label(about: Any, known: Mapping[str, str]) -> str:
    if isinstance(about, Mapping):
        # The display name of a file's metadata says more than its random name.
        about = label_of(about.get("display_name")) or about.get("name") or about.get("file") or ""
    if isinstance(about, str):
        about = known.get(about) or about
    text = shown_text(shown_url(location(about) or str(about)))
    # With its folder, which tells files of one name apart, and keeps a Dag with render_template_as_native_obj from
    # taking a name of digits for a number.
    parts = [part for part in text.split("/") if part]
    return "/".join(parts[-2:]) if len(parts) > 1 else f"./{text}"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…"
