"""Replies of the models: scripted by a test, or a description of the prompt."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any

from airflow_provider_gemini_files.emulator.body import get, get_object
from airflow_provider_gemini_files.emulator.chunks import Chunk
from airflow_provider_gemini_files.emulator.prompt import Prompt, text_tokens
from airflow_provider_gemini_files.emulator.schema import instance

_BLOCKED_RATING = {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
#: Finish reasons of replies without text.
_WITHOUT_TEXT = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL"}
)
#: Characters of a chunk that an answer repeats.
_QUOTED = 200
#: Fields of a scripted reply that are lists of objects.
_LISTS = ("parts", "candidates")


@dataclass(frozen=True)
class ScriptedReply:
    """
    A reply that a test scripted.

    :param text: the text; None: the model's own text.
    :param parts: the parts instead of a text, such as ``inlineData`` or a part with ``thought``; an empty list is a
        reply without parts.
    :param finish_reason: the finish reason; ``SAFETY`` and similar reasons have no text unless ``parts`` are given.
    :param finish_message: the explanation of the finish reason.
    :param candidates: all candidates as they are; then no other field but ``block_reason`` counts.
    :param block_reason: the reason why the prompt is blocked; there are no candidates then.
    :param empty: no candidates, and no reason.
    :param response: the whole response as it is; then no other field counts.
    :param api_key: only for requests with this key; None: for all.
    :param prompt: only for prompts that contain this text; None: for all.
    """

    text: str | None = None
    parts: list[dict[str, Any]] | None = None
    finish_reason: str = "STOP"
    finish_message: str | None = None
    candidates: list[dict[str, Any]] | None = None
    block_reason: str | None = None
    empty: bool = False
    response: dict[str, Any] | None = None
    api_key: str | None = None
    prompt: str | None = None


class Script:
    """The queue of scripted replies; each is used once, in order."""

    def __init__(self) -> None:
        self._replies: list[ScriptedReply] = []

    def add(self, text: str | None = None, **options: Any) -> None:
        """
        Queue a reply.

        :param text: see :class:`ScriptedReply`, also for the options.
        :raises ValueError: for an unknown option, or one of the wrong type.
        """
        self.load([{"text": text, **options}])

    def load(self, items: Any) -> None:
        """
        Queue replies from a list of objects with the fields of :class:`ScriptedReply`; all of them or none.

        :raises ValueError: the first problem, in one sentence.
        """
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError("expected a list of answers")
        self._replies += [_read(item) for item in items]

    def take(self, api_key: str, prompt: str) -> ScriptedReply | None:
        """
        Remove the next reply for a request, and return it; None if there is none.

        :param api_key: the key of the request.
        :param prompt: all texts of the request.
        """
        for at, reply in enumerate(self._replies):
            if reply.api_key in (None, api_key) and (reply.prompt or "") in prompt:
                return self._replies.pop(at)
        return None


def _read(item: dict[str, Any]) -> ScriptedReply:
    known = {f.name for f in fields(ScriptedReply)}
    if unknown := item.keys() - known:
        raise ValueError(f"unknown field {min(unknown)!r}; there are {', '.join(sorted(known))}")
    for name in _LISTS:
        value = item.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(part, dict) for part in value)):
            raise ValueError(f"{name} must be a list of objects")
    return ScriptedReply(**item)


def reply_to(prompt: Prompt, model: str, config: dict[str, Any], scripted: ScriptedReply | None) -> dict[str, Any]:
    """
    Return the response to a prompt.

    :param config: the request's ``generationConfig``.
    :param scripted: the reply to use; None: the model's own.
    :raises ApiError: 501 if the reply must follow a schema and no value of it can be found.
    """
    scripted = scripted or ScriptedReply()
    if scripted.response is not None:
        return scripted.response
    candidates = _candidates(prompt, config, scripted)
    parts = [part for candidate in candidates for part in parts_of(candidate)]
    body: dict[str, Any] = {"usageMetadata": _usage(prompt, parts), "modelVersion": model}
    seed = f"{prompt.text}\0{_text_of(parts)}"
    body["responseId"] = hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:22]
    if scripted.block_reason:
        body["promptFeedback"] = {"blockReason": scripted.block_reason, "safetyRatings": [_BLOCKED_RATING]}
    return {"candidates": candidates, **body} if candidates else body


def _candidates(prompt: Prompt, config: dict[str, Any], scripted: ScriptedReply) -> list[dict[str, Any]]:
    if scripted.block_reason or scripted.empty:
        return []
    if scripted.candidates is not None:
        return scripted.candidates
    candidate: dict[str, Any] = {"finishReason": scripted.finish_reason, "index": 0}
    if scripted.finish_message is not None:
        candidate["finishMessage"] = scripted.finish_message
    if scripted.finish_reason == "SAFETY":
        candidate["safetyRatings"] = [_BLOCKED_RATING]
    parts = scripted.parts
    if parts is None:
        if scripted.finish_reason in _WITHOUT_TEXT:
            return [candidate]
        parts = [{"text": _own_text(prompt, config) if scripted.text is None else scripted.text}]
    if prompt.found:
        candidate["groundingMetadata"] = _grounding(prompt, _text_of(parts))
    content = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    return [{"content": content, **candidate}]


def parts_of(candidate: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of a candidate; none if a test scripted something else in their place."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _text_of(parts: list[dict[str, Any]], *, thought: bool = False) -> str:
    """Return the text of the answer, or that of its thoughts."""
    return "".join(str(part.get("text") or "") for part in parts if bool(part.get("thought")) is thought)


def _grounding(prompt: Prompt, text: str) -> dict[str, Any]:
    """Return what was found, and which part of the answer each chunk supports: its line, or the whole answer."""
    return {
        "groundingChunks": [{"retrievedContext": chunk.to_json()} for chunk in prompt.found],
        "groundingSupports": [
            {"segment": _segment(text, _line(chunk)), "groundingChunkIndices": [at]}
            for at, chunk in enumerate(prompt.found)
        ],
    }


def _line(chunk: Chunk) -> str:
    """Return the line about a chunk in the model's own answer."""
    return f"I found in {chunk.title}: {' '.join(chunk.text.split())[:_QUOTED]}"


def _segment(text: str, part: str) -> dict[str, Any]:
    """Return the position of a part of a text, or of all of it, in bytes; a start of 0 is omitted."""
    start = text.find(part)
    part, start = (part, start) if start >= 0 else (text, 0)
    first = len(text[:start].encode())
    segment = {"startIndex": first, "endIndex": first + len(part.encode()), "text": part}
    return {key: value for key, value in segment.items() if value}


def wanted_schema(config: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of either kind that the answer must follow; empty if there is none."""
    return get_object(config, "responseJsonSchema") or get_object(config, "responseSchema")


def _own_text(prompt: Prompt, config: dict[str, Any]) -> str:
    """Return a description of the prompt, in the format that the request asks for."""
    mime_type = str(get(config, "responseMimeType") or "text/plain")
    if schema := wanted_schema(config):
        value = instance(schema, seed=prompt.text, gemini=not get_object(config, "responseJsonSchema"))
        return str(value) if mime_type == "text/x.enum" else json.dumps(value, ensure_ascii=False)
    if mime_type == "application/json":
        files = [{"name": file.name, "mimeType": file.mime_type, "sha256": file.sha256} for file in prompt.files]
        return json.dumps({"asked": prompt.text, "files": files}, ensure_ascii=False)
    return _describe(prompt)


def _describe(prompt: Prompt) -> str:
    lines = [f"I am an emulated model. I was shown {len(prompt.files)} file(s):"]
    lines += [f"{n}. {f.name} {f.mime_type}, {f.size} bytes, sha256 {f.sha256}" for n, f in enumerate(prompt.files, 1)]
    lines += [_line(chunk) for chunk in prompt.found]
    if prompt.system:
        lines.append(f"I was instructed: {prompt.system}")
    lines.append(f"I was asked: {prompt.text}")
    return "\n".join(lines)


def _usage(prompt: Prompt, parts: list[dict[str, Any]]) -> dict[str, Any]:
    counts = prompt.tokens_by_modality()
    asked = sum(counts.values())
    answered, thought = text_tokens(_text_of(parts)), text_tokens(_text_of(parts, thought=True))
    usage: dict[str, Any] = {
        "promptTokenCount": asked,
        "candidatesTokenCount": answered,
        "thoughtsTokenCount": thought,
        "cachedContentTokenCount": sum(prompt.cached.values()),
        "toolUsePromptTokenCount": sum(chunk.tokens() for chunk in prompt.found),
        "totalTokenCount": asked + answered + thought,
        "promptTokensDetails": details(counts),
        "cacheTokensDetails": details(prompt.cached),
    }
    return {key: value for key, value in usage.items() if value or key == "promptTokenCount"}


def details(counts: dict[str, int]) -> list[dict[str, Any]]:
    """Return token counts by modality as the service writes them."""
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items()]
