"""The JSON of a request's body, and its fields, in camel case or snake case: the service accepts both."""

from __future__ import annotations

import json
import re
from typing import Any

from airflow_provider_gemini_files.emulator import errors

#: A surrogate in the escapes of JSON; a pair of them is one character.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str) -> Any:
    """
    Return the value of a JSON text.

    :raises ValueError: also for what Python reads although it is no JSON: NaN, infinity, halves of characters, and what
        is nested too deep.
    """
    try:
        data = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None
    if _SURROGATE.search(text):
        json.dumps(data, ensure_ascii=False).encode()
    return data


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def get(data: dict[str, Any], name: str) -> Any:
    """Return a field by its camel-case name, or None."""
    if name in data:
        return data[name]
    return data.get("".join(f"_{c.lower()}" if c.isupper() else c for c in name))


def get_object(data: dict[str, Any], name: str) -> dict[str, Any]:
    """
    Return a field that is an object; an empty one if it is not set.

    :raises ApiError: 400 if it is not an object.
    """
    value = get(data, name) or {}
    if not isinstance(value, dict):
        raise errors.invalid(f'Invalid value at "{name}".')
    return value


def get_objects(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """
    Return a field that is a list of objects; a single object counts as a list.

    :raises ApiError: 400 if it is neither.
    """
    value = get(data, name) or []
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in values):
        raise errors.invalid(f'Invalid value at "{name}".')
    return values


def get_int(data: dict[str, Any], name: str) -> int | None:
    """
    Return a field that is a whole number, as a number or as a text; None if it is not set.

    :raises ApiError: 400 if it is not a whole number.
    """
    value = get(data, name)
    if value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or isinstance(value, bool) or (isinstance(value, float) and number != value):
        raise errors.invalid(f'Invalid value at "{name}".')
    return number


def get_text(data: dict[str, Any], name: str) -> str | None:
    """
    Return a field that is a text; None if it is not set.

    :raises ApiError: 400 if it is not a text.
    """
    value = get(data, name)
    if value is not None and not isinstance(value, str):
        raise errors.invalid(f'Invalid value at "{name}".')
    return value
