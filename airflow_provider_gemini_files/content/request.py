"""A request to a model, read once from the arguments of an author."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_url
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.common.unset import is_unset
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.search import FileSearch
from airflow_provider_gemini_files.files.reference import GeminiFile

#: Set by ``response_schema``, and so by nothing else; the SDK accepts both spellings.
_SET_BY_SCHEMA = {
    "response_mime_type", "response_schema", "response_json_schema",
    "responseMimeType", "responseSchema", "responseJsonSchema",
}  # fmt: skip
#: What does not change the path or the query of a URL; gateways have names like ``google/gemini-3.8-flash:free``.
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*")
#: A configuration can come from whoever triggers a run, who must not send the key to another host.
_SET_BY_CONNECTION = {"http_options", "httpOptions", "should_return_http_response", "shouldReturnHttpResponse"}
#: What ``system_instruction`` sets.
_INSTRUCTION = {"system_instruction", "systemInstruction"}

#: What the service refuses beside a cache, even if the cache holds the same; in both spellings.
_NOT_BESIDE_CACHE = {
    "system_instruction", "tools", "tool_config", "cached_content",
    "systemInstruction", "toolConfig", "cachedContent",
}  # fmt: skip


@dataclass(frozen=True)
class UsedCache:
    """
    The cache that a request uses.

    :param name: ``cachedContents/...``.
    :param identity: a text that stands for what the cache holds, for digests.
    :param files: the names of the files that it holds, as far as known.
    :param recreated: what the service has reported of it, if it takes the place of one that was gone.
    """

    name: str
    identity: str
    files: tuple[str, ...] = ()
    recreated: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ModelRequest:
    """
    A request to a model, checked as far as that needs no call.

    :param model: the connection's if None.
    :param generation_config: fields of ``google.genai.types.GenerateContentConfig``.
    :param schema: what the answer has to follow; any text if None.
    :param file_search: the stores that the model searches; none if None.
    :param cache: what comes before the contents; nothing if None.
    """

    contents: Contents
    model: str | None = None
    system_instruction: str | None = None
    generation_config: Mapping[str, Any] | None = None
    schema: Schema | None = None
    file_search: FileSearch | None = None
    cache: UsedCache | None = None

    @classmethod
    def of(
        cls,
        *,
        prompt: str | None = None,
        files: Any = None,
        contents: Any = None,
        model: str | None = None,
        system_instruction: str | None = None,
        generation_config: Mapping[str, Any] | None = None,
        response_schema: Any = None,
        file_search: Any = None,
    ) -> ModelRequest:
        """
        Read a request; see ``GeminiGenerateContentOperator`` for the arguments.

        :raises GeminiInputError: for an argument that cannot be used; nothing has been sent.
        """
        request = cls(
            Contents.parse(prompt, files, contents),
            # An empty template means that nothing is set.
            model=model or None,
            system_instruction=system_instruction or None,
            generation_config=generation_config or None,
            schema=None if response_schema is None else Schema.of(response_schema),
            file_search=None if is_unset(file_search) else FileSearch.of(file_search),
        )
        return request.checked()

    def checked(self) -> ModelRequest:
        """
        Return the request.

        :raises GeminiInputError: for a field that cannot be used.
        """
        for name, text in (("model", self.model), ("system_instruction", self.system_instruction)):
            if text is not None and not isinstance(text, str):
                raise GeminiInputError(f"{name} must be a text; got {text!r} ({type(text).__name__}).")
        if self.model is not None and not _MODEL.fullmatch(self.model):
            raise GeminiInputError(f"model must be a name like 'gemini-3.8-flash'; got {self.model!r}.")
        _check_config(self.generation_config, self.schema)
        if self.system_instruction is not None and _INSTRUCTION & set(self.generation_config or {}):
            raise GeminiInputError("system_instruction is in generation_config, too: leave one of them out.")
        if self.file_search:
            self.file_search.tools(self.generation_config)
        if self.cache:
            self._check_beside(self.cache)
        return self

    def _check_beside(self, cache: UsedCache) -> None:
        """Refuse what the service would refuse in a request that uses a cache."""
        given = [
            f"{name} of generation_config" for name in sorted(_NOT_BESIDE_CACHE & set(self.generation_config or {}))
        ]
        given += ["system_instruction"] if self.system_instruction is not None else []
        given += ["file_search"] if self.file_search is not None else []
        if given:
            raise GeminiInputError(
                f"A request that uses a cache cannot have {', '.join(given)}; it uses {cache.name}. Give the system "
                "instruction to GeminiCreateCacheOperator, and leave out the rest or the cache."
            )

    def configuration(self, model: str) -> Mapping[str, Any] | None:
        """
        Return the generation config with everything that is sent in it.

        :param model: the one that is asked.
        :raises GeminiInputError: for a model without file search, if stores are to be searched.
        """
        given = self.generation_config
        if self.cache:
            return {**(given or {}), "cached_content": self.cache.name}
        if self.file_search is None:
            return given
        self.file_search.check_model(model)
        return {**(given or {}), "tools": self.file_search.tools(given)}

    @property
    def file_names(self) -> list[str]:
        """Return the names of the files that the model is shown, those of the cache first; of a source its URI."""
        return [*(self.cache.files if self.cache else ()), *self.contents.shown]

    def turns(self, files: Sequence[GeminiFile]) -> list[dict[str, Any]]:
        """
        Return the turns in the service's spelling.

        :param files: the files of the contents, in the order of their names; their URIs and MIME types are used.
        """
        return self.contents.turns(dict(zip(self.contents.names, files, strict=True)))

    def suspects(self, files: Sequence[GeminiFile]) -> str:
        """
        Return what of the request the service may refuse when it does not say why, in one sentence.

        :param files: as for :meth:`turns`.
        """
        parts = [part for turn in self.turns(files) for part in turn["parts"]]
        shown = [part["fileData"] for part in parts if "fileData" in part]
        own = {file.uri for file in files}
        types = {data.get("mimeType") for data in shown if data["fileUri"] in own}
        inline = {part["inlineData"]["mimeType"] for part in parts if "inlineData" in part}
        urls = [shown_url(data["fileUri"]) for data in shown if data["fileUri"] not in own]
        found = {
            "response_schema": _size_of(self.schema.json_schema) if self.schema else "",
            "files of type": ", ".join(sorted(map(str, types))),
            "inline data of type": ", ".join(sorted(inline)),
            "URLs": ", ".join(urls),
            "generation_config": ", ".join(sorted(self.generation_config or {})),
            "file_search in": ", ".join(self.file_search.stores) if self.file_search else "",
            "model": self.model or "",
            "cached_content": self.cache.name if self.cache else "",
        }
        told = "; ".join(f"{name} {value}" for name, value in found.items() if value)
        return f"Possible causes in the request: {told or 'only texts'}."


def _size_of(json_schema: Mapping[str, Any]) -> str:
    """Return size, depth and largest array bound of a schema; the service refuses large ones without a reason."""
    size = human_bytes(len(json.dumps(json_schema).encode()))
    nodes = list(_nodes(json_schema))
    bounds = [node["maxItems"] for node, _ in nodes if isinstance(node.get("maxItems"), int)]
    bound = f", maxItems up to {max(bounds)}" if bounds else ""
    return f"of {size}, {max(depth for _, depth in nodes)} levels deep{bound} (try a smaller one)"


def _nodes(value: Any, depth: int = 1) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Yield the objects within a JSON value, with their depth."""
    if isinstance(value, Mapping):
        yield value, depth
        for inner in value.values():
            yield from _nodes(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner, depth)


def _is_finite(value: Any) -> bool:
    """Return whether all numbers within a value are finite; the SDK would send others as texts."""
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _check_config(generation_config: Any, schema: Schema | None) -> None:
    if generation_config is None:
        return
    if not isinstance(generation_config, Mapping):
        raise GeminiInputError(
            f"generation_config must be a dict of fields of GenerateContentConfig; got {generation_config!r}."
        )
    if not _is_finite(generation_config):
        raise GeminiInputError(f"generation_config has a number that JSON does not have: {dict(generation_config)!r}.")
    given = set(generation_config)
    if wrong := sorted(given & _SET_BY_CONNECTION):
        raise GeminiInputError(
            f"generation_config has {', '.join(wrong)}: the connection decides how the service is reached."
        )
    if schema and (twice := sorted(given & _SET_BY_SCHEMA)):
        raise GeminiInputError(f"response_schema sets {', '.join(twice)} of generation_config: leave one of them out.")
