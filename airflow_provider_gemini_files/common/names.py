"""The name in what an author gives for a resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def name_in(given: Any, kind: type) -> Any:
    """Return the name of an object of a kind, or in a dict with ``name``; else what is given. It is not checked."""
    if isinstance(given, kind):
        return getattr(given, "name", None)
    return given.get("name") if isinstance(given, Mapping) else given


def hint_of_text(given: str) -> str:
    """Return what to do about a text that was a list or dict until a template rendered it; an empty text for others."""
    if not (given.strip()[:1] in ("[", "{") and given.strip()[-1:] in ("]", "}")):
        return ""
    return (
        " A template has made a text of a list or dict: pass the task's output itself, or set "
        "render_template_as_native_obj=True on the Dag."
    )
