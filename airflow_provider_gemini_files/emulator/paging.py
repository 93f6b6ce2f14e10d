"""Lists in pages, with tokens that survive deletions."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_gemini_files.emulator import errors

if TYPE_CHECKING:
    from airflow_provider_gemini_files.emulator.dispatch import Call

_DEFAULT_SIZE = 10


class Listed(Protocol):
    """What can be in a list: it has an id and was created at some time."""

    id: str
    created: float


T = TypeVar("T", bound=Listed)


def page(call: Call, items: Sequence[T], request: str, *, largest: int) -> tuple[list[T], str | None]:
    """
    Return the page a request asks for, and the token of the next one; None on the last.

    :param items: all of them, newest first.
    :param request: the name of the request, for the error.
    :param largest: the largest page; a larger one is refused.
    :raises ApiError: 400 for a size or a token that cannot be.
    """
    size = _size(call.query.get("pageSize"), request, largest)
    left = sorted(items, key=_order, reverse=True)
    if token := call.query.get("pageToken"):
        after = _read(token)
        left = [item for item in left if _order(item) < after]
    shown = left[:size]
    return shown, _write(shown[-1]) if len(left) > size else None


def _order(item: Listed) -> tuple[float, str]:
    return item.created, item.id


def _size(given: str | None, request: str, largest: int) -> int:
    if not given or given == "0":
        return _DEFAULT_SIZE
    if not given.isdigit() or int(given) > largest:
        raise errors.invalid(f"* {request}.page_size: must be between 0 and {largest}.\n")
    return int(given)


def _write(item: Listed) -> str:
    """Name the last item shown, not a position: it may be gone when the next page is asked for."""
    return base64.urlsafe_b64encode(json.dumps(_order(item)).encode()).decode()


def _read(token: str) -> tuple[float, str]:
    try:
        values: Any = json.loads(base64.urlsafe_b64decode(token))
        created, item_id = values
        return float(created), str(item_id)
    except (ValueError, TypeError, binascii.Error):
        raise errors.invalid("Invalid page token.") from None
