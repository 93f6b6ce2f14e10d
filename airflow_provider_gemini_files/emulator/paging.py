"""Pages of lists, with tokens that stay valid when items are deleted."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import parse_json
from airflow_provider_gemini_files.emulator.call import Call

_DEFAULT_SIZE = 10
#: Digits of a page size that are too many for any; Python refuses to read thousands of them.
_DIGITS = 10
#: A position after all items.
_END = (0.0, "")


class Listed(Protocol):
    """An item that can be put into order: it has an id and a creation time."""

    @property
    def id(self) -> str:
        """Return the id."""

    @property
    def created(self) -> float:
        """Return the creation time in seconds since the epoch."""


class Resource(Listed, Protocol):
    """An item that can be shown in a list."""

    def to_json(self, now: float, /) -> dict[str, Any]:
        """Return the resource."""


T = TypeVar("T", bound=Listed)


def page(
    call: Call, items: Iterable[T], request: str, *, largest: int, default: int = _DEFAULT_SIZE
) -> tuple[list[T], str | None]:
    """
    Return the page that a request asks for, newest item first, and the token of the next page (None on the last).

    :param items: all items, in any order.
    :param request: name of the request, for the error.
    :param default: page size of a request that sets none.
    :param largest: largest page size.
    :raises ApiError: 400 for an invalid size or token.
    """
    size = _size(call.query.get("pageSize"), request, default, largest)
    left = sorted(items, key=_order, reverse=True)
    token = call.query.get("pageToken")
    if token:
        after = _read(token)
        left = [item for item in left if _order(item) < after]
    shown = left[:size]
    if call.fault and call.fault.action == "same_page_token":
        return shown, token or _write(_order(shown[-1]) if shown else _END)
    return shown, _write(_order(shown[-1])) if len(left) > size else None


def listing(call: Call, items: Iterable[Resource], field: str, *, largest: int) -> dict[str, Any]:
    """
    Return the response to a list request; empty fields are omitted.

    :param field: name of the items' field in the response.
    :param largest: largest page size.
    """
    shown, token = page(call, items, f"List{field[0].upper()}{field[1:]}Request", largest=largest)
    body: dict[str, Any] = {field: [item.to_json(call.now) for item in shown], "nextPageToken": token}
    return {key: value for key, value in body.items() if value}


def _order(item: Listed) -> tuple[float, str]:
    return item.created, item.id


def _size(given: str | None, request: str, default: int, largest: int) -> int:
    if not given or given == "0":
        return default
    if not (given.isascii() and given.isdigit() and len(given) < _DIGITS) or int(given) > largest:
        raise errors.invalid(f"* {request}.page_size: must be between 0 and {largest}.\n")
    return int(given)


def _write(position: tuple[float, str]) -> str:
    """Return the token of the page after a position; a count of items would be wrong after a deletion."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _read(token: str) -> tuple[float, str]:
    try:
        created, item_id = parse_json(base64.urlsafe_b64decode(token).decode())
        return float(created), str(item_id)
    except (ValueError, TypeError, binascii.Error):
        raise errors.invalid("Invalid page token.") from None
