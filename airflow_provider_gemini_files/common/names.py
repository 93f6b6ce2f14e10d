"""The name in what an author gives for a resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def name_in(given: Any, kind: type) -> Any:
    """Return the name of an object of a kind, or in a dict with ``name``; else what is given. It is not checked."""
    if isinstance(given, kind):
        return getattr(given, "name", None)
    return given.get("name") if isinstance(given, Mapping) else given
