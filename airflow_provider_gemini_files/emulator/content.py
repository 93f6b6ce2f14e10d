"""The methods on models that take a prompt: generate, stream, count tokens, embed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response, StreamingResponse

from airflow_provider_gemini_files.emulator import errors, replies
from airflow_provider_gemini_files.emulator.body import get, get_object, get_objects
from airflow_provider_gemini_files.emulator.call import Call
from airflow_provider_gemini_files.emulator.catalog import answering_model, check_model
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.projects import Project
from airflow_provider_gemini_files.emulator.prompt import text_tokens
from airflow_provider_gemini_files.emulator.prompt_reader import read_prompt
from airflow_provider_gemini_files.emulator.schema import prepare
from airflow_provider_gemini_files.emulator.search import search

#: Number of chunks of a stream that one text is cut into.
_CHUNKS_A_TEXT = 3
#: Fields of a candidate that only the last chunk of a stream has.
_LAST_CHUNK_ONLY = frozenset({"finishReason", "finishMessage", "groundingMetadata"})
_EMBEDDING_SIZE = 3072


def generate(project: Project, model: str, body: dict[str, Any], script: replies.Script) -> dict[str, Any]:
    """
    Return the response to a generateContent request.

    :raises ApiError: 400 for a prompt or a tool that the service refuses, 403 if a resource does not exist.
    """
    prompt = read_prompt(project, model, body)
    prompt.found = search(project, model, body, prompt.text)
    config = get_object(body, "generationConfig")
    answering = answering_model(model, project.clock.now())
    return replies.reply_to(prompt, answering, config, script.take(project.name, prompt.text))


async def generate_content(call: Call) -> dict[str, Any]:
    """Answer a prompt in one response."""
    project, model = call.project, call.params["model"]
    check_model(call, model)
    body = await call.json()
    if replies.wanted_schema(get_object(body, "generationConfig")):
        # The library takes seconds to load; in a thread, other requests continue.
        await asyncio.to_thread(prepare)
    return generate(project, model, body, call.emulator.replies)


async def stream_content(call: Call) -> Response:
    """Answer a prompt in chunks: as server-sent events, or as one JSON array."""
    events = call.query.get("alt") == "sse"
    try:
        whole = await generate_content(call)
    except errors.ApiError as error:
        if not events:
            error.wrapped = True
        raise
    chunks = [json.dumps(chunk) for chunk in _chunks(whole)]
    if events:
        return StreamingResponse(_events(chunks), media_type="text/event-stream")
    return Response("[" + ",\r\n".join(chunks) + "]\n", media_type="application/json; charset=UTF-8")


async def _events(chunks: list[str]) -> AsyncIterator[str]:
    for chunk in chunks:
        yield f"data: {chunk}\r\n\r\n"


def _chunks(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut a response into the chunks of a stream, one part each; several candidates are not cut."""
    candidates = whole.get("candidates") or []
    parts = replies.parts_of(candidates[0]) if len(candidates) == 1 else []
    pieces = [piece for part in parts for piece in _cut(part)]
    if len(pieces) < 2:
        return [whole]
    candidate = candidates[0]
    unfinished = {name: value for name, value in candidate.items() if name not in _LAST_CHUNK_ONLY}
    chunks = []
    for at, piece in enumerate(pieces, 1):
        base = candidate if at == len(pieces) else unfinished
        chunks.append({**whole, "candidates": [{**base, "content": {**candidate["content"], "parts": [piece]}}]})
    return chunks


def _cut(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut a text part into pieces; other parts stay whole. A signature is only in the last piece."""
    text = part.get("text")
    if not text or not isinstance(text, str):
        return [part]
    length = math.ceil(len(text) / _CHUNKS_A_TEXT)
    texts = [text[at : at + length] for at in range(0, len(text), length)]
    repeated = {"thought": part["thought"]} if "thought" in part else {}
    return [*({**repeated, "text": piece} for piece in texts[:-1]), {**part, "text": texts[-1]}]


async def count_tokens(call: Call) -> dict[str, Any]:
    """Return the tokens of a prompt by the documented arithmetic."""
    model = call.params["model"]
    check_model(call, model, "countTokens")
    body = await call.json()
    prompt = read_prompt(call.project, model, get_object(body, "generateContentRequest") or body, "CountTokensRequest")
    counts = prompt.tokens_by_modality()
    response: dict[str, Any] = {"totalTokens": sum(counts.values()), "promptTokensDetails": replies.details(counts)}
    if prompt.cached:
        response["cachedContentTokenCount"] = sum(prompt.cached.values())
        response["cacheTokensDetails"] = replies.details(prompt.cached)
    return response


def embed(request: dict[str, Any]) -> dict[str, Any]:
    """
    Return a vector for a content: the same for the same content, without a meaning.

    :raises ApiError: 400 for an invalid size.
    """
    size = get(request, "outputDimensionality") or _EMBEDDING_SIZE
    if not isinstance(size, int) or not 1 <= size <= _EMBEDDING_SIZE:
        raise errors.invalid(f"* EmbedContentRequest.output_dimensionality: must be from 1 to {_EMBEDDING_SIZE}.\n")
    seed = hashlib.sha256(json.dumps(request.get("content"), sort_keys=True).encode()).digest()
    source = random.Random(seed)  # noqa: S311 - not a secret
    return {"embedding": {"values": [round(source.uniform(-1, 1), 6) for _ in range(size)]}}


def embedded_tokens(request: dict[str, Any]) -> int:
    """Return the number of tokens of a content to embed."""
    parts = get_objects(get_object(request, "content"), "parts")
    return text_tokens("\n".join(str(part.get("text") or "") for part in parts))


async def embed_content(call: Call) -> dict[str, Any]:
    """Return the embedding of one content."""
    call.authenticate()
    check_model(call, call.params["model"], "embedContent")
    return embed(await call.json())


async def embed_contents(call: Call) -> dict[str, Any]:
    """Return the embeddings of several contents."""
    call.authenticate()
    check_model(call, call.params["model"], "embedContent")
    requests = get_objects(await call.json(), "requests")
    return {"embeddings": [embed(request)["embedding"] for request in requests]}


METHODS = [
    Method(("generate",), ("POST",), "/models/{model}:generateContent", generate_content),
    Method(("stream",), ("POST",), "/models/{model}:streamGenerateContent", stream_content),
    Method(("count_tokens",), ("POST",), "/models/{model}:countTokens", count_tokens),
    Method(("embed",), ("POST",), "/models/{model}:embedContent", embed_content),
    Method(("embed",), ("POST",), "/models/{model}:batchEmbedContents", embed_contents),
]
