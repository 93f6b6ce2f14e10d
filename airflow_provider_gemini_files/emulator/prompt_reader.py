"""Read a request into the prompt that a model is shown."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import get, get_object, get_objects, get_text
from airflow_provider_gemini_files.emulator.cache import find_cache
from airflow_provider_gemini_files.emulator.media import tokens
from airflow_provider_gemini_files.emulator.projects import Project
from airflow_provider_gemini_files.emulator.prompt import Prompt, ShownFile


def read_prompt(project: Project, body: dict[str, Any], request: str = "GenerateContentRequest") -> Prompt:
    """
    Read a request's contents, system instruction and cache.

    :param request: name of the request, for errors.
    :raises ApiError: 400 for an empty prompt or a file that is not ACTIVE, 403 if a resource does not exist.
    """
    prompt = Prompt(system=_system_text(body))
    if cache_name := get(body, "cachedContent"):
        cached = find_cache(project, str(cache_name).removeprefix("cachedContents/")).prompt
        prompt = Prompt(list(cached.texts), list(cached.files), cached.system or prompt.system, cached.tokens())
    _add_contents(project, body, prompt, request)
    if not prompt.texts and not prompt.files:
        raise errors.invalid(f"* {request}.contents: contents is not specified\n")
    return prompt


def _add_contents(project: Project, body: dict[str, Any], prompt: Prompt, request: str) -> None:
    for content in get_objects(body, "contents"):
        for part in get_objects(content, "parts"):
            if "text" in part:
                prompt.texts.append(str(part["text"]))
            elif data := get_object(part, "fileData"):
                prompt.files.append(_stored_file(project, data, request))
            elif data := get_object(part, "inlineData"):
                prompt.files.append(_inline_file(data))


def _stored_file(project: Project, data: dict[str, Any], request: str) -> ShownFile:
    uri = str(get(data, "fileUri") or "")
    if uri.startswith("https://") and "/files/" not in uri:
        # YouTube or a web page; the service would fetch it.
        return ShownFile(uri, get_text(data, "mimeType") or "video/*", 0, "unknown", 0)
    file = project.file_of_uri(uri, request)
    if file.state(project.clock.now()) != "ACTIVE":
        raise errors.not_active(file.id)
    count = tokens(file.mime_type, file.content, file.size)
    mime_type = get_text(data, "mimeType") or file.mime_type
    return ShownFile(f"files/{file.id}", mime_type, file.size, file.sha256 or "unknown", count)


def _inline_file(data: dict[str, Any]) -> ShownFile:
    given = str(data.get("data") or "")
    try:
        content = base64.b64decode(given.replace("-", "+").replace("_", "/") + "=" * (-len(given) % 4))
    except (ValueError, binascii.Error):
        raise errors.invalid('Invalid value at "inline_data.data" (TYPE_BYTES), Base64 decoding failed.') from None
    mime_type = str(get(data, "mimeType") or "application/octet-stream")
    digest = hashlib.sha256(content).hexdigest()
    return ShownFile("inline", mime_type, len(content), digest, tokens(mime_type, content, len(content)))


def _system_text(body: dict[str, Any]) -> str:
    instruction = get_object(body, "systemInstruction")
    return "\n".join(str(part.get("text", "")) for part in get_objects(instruction, "parts"))
