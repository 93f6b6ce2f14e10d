"""Whether an argument has a value, after its template was rendered."""

from __future__ import annotations

from typing import Any


def is_unset(value: Any) -> bool:
    """Return whether an argument is None or empty, also as the text that a template makes of None."""
    return value is None or (isinstance(value, str) and value in ("", "None"))
