"""The emulated models: they answer with what they were shown, so that a test can tell."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.dispatch import Call, Method
from airflow_provider_gemini_files.emulator.media import tokens
from airflow_provider_gemini_files.emulator.projects import Project

_RETIRED = re.compile(r"gemini-(1|2\.0)[.-]")


@dataclass
class Seen:
    """A file a model was shown."""

    name: str
    mime_type: str
    size: int
    sha256: str | None
    tokens: int


def check_model(model: str, version: str) -> None:
    """Refuse what is not a Gemini model of today."""
    if not model.startswith("gemini-") or _RETIRED.match(model):
        raise errors.model_not_found(model, version)


def generate(project: Project, model: str, body: dict[str, Any], now: float) -> dict[str, Any]:
    """
    Answer a generateContent request.

    The text names every file in the order given (MIME type, size, sha256) and repeats the prompt.

    :raises ApiError: 400 for an empty prompt or a file that is not ACTIVE, 403 for one that is not here.
    """
    prompts, seen = _look(project, body, now)
    if not prompts and not seen:
        raise errors.invalid("* GenerateContentRequest.contents: contents is not specified\n")
    prompt = "\n".join(prompts)
    answer = _describe(prompt, seen, _system_text(body))
    prompt_tokens = len(prompt) // 4 + sum(file.tokens for file in seen)
    answer_tokens = len(answer) // 4
    return {
        "candidates": [{"content": {"parts": [{"text": answer}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": prompt_tokens,
            "candidatesTokenCount": answer_tokens,
            "totalTokenCount": prompt_tokens + answer_tokens,
            "promptTokensDetails": _by_modality(len(prompt) // 4, seen),
        },
        "modelVersion": model,
        "responseId": hashlib.sha256(answer.encode()).hexdigest()[:22],
    }


def _look(project: Project, body: dict[str, Any], now: float) -> tuple[list[str], list[Seen]]:
    contents = body.get("contents") or []
    prompts: list[str] = []
    seen: list[Seen] = []
    for content in contents if isinstance(contents, list) else [contents]:
        for part in content.get("parts") or []:
            if "text" in part:
                prompts.append(part["text"])
            elif data := part.get("fileData") or part.get("file_data"):
                seen.append(_see_file(project, data, now))
            elif data := part.get("inlineData") or part.get("inline_data"):
                seen.append(_see_bytes(data))
    return prompts, seen


def _see_file(project: Project, data: dict[str, Any], now: float) -> Seen:
    uri = str(data.get("fileUri") or data.get("file_uri") or "")
    file = project.find(uri.rpartition("files/")[2], "GenerateContentRequest")
    if file.state(now) != "ACTIVE":
        raise errors.not_active(file.id)
    mime_type = data.get("mimeType") or data.get("mime_type") or file.mime_type
    return Seen(f"files/{file.id}", mime_type, file.size, file.sha256, tokens(file.mime_type, file.content, file.size))


def _see_bytes(data: dict[str, Any]) -> Seen:
    content = base64.b64decode(data.get("data", ""))
    mime_type = str(data.get("mimeType") or data.get("mime_type") or "application/octet-stream")
    digest = hashlib.sha256(content).hexdigest()
    return Seen("inline", mime_type, len(content), digest, tokens(mime_type, content, len(content)))


def _system_text(body: dict[str, Any]) -> str:
    instruction = body.get("systemInstruction") or body.get("system_instruction") or {}
    return "\n".join(part.get("text", "") for part in instruction.get("parts") or [])


def _describe(prompt: str, seen: list[Seen], system: str) -> str:
    lines = [f"I am an emulated model. I was shown {len(seen)} file(s):"]
    lines += [f"{n}. {f.name} {f.mime_type}, {f.size} bytes, sha256 {f.sha256}" for n, f in enumerate(seen, 1)]
    if system:
        lines.append(f"I was instructed: {system}")
    lines.append(f"I was asked: {prompt}")
    return "\n".join(lines)


def _by_modality(text_tokens: int, seen: list[Seen]) -> list[dict[str, Any]]:
    counts: dict[str, int] = {"TEXT": text_tokens}
    for file in seen:
        kind = file.mime_type.partition("/")[0].upper()
        modality = kind if kind in {"TEXT", "IMAGE", "VIDEO", "AUDIO"} else "DOCUMENT"
        counts[modality] = counts.get(modality, 0) + file.tokens
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items() if count]


async def generate_content(call: Call) -> dict[str, Any]:
    """Answer a prompt."""
    model = call.params["model"]
    project = call.project
    check_model(model, call.version)
    return generate(project, model, await call.json(), call.now)


METHODS = [Method(("generate",), ("POST",), "/models/{model}:generateContent", generate_content)]
