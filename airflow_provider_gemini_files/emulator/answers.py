"""What the models answer: what they were shown, or what a test wrote for them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any

from airflow_provider_gemini_files.emulator.body import get, get_object
from airflow_provider_gemini_files.emulator.prompt import Prompt, text_tokens
from airflow_provider_gemini_files.emulator.schema import instance

_BLOCKED_RATING = {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
#: Reasons to end with which no text comes.
_WITHOUT_TEXT = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL"}
)


@dataclass(frozen=True)
class Scripted:
    """
    An answer that a test wrote.

    :param text: the text; None: what a model says by itself.
    :param finish_reason: why it ends; ``SAFETY`` and its like come with a rating and without text.
    :param block_reason: why the prompt is refused; there are no candidates then.
    :param empty: no candidates, and no reason why.
    :param response: the whole response, as it is; nothing else counts then.
    :param api_key: only for requests of this key; None: for any.
    """

    text: str | None = None
    finish_reason: str = "STOP"
    block_reason: str | None = None
    empty: bool = False
    response: dict[str, Any] | None = None
    api_key: str | None = None


class Script:
    """The answers a test has queued; each is given once, in their order."""

    def __init__(self) -> None:
        self._answers: list[Scripted] = []

    def add(self, text: str | None = None, **options: Any) -> None:
        """
        Queue an answer.

        :param text: see :class:`Scripted`, as for the options.
        :raises ValueError: for an option that does not exist.
        """
        self.load([{"text": text, **options}])

    def load(self, items: Any) -> None:
        """
        Queue answers given as a list of objects with the fields of :class:`Scripted`; all of them or none.

        :raises ValueError: with the first thing that is wrong, in one sentence.
        """
        known = {f.name for f in fields(Scripted)}
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError("expected a list of answers")
        for item in items:
            if unknown := item.keys() - known:
                raise ValueError(f"unknown field {min(unknown)!r}; there are {', '.join(sorted(known))}")
        self._answers += [Scripted(**item) for item in items]

    def take(self, api_key: str) -> Scripted | None:
        """Return the next answer for a key, which is used up by that."""
        for at, answer in enumerate(self._answers):
            if answer.api_key in (None, api_key):
                return self._answers.pop(at)
        return None


def respond(prompt: Prompt, model: str, config: dict[str, Any], scripted: Scripted | None) -> dict[str, Any]:
    """
    Answer a prompt.

    :param config: the request's ``generationConfig``.
    :raises ApiError: 501 when an answer is to follow a schema and none can be made.
    """
    scripted = scripted or Scripted()
    if scripted.response is not None:
        return scripted.response
    text = _own_text(prompt, config) if scripted.text is None else scripted.text
    if scripted.finish_reason in _WITHOUT_TEXT or scripted.block_reason or scripted.empty:
        text = ""
    body: dict[str, Any] = {"usageMetadata": _usage(prompt, text), "modelVersion": model}
    body["responseId"] = hashlib.sha256(f"{prompt.text}\0{text}".encode()).hexdigest()[:22]
    if scripted.block_reason:
        body["promptFeedback"] = {"blockReason": scripted.block_reason, "safetyRatings": [_BLOCKED_RATING]}
    elif not scripted.empty:
        body = {"candidates": [_candidate(prompt, text, scripted.finish_reason)], **body}
    return body


def _candidate(prompt: Prompt, text: str, finish_reason: str) -> dict[str, Any]:
    candidate: dict[str, Any] = {"finishReason": finish_reason, "index": 0}
    if finish_reason in _WITHOUT_TEXT:
        if finish_reason == "SAFETY":
            candidate["safetyRatings"] = [_BLOCKED_RATING]
        return candidate
    if prompt.documents:
        candidate["groundingMetadata"] = _grounding(prompt, text)
    return {"content": {"parts": [{"text": text}], "role": "model"}, **candidate}


def _grounding(prompt: Prompt, text: str) -> dict[str, Any]:
    chunks = [{"retrievedContext": document.retrieved()} for document in prompt.documents]
    segment = {"endIndex": len(text.encode()), "text": text}
    return {
        "groundingChunks": chunks,
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": list(range(len(chunks)))}],
    }


def wanted_schema(config: dict[str, Any]) -> dict[str, Any]:
    """Return the schema an answer is to follow, of either kind; empty: any answer will do."""
    return get_object(config, "responseJsonSchema") or get_object(config, "responseSchema")


def _own_text(prompt: Prompt, config: dict[str, Any]) -> str:
    """Say what was seen, in the form that was asked for."""
    mime_type = str(get(config, "responseMimeType") or "text/plain")
    if schema := wanted_schema(config):
        value = instance(schema, seed=prompt.text, gemini=not get_object(config, "responseJsonSchema"))
        return str(value) if mime_type == "text/x.enum" else json.dumps(value, ensure_ascii=False)
    if mime_type == "application/json":
        files = [{"name": file.name, "mimeType": file.mime_type, "sha256": file.sha256} for file in prompt.seen]
        return json.dumps({"asked": prompt.text, "files": files}, ensure_ascii=False)
    return _describe(prompt)


def _describe(prompt: Prompt) -> str:
    lines = [f"I am an emulated model. I was shown {len(prompt.seen)} file(s):"]
    lines += [f"{n}. {f.name} {f.mime_type}, {f.size} bytes, sha256 {f.sha256}" for n, f in enumerate(prompt.seen, 1)]
    if prompt.documents:
        lines.append(f"I found in stores: {', '.join(document.display_name for document in prompt.documents)}")
    if prompt.system:
        lines.append(f"I was instructed: {prompt.system}")
    lines.append(f"I was asked: {prompt.text}")
    return "\n".join(lines)


def _usage(prompt: Prompt, text: str) -> dict[str, Any]:
    counts = prompt.tokens_by_modality()
    asked, answered = sum(counts.values()), text_tokens(text)
    usage: dict[str, Any] = {
        "promptTokenCount": asked,
        "candidatesTokenCount": answered,
        "cachedContentTokenCount": prompt.cached_tokens,
        "toolUsePromptTokenCount": sum(document.tokens() for document in prompt.documents),
        "totalTokenCount": asked + answered,
        "promptTokensDetails": details(counts),
    }
    return {key: value for key, value in usage.items() if value or key == "promptTokenCount"}


def details(counts: dict[str, int]) -> list[dict[str, Any]]:
    """Write token counts by modality as the service does."""
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items()]
