"""Long answers, which some models return in pieces, one for each request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The finish reason of a piece that is not the last one.
CONTINUATION = "CONTINUATION"
#: What only the last piece says of the whole answer.
_OF_THE_END = ("finishReason", "finishMessage", "continuationToken")


def token_of(response: Mapping[str, Any]) -> str | None:
    """
    Return what the next request has to say to get the next piece.

    :return: None if there is none: the answer is complete, or this piece adds nothing to it.
    """
    candidate = _first(response)
    content, token = candidate.get("content"), candidate.get("continuationToken")
    if candidate.get("finishReason") != CONTINUATION or not isinstance(token, str) or not token:
        return None
    return token if isinstance(content, Mapping) and content.get("parts") else None


def joined(before: Mapping[str, Any], piece: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return one response for two pieces, with the token counts of both.

    :param before: the pieces so far.
    """
    first = {name: value for name, value in _first(before).items() if name not in _OF_THE_END}
    candidates = [_merged(first, _first(piece))] if _first(piece) else [_first(before)]
    return {**_merged(dict(before), dict(piece)), "candidates": candidates}


def _first(response: Mapping[str, Any]) -> Mapping[str, Any]:
    candidates = response.get("candidates")
    first = candidates[0] if isinstance(candidates, list) and candidates else None
    return first if isinstance(first, Mapping) else {}


def _merged(one: Any, other: Any, name: str = "") -> Any:
    """Merge two JSON values: objects by key, lists one after the other, counts as their sum; of others, the later."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {**one, **{key: _merged(one.get(key), value, key) for key, value in other.items()}}
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *other]
    if name.endswith("TokenCount") and isinstance(one, int) and isinstance(other, int):
        return one + other
    return one if other is None else other
