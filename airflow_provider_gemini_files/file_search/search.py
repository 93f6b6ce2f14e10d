"""The file search of a request: which stores a model may look into, and what an answer cites of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.metadata import OWN_PREFIX, Origin, from_api
from airflow_provider_gemini_files.file_search.resources import parse_store
from airflow_provider_gemini_files.files.reference import in_order

_KEYS = {"stores", "metadata_filter", "top_k"}
#: Fields of a chunk that a citation has, and their names here.
_CITED = {"title": "title", "fileSearchStore": "store", "pageNumber": "page", "mediaId": "media_id"}
#: Tools of the service that cannot be combined with file search, in both spellings.
_BUILT_IN = {
    "google_search", "googleSearch", "google_search_retrieval", "googleSearchRetrieval", "url_context", "urlContext",
    "google_maps", "googleMaps", "file_search", "fileSearch", "code_execution", "codeExecution", "computer_use",
    "computerUse", "enterprise_web_search", "enterpriseWebSearch", "retrieval",
}  # fmt: skip
#: Models before Gemini 3 are not in Google's table of models with file search.
_WITHOUT = re.compile(r"(models/)?gemini-[12](\.|-|$)")


@dataclass(frozen=True)
class FileSearch:
    """
    The stores that a model searches.

    :param stores: ``fileSearchStores/...``.
    :param metadata_filter: an expression over custom metadata (AIP-160), such as ``team = "ops"``.
    :param top_k: chunks that are found, the most.
    """

    stores: tuple[str, ...]
    metadata_filter: str | None = None
    top_k: int | None = None

    @classmethod
    def of(cls, given: Any) -> FileSearch:
        """
        Read ``{"stores": [...], "metadata_filter": ..., "top_k": ...}``.

        :raises GeminiInputError: for anything else, and if there is no store.
        """
        if not isinstance(given, Mapping):
            raise GeminiInputError(
                f"file_search must be a dict like {{'stores': ['fileSearchStores/...']}}; got {given!r}."
            )
        if unknown := sorted(str(key) for key in given.keys() - _KEYS):
            raise GeminiInputError(f"file_search: unknown {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}.")
        top_k = given.get("top_k")
        if top_k is None or str(top_k).strip() in ("", "None"):
            top_k = None
        elif isinstance(top_k, bool) or not str(top_k).isdecimal() or int(top_k) < 1:
            raise GeminiInputError(f"file_search: top_k must be a whole number, at least 1; got {top_k!r}.")
        metadata_filter = given.get("metadata_filter")
        if not isinstance(metadata_filter, str | None):
            raise GeminiInputError(f"file_search: metadata_filter must be a text; got {metadata_filter!r}.")
        if metadata_filter is None or metadata_filter.strip() in ("", "None"):
            metadata_filter = None
        return cls(_stores(given.get("stores")), metadata_filter, None if top_k is None else int(top_k))

    def tool(self) -> dict[str, Any]:
        """Return the tool of a request, as ``GenerateContentConfig`` takes it."""
        options = {"metadata_filter": self.metadata_filter, "top_k": self.top_k}
        given = {name: value for name, value in options.items() if value is not None}
        return {"file_search": {"file_search_store_names": list(self.stores), **given}}

    def tools(self, generation_config: Mapping[str, Any] | None) -> list[Any]:
        """
        Return the tools of a configuration with this one.

        :raises GeminiInputError: if it has another tool of the service, which file search cannot be combined with.
        """
        tools = (generation_config or {}).get("tools") or []
        listed = list(tools) if isinstance(tools, list | tuple) else [tools]
        others = {str(name) for tool in listed if isinstance(tool, Mapping) for name in tool if name in _BUILT_IN}
        if others:
            raise GeminiInputError(
                f"file_search cannot be combined with {', '.join(sorted(others))} of generation_config's tools."
            )
        return [*listed, self.tool()]

    @staticmethod
    def check_model(model: str) -> None:
        """
        Refuse a model that has no file search.

        :raises GeminiInputError: naming the model.
        """
        if _WITHOUT.match(model):
            raise GeminiInputError(f"{model} does not support file search: choose a model from Gemini 3 on.")


def _stores(given: Any) -> tuple[str, ...]:
    if isinstance(given, str | Mapping):
        given = [given]
    listed = in_order(given) if isinstance(given, Iterable) else []
    if not listed:
        raise GeminiInputError("file_search: stores is empty, so there is nothing to search.")
    return tuple(dict.fromkeys(map(_store, listed)))


def _store(given: Any) -> str:
    try:
        return parse_store(given)
    except GeminiInputError as error:
        raise GeminiInputError(f"file_search: {error}") from error


def citations_of(grounding: Any) -> tuple[dict[str, Any], ...]:
    """
    Return what an answer cites of file search stores, from its ``groundingMetadata``, without duplicates.

    :return: ``{"title", "store", "page", "media_id", "metadata", "source"}``, each as far as the service says it.
    """
    chunks = grounding.get("groundingChunks") if isinstance(grounding, Mapping) else None
    found: dict[str, dict[str, Any]] = {}
    for chunk in chunks if isinstance(chunks, list) else []:
        context = chunk.get("retrievedContext") if isinstance(chunk, Mapping) else None
        citation = _citation(context) if isinstance(context, Mapping) else {}
        if citation:
            found.setdefault(str(citation), citation)
    return tuple(found.values())


def _citation(context: Mapping[str, Any]) -> dict[str, Any]:
    metadata = from_api(context.get("customMetadata"))
    origin = Origin.of(metadata)
    told = {
        **{name: context.get(key) for key, name in _CITED.items()},
        "metadata": {name: value for name, value in metadata.items() if not name.startswith(OWN_PREFIX)} or None,
        "source": origin.source if origin else None,
    }
    return {name: value for name, value in told.items() if value is not None}
