"""File search: which chunks of the documents in stores a prompt finds."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import get, get_int, get_object, get_objects, get_text
from airflow_provider_gemini_files.emulator.catalog import has_file_search
from airflow_provider_gemini_files.emulator.chunks import Chunk, chunks_of
from airflow_provider_gemini_files.emulator.filters import Condition, parse_filter
from airflow_provider_gemini_files.emulator.projects import Project
from airflow_provider_gemini_files.emulator.stores import Document, find_store

DEFAULT_TOP_K = 10
_FIELD = "* GenerateContentRequest.tools.file_search"
#: Other tools that cannot be used in the same request.
_OTHER_GROUNDING = ("googleSearch", "urlContext")
#: Words that are in most texts, so that they say nothing about which one is meant.
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a about all an and any are as at be been but by can could do does for from had has have how i if in into is "
        "it its may me more my no not of on one or our should so than that the their them then there these they this "
        "to us was we were what when where which who why will with would you your",
    )
)


def search(project: Project, model: str, body: dict[str, Any], text: str) -> list[Chunk]:
    """
    Return the chunks that a request's file search tools find, the best one first; none without such a tool.

    A chunk is found if it has a word of the prompt. The more different words, the better it is; among equals, the
    document that was added first comes first.

    :param body: the generateContent request.
    :param text: the text of the prompt.
    :raises ApiError: 400 for a tool that the service refuses, 403 for a store that does not exist.
    """
    tools = get_objects(body, "tools")
    searches = [get_object(tool, "fileSearch") for tool in tools if get(tool, "fileSearch") is not None]
    if not searches:
        return []
    if others := [name for name in _OTHER_GROUNDING if any(get(tool, name) is not None for tool in tools)]:
        raise errors.invalid(f"The tool file_search cannot be used together with {others[0]} in one request.")
    if not has_file_search(model):
        raise errors.invalid(f"Tool file_search is not supported for models/{model}.")
    return [chunk for options in searches for chunk in _search(project, options, words(text))]


def words(text: str) -> set[str]:
    """Return the words of a text in lower case, without those that are in most texts."""
    return set(re.findall(r"\w+", text.casefold())) - _COMMON


def _search(project: Project, options: dict[str, Any], wanted: set[str]) -> list[Chunk]:
    matches = parse_filter(given) if (given := get_text(options, "metadataFilter")) else None
    top_k = get_int(options, "topK") or DEFAULT_TOP_K
    if top_k < 0:
        raise errors.invalid(f"{_FIELD}.top_k: must not be negative.\n")
    documents = _documents(project, get(options, "fileSearchStoreNames"), matches)
    chunks = (chunk for document in documents for chunk in chunks_of(document))
    scored = ((_score(chunk, wanted), chunk) for chunk in chunks)
    return [chunk for score, chunk in heapq.nlargest(top_k, scored, key=lambda pair: pair[0]) if score]


def _score(chunk: Chunk, wanted: set[str]) -> int:
    """Return how many of the words a chunk has; a chunk without text has the words of its title."""
    text = (chunk.text or chunk.title).casefold()
    # Most chunks have none, and to find that out is much faster than to list their words.
    return len(wanted & words(text)) if any(word in text for word in wanted) else 0


def _documents(project: Project, names: Any, matches: Condition | None) -> Iterator[Document]:
    """Yield the ACTIVE documents of the stores, those that match only."""
    if not names or not isinstance(names, list):
        raise errors.invalid(f"{_FIELD}.file_search_store_names: must not be empty.\n")
    now = project.clock.now()
    for store in [find_store(project, str(name).removeprefix("fileSearchStores/")) for name in names]:
        for document in store.active_documents(now):
            if matches is None or matches(document.metadata()):
                yield document
