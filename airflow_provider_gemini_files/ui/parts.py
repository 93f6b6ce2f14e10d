"""The rows of a listing in parts, so that no response is large, however many resources there are."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

#: Bytes of one part; a row that is larger than this is sent alone.
MAX_BYTES = 250_000


@dataclass(frozen=True)
class Part:
    """
    Consecutive rows, in the order of their names.

    :param owners: of these rows, as JSON: each once, because many rows have the same.
    :param rows: as JSON; the first value of each is the position of its owner, or null.
    :param next: what :meth:`Rows.part` takes to return the following part; None for the last one.
    """

    owners: bytes
    rows: bytes
    next: str | None


class Rows:
    """
    The rows of a listing, encoded once for all users.

    A part begins after a name, not at a position: the parts that a browser asks for can come from several processes of
    the API server, each of which has a listing of its own.

    :param rows: name, owner and other values of each row.
    """

    def __init__(self, rows: Iterable[tuple[str, list[Any] | None, list[Any]]]) -> None:
        self._rows = sorted((name, _encode(owner) if owner else b"", _encode(values)) for name, owner, values in rows)
        self._names = [name for name, *_ in self._rows]

    def part(self, after: str = "") -> Part:
        """
        Return the rows whose names follow a name, as many as a response may have.

        :param after: the name; empty for the first part.
        """
        positions: dict[bytes, int] = {}
        encoded: list[bytes] = []
        size, last = 0, after
        for name, owner, values in self._rows[bisect_right(self._names, after) :]:
            position = str(positions.get(owner, len(positions))).encode() if owner else b"null"
            row = b"[%b,%b" % (position, values[1:])
            size += len(row) + 1 + (len(owner) + 1 if owner not in positions else 0)
            if encoded and size > MAX_BYTES:
                return Part(_list(positions), _list(encoded), last)
            if owner:
                positions.setdefault(owner, len(positions))
            encoded.append(row)
            last = name
        return Part(_list(positions), _list(encoded), None)


def _encode(values: list[Any]) -> bytes:
    # A character that is not ASCII takes half the bytes if it is not escaped; lone surrogates have to be.
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")


def _list(encoded: Iterable[bytes]) -> bytes:
    return b"[%b]" % b",".join(encoded)
