"""Lists in pages, with tokens that survive deletions."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_gemini_files.emulator import errors

if TYPE_CHECKING:
    from airflow_provider_gemini_files.emulator.dispatch import Call

_DEFAULT_SIZE = 10


class Listed(Protocol):
    """What can be in a list: it has an id and was created at some time."""

    @property
    def id(self) -> str:
        """Return the id."""

    @property
    def created(self) -> float:
        """Return the time in seconds since the epoch."""


class Shown(Listed, Protocol):
    """What can be shown in a list."""

    def to_json(self, now: float, /) -> dict[str, Any]:
        """Return the resource."""


T = TypeVar("T", bound=Listed)


def page(
    call: Call, items: Iterable[T], request: str, *, largest: int, default: int = _DEFAULT_SIZE
) -> tuple[list[T], str | None]:
    """
    Return the page a request asks for, and the token of the next one; None on the last.

    :param items: all of them, newest first.
    :param request: the name of the request, for the error.
    :param default: the size of a page when none is asked for.
    :param largest: the largest page; a larger one is refused.
    :raises ApiError: 400 for a size or a token that cannot be.
    """
    size = _size(call.query.get("pageSize"), request, default, largest)
    left = sorted(items, key=_order, reverse=True)
    if token := call.query.get("pageToken"):
        after = _read(token)
        left = [item for item in left if _order(item) < after]
    shown = left[:size]
    return shown, _write(shown[-1]) if len(left) > size else None


def listing(call: Call, items: Iterable[Shown], field: str, *, largest: int) -> dict[str, Any]:
    """
    Return the answer of a list request; what there is nothing of is absent.

    :param field: what the answer calls the items.
    """
    shown, token = page(call, items, f"List{field[0].upper()}{field[1:]}Request", largest=largest)
    body: dict[str, Any] = {field: [item.to_json(call.now) for item in shown], "nextPageToken": token}
    return {key: value for key, value in body.items() if value}


def _order(item: Listed) -> tuple[float, str]:
    return item.created, item.id


def _size(given: str | None, request: str, default: int, largest: int) -> int:
    if not given or given == "0":
        return default
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
