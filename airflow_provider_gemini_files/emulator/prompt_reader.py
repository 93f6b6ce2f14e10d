"""Read a request into the prompt that a model is shown."""

from __future__ import annotations

import base64
import binascii
import hashlib
import mimetypes
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import get, get_object, get_objects, get_text
from airflow_provider_gemini_files.emulator.cache import find_cache
from airflow_provider_gemini_files.emulator.catalog import reads_urls
from airflow_provider_gemini_files.emulator.media import tokens
from airflow_provider_gemini_files.emulator.projects import Project
from airflow_provider_gemini_files.emulator.prompt import Prompt, ShownFile
from airflow_provider_gemini_files.emulator.uris import is_external, is_youtube, without_secrets

#: Fields that a request cannot set together with a cached content, which has its own.
_CACHED_SETTINGS = ("systemInstruction", "tools", "toolConfig")
#: Subtypes of the MIME types that the service fetches from other sites.
_FETCHED = frozenset(
    {"html", "css", "plain", "xml", "csv", "rtf", "javascript", "json", "pdf", "bmp", "jpeg", "png", "webp"}
)


def read_prompt(project: Project, model: str, body: dict[str, Any], request: str = "GenerateContentRequest") -> Prompt:
    """
    Read a request's contents, system instruction and cache.

    :param request: name of the request, for errors.
    :raises ApiError: 400 for an empty prompt, for a file or URL that cannot be used, and for a cache that does not fit
        to the request; 403 if a resource does not exist.
    """
    cached = _cached_prompt(project, model, body)
    prompt = read_contents(project, model, body, request)
    if not prompt.texts and not prompt.files:
        raise errors.invalid(f"* {request}.contents: contents is not specified\n")
    if cached is None:
        return prompt
    return Prompt(
        texts=[*cached.texts, *prompt.texts],
        files=[*cached.files, *prompt.files],
        system=cached.system,
        cached=cached.tokens_by_modality(),
    )


def read_contents(project: Project, model: str, body: dict[str, Any], request: str) -> Prompt:
    """
    Read a request's contents and system instruction, which may be empty.

    :param request: name of the request, for errors.
    :raises ApiError: 400 for a file or URL that cannot be used, 403 if a file does not exist.
    """
    prompt = Prompt(system=_system_text(body))
    for content in get_objects(body, "contents"):
        for part in get_objects(content, "parts"):
            if "text" in part:
                prompt.texts.append(str(part["text"]))
            elif data := get_object(part, "fileData"):
                prompt.files.append(_shown_file(project, model, data, request))
            elif data := get_object(part, "inlineData"):
                prompt.files.append(_inline_file(data))
    return prompt


def _cached_prompt(project: Project, model: str, body: dict[str, Any]) -> Prompt | None:
    """Return the prompt of the request's cache, or None."""
    name = get(body, "cachedContent")
    if not name:
        return None
    if any(get(body, field) for field in _CACHED_SETTINGS):
        raise errors.cache_with_settings()
    cache = find_cache(project, str(name).removeprefix("cachedContents/"))
    if cache.model != f"models/{model}":
        raise errors.cache_of_other_model(f"models/{model}", cache.model)
    return cache.prompt


def _shown_file(project: Project, model: str, data: dict[str, Any], request: str) -> ShownFile:
    uri = str(get(data, "fileUri") or "")
    mime_type = get_text(data, "mimeType")
    if is_youtube(uri):
        return ShownFile(uri, mime_type or "video/*", 0, "unknown", 0)
    if is_external(uri):
        return _fetched_file(model, uri, mime_type)
    file = project.file_of_uri(uri, request)
    if file.state(project.clock.now()) != "ACTIVE":
        raise errors.not_active(file.id)
    count = tokens(file.mime_type, file.content, file.size)
    return ShownFile(f"files/{file.id}", mime_type or file.mime_type, file.size, file.sha256 or "unknown", count)


def _fetched_file(model: str, uri: str, given_type: str | None) -> ShownFile:
    """Return a stand-in for the content of a URL, as nothing is fetched: the same for each signature of the URL."""
    if not reads_urls(model):
        raise errors.unsupported_uri(uri)
    url = without_secrets(uri)
    mime_type = given_type or mimetypes.guess_type(urlsplit(url).path)[0] or "text/html"
    if mime_type.partition(";")[0].strip().partition("/")[2] not in _FETCHED:
        raise errors.unsupported_mime(mime_type)
    content = f"Stand-in for the content of {url}\n".encode()
    return _hashed(url, mime_type, content)


def _inline_file(data: dict[str, Any]) -> ShownFile:
    given = str(data.get("data") or "")
    try:
        content = base64.b64decode(given.replace("-", "+").replace("_", "/") + "=" * (-len(given) % 4))
    except (ValueError, binascii.Error):
        raise errors.invalid('Invalid value at "inline_data.data" (TYPE_BYTES), Base64 decoding failed.') from None
    return _hashed("inline", str(get(data, "mimeType") or "application/octet-stream"), content)


def _hashed(name: str, mime_type: str, content: bytes) -> ShownFile:
    size = len(content)
    digest = hashlib.sha256(content).hexdigest()
    return ShownFile(name, mime_type, size, digest, tokens(mime_type, content, size))


def _system_text(body: dict[str, Any]) -> str:
    instruction = get_object(body, "systemInstruction")
    return "\n".join(str(part.get("text", "")) for part in get_objects(instruction, "parts"))
