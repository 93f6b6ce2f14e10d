"""What a prompt shows to a model: texts, files and inline data, in their order."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import get, get_object, get_objects, get_text
from airflow_provider_gemini_files.emulator.media import tokens
from airflow_provider_gemini_files.emulator.projects import Project

_CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True)
class Seen:
    """A file a model was shown."""

    name: str
    mime_type: str
    size: int
    sha256: str
    tokens: int


@dataclass
class Prompt:
    """
    Everything a model was shown.

    :param cached_tokens: how many of the tokens come from a cache.
    :param documents: what a search in file search stores found.
    """

    texts: list[str] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    system: str = ""
    cached_tokens: int = 0
    documents: list[Any] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return all that was asked."""
        return "\n".join(self.texts)

    def tokens(self) -> int:
        """Count all of it."""
        return sum(self.tokens_by_modality().values())

    def tokens_by_modality(self) -> dict[str, int]:
        """Count by modality; what there is nothing of is absent."""
        counts = {"TEXT": text_tokens(self.text) + text_tokens(self.system)}
        for file in self.seen:
            kind = file.mime_type.partition("/")[0].upper()
            modality = kind if kind in {"TEXT", "IMAGE", "VIDEO", "AUDIO"} else "DOCUMENT"
            counts[modality] = counts.get(modality, 0) + file.tokens
        return {modality: count for modality, count in counts.items() if count}


def text_tokens(text: str) -> int:
    """Count the tokens of a text: about four characters each."""
    return len(text) // _CHARACTERS_A_TOKEN


def read_prompt(project: Project, body: dict[str, Any], request: str = "GenerateContentRequest") -> Prompt:
    """
    Look at a request's contents, system instruction, cache and file search stores.

    :param request: the name of the request, for errors.
    :raises ApiError: 400 for an empty prompt or a file that is not ACTIVE, 403 for one that is not here.
    """
    prompt = Prompt(system=_system_text(body))
    if cache_name := get(body, "cachedContent"):
        cached = project.cache(str(cache_name).removeprefix("cachedContents/")).prompt
        prompt = Prompt(list(cached.texts), list(cached.seen), cached.system or prompt.system, cached.tokens())
    _look(project, body, prompt, request)
    if not prompt.texts and not prompt.seen:
        raise errors.invalid(f"* {request}.contents: contents is not specified\n")
    for tool in get_objects(body, "tools"):
        names = get(get_object(tool, "fileSearch"), "fileSearchStoreNames") or []
        for name in names if isinstance(names, list) else [names]:
            store = project.store(str(name).removeprefix("fileSearchStores/"))
            prompt.documents += store.ready_documents(project.clock.now())
    return prompt


def _look(project: Project, body: dict[str, Any], prompt: Prompt, request: str) -> None:
    for content in get_objects(body, "contents"):
        for part in get_objects(content, "parts"):
            if "text" in part:
                prompt.texts.append(str(part["text"]))
            elif data := get_object(part, "fileData"):
                prompt.seen.append(_see_file(project, data, request))
            elif data := get_object(part, "inlineData"):
                prompt.seen.append(_see_bytes(data))


def _see_file(project: Project, data: dict[str, Any], request: str) -> Seen:
    uri = str(get(data, "fileUri") or "")
    if uri.startswith("https://") and "/files/" not in uri:
        # YouTube, or a page: the service would look it up.
        return Seen(uri, get_text(data, "mimeType") or "video/*", 0, "unknown", 0)
    file = project.file_of_uri(uri, request)
    if file.state(project.clock.now()) != "ACTIVE":
        raise errors.not_active(file.id)
    count = tokens(file.mime_type, file.content, file.size)
    return Seen(
        f"files/{file.id}", get_text(data, "mimeType") or file.mime_type, file.size, file.sha256 or "unknown", count
    )


def _see_bytes(data: dict[str, Any]) -> Seen:
    given = str(data.get("data") or "")
    try:
        content = base64.b64decode(given.replace("-", "+").replace("_", "/") + "=" * (-len(given) % 4))
    except (ValueError, binascii.Error):
        raise errors.invalid('Invalid value at "inline_data.data" (TYPE_BYTES), Base64 decoding failed.') from None
    mime_type = str(get(data, "mimeType") or "application/octet-stream")
    digest = hashlib.sha256(content).hexdigest()
    return Seen("inline", mime_type, len(content), digest, tokens(mime_type, content, len(content)))


def _system_text(body: dict[str, Any]) -> str:
    instruction = get_object(body, "systemInstruction")
    return "\n".join(str(part.get("text", "")) for part in get_objects(instruction, "parts"))
