"""The token counts of a model call, by kind and modality."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

#: Our names of the kinds, with the fields of the service that count them.
_KINDS = {
    "prompt": ("promptTokenCount", "promptTokensDetails"),
    "answer": ("candidatesTokenCount", "candidatesTokensDetails"),
    "thoughts": ("thoughtsTokenCount", ""),
    "cached": ("cachedContentTokenCount", "cacheTokensDetails"),
    "tools": ("toolUsePromptTokenCount", "toolUsePromptTokensDetails"),
    "total": ("totalTokenCount", ""),
}

_NUMBER = re.compile(r"([0-9]{1,18})(?:\.0)?")


def usage_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the token counts of a response, from its ``usageMetadata``.

    :return: ``prompt`` (including ``cached``), ``answer``, ``thoughts``, ``cached``, ``tools`` (added to the prompt by
        tools), ``total``; and ``by_modality`` of the kinds that the service splits: ``{"prompt": {"VIDEO": 1800}}``.
    """
    usage: dict[str, Any] = {kind: _count(metadata.get(count)) for kind, (count, _) in _KINDS.items()}
    usage["by_modality"] = {
        kind: split for kind, (_, details) in _KINDS.items() if (split := _by_modality(metadata.get(details)))
    }
    return usage


def _by_modality(details: Any) -> dict[str, int]:
    """Return the counts of a list that may name a modality more than once."""
    counts: dict[str, int] = {}
    for part in _list(details):
        if isinstance(part, Mapping):
            modality = str(part.get("modality"))
            counts[modality] = counts.get(modality, 0) + _count(part.get("tokenCount"))
    return counts


def _count(value: Any) -> int:
    """Return a count; JSON of a gateway may have a text or a decimal in its place."""
    found = _NUMBER.fullmatch(str(value))
    return int(found[1]) if found else 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def sum_of(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sum of the token counts of two calls."""
    both: dict[str, Any] = {kind: one[kind] + other[kind] for kind in _KINDS}
    both["by_modality"] = {
        kind: _sum(one["by_modality"].get(kind, {}), other["by_modality"].get(kind, {}))
        for kind in _KINDS
        if kind in one["by_modality"] or kind in other["by_modality"]
    }
    return both


def counts(usage: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Yield kind, modality and count of everything that is billed; zero counts are omitted."""
    for kind in _KINDS:
        split = usage["by_modality"].get(kind) or {"UNSPECIFIED": usage[kind]}
        if kind != "total":
            yield from ((kind, modality, count) for modality, count in split.items() if count)


def in_words(usage: Mapping[str, Any]) -> str:
    """Return the counts for a log line."""
    told = f"{usage['prompt']} tokens in"
    if split := usage["by_modality"].get("prompt"):
        told += f" ({', '.join(f'{modality} {count}' for modality, count in split.items())})"
    told += f", {usage['answer']} out"
    for kind, words in (("thoughts", "of thoughts"), ("cached", "of the input from a cache"), ("tools", "from tools")):
        if usage[kind]:
            told += f", {usage[kind]} {words}"
    return told


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}
