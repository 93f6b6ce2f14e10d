"""Reads values of XCom entries that costs are based on. Any task may have pushed such an entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RESPONSE_KEY = "response"
BATCH_KEY = "batch"
CACHE_KEY = "cache"
DELETED_CACHES_KEY = "deleted_caches"
INDEXED_KEY = "indexed"
#: The XCom keys of entries that are read.
KEYS = (RESPONSE_KEY, BATCH_KEY, CACHE_KEY, DELETED_CACHES_KEY, INDEXED_KEY)
#: No call has so many tokens.
_TOO_MANY = 2**53
#: Characters of a model's name that are shown.
_MAX_NAME = 200


def count_of(value: Any) -> int:
    """Return a count; 0 for anything that is none."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 < value < _TOO_MANY
    return value if is_count else 0


def text_of(value: Any) -> str | None:
    """Return a text; None for anything that is none, or is empty."""
    return value if isinstance(value, str) and value else None


def model_of(value: Mapping[str, Any]) -> str:
    """Return the model that has answered; that which was asked, if the service does not say."""
    model = text_of(value.get("model_version")) or text_of(value.get("model")) or "unknown"
    return model.removeprefix("models/")[:_MAX_NAME]
