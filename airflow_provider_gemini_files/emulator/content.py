"""The methods on models that take a prompt: generate, stream, count tokens, embed."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import math
import random
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response, StreamingResponse

from airflow_provider_gemini_files.emulator import answers, errors
from airflow_provider_gemini_files.emulator.body import get, get_object, get_objects
from airflow_provider_gemini_files.emulator.catalog import check_model
from airflow_provider_gemini_files.emulator.dispatch import Call, Method
from airflow_provider_gemini_files.emulator.projects import Project
from airflow_provider_gemini_files.emulator.prompt import read_prompt
from airflow_provider_gemini_files.emulator.schema import prepare

_STREAM_PIECES = 3
_EMBEDDING_SIZE = 3072


def generate(project: Project, model: str, body: dict[str, Any], script: answers.Script) -> dict[str, Any]:
    """
    Answer a generateContent request.

    :raises ApiError: 400 for an empty prompt or a file that is not ACTIVE, 403 for one that is not here.
    """
    prompt = read_prompt(project, body)
    config = get_object(body, "generationConfig")
    return answers.respond(prompt, model, config, script.take(project.name))


async def generate_content(call: Call) -> dict[str, Any]:
    """Answer a prompt at once."""
    project, model = call.project, call.params["model"]
    check_model(model, call.version)
    body = await call.json()
    if answers.wanted_schema(get_object(body, "generationConfig")):
        # The library takes seconds to load; other requests go on.
        await asyncio.to_thread(prepare)
    return generate(project, model, body, call.emulator.answers)


async def stream_content(call: Call) -> Response:
    """Answer a prompt in pieces: as server-sent events, or as one JSON array."""
    events = call.query.get("alt") == "sse"
    try:
        whole = await generate_content(call)
    except errors.ApiError as error:
        if not events:
            error.wrapped = True
        raise
    pieces = [json.dumps(piece) for piece in _pieces(whole)]
    if events:
        return StreamingResponse(_events(pieces), media_type="text/event-stream")
    return Response("[" + ",\r\n".join(pieces) + "]\n", media_type="application/json; charset=UTF-8")


async def _events(pieces: list[str]) -> AsyncIterator[str]:
    for piece in pieces:
        yield f"data: {piece}\r\n\r\n"


def _pieces(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut the text of an answer; only the last piece tells why it ended."""
    candidate = (whole.get("candidates") or [{}])[0]
    parts = candidate.get("content", {}).get("parts", [])
    text = parts[0].get("text", "") if parts else ""
    length = math.ceil(len(text) / _STREAM_PIECES)
    if not length:
        return [whole]
    pieces = []
    for at in range(0, len(text), length):
        piece = copy.deepcopy(whole)
        piece["candidates"][0]["content"]["parts"][0]["text"] = text[at : at + length]
        if at + length < len(text):
            piece["candidates"][0].pop("finishReason", None)
            piece["candidates"][0].pop("groundingMetadata", None)
        pieces.append(piece)
    return pieces


async def count_tokens(call: Call) -> dict[str, Any]:
    """Count the tokens of a prompt by the documented arithmetic."""
    check_model(call.params["model"], call.version, "countTokens")
    body = await call.json()
    prompt = read_prompt(call.project, get_object(body, "generateContentRequest") or body, "CountTokensRequest")
    counts = prompt.tokens_by_modality()
    answer: dict[str, Any] = {"totalTokens": sum(counts.values()), "promptTokensDetails": answers.details(counts)}
    if prompt.cached_tokens:
        answer["cachedContentTokenCount"] = prompt.cached_tokens
    return answer


def embed(request: dict[str, Any]) -> dict[str, Any]:
    """Return a vector for a content: the same for the same content, of no meaning."""
    size = get(request, "outputDimensionality") or _EMBEDDING_SIZE
    if not isinstance(size, int) or not 1 <= size <= _EMBEDDING_SIZE:
        raise errors.invalid(f"* EmbedContentRequest.output_dimensionality: must be from 1 to {_EMBEDDING_SIZE}.\n")
    seed = hashlib.sha256(json.dumps(request.get("content"), sort_keys=True).encode()).digest()
    source = random.Random(seed)  # noqa: S311 - not a secret
    return {"embedding": {"values": [round(source.uniform(-1, 1), 6) for _ in range(size)]}}


async def embed_content(call: Call) -> dict[str, Any]:
    """Embed one content."""
    call.authenticate()
    check_model(call.params["model"], call.version, "embedContent")
    return embed(await call.json())


async def embed_contents(call: Call) -> dict[str, Any]:
    """Embed many contents."""
    call.authenticate()
    check_model(call.params["model"], call.version, "embedContent")
    requests = get_objects(await call.json(), "requests")
    return {"embeddings": [embed(request)["embedding"] for request in requests]}


METHODS = [
    Method(("generate",), ("POST",), "/models/{model}:generateContent", generate_content),
    Method(("stream",), ("POST",), "/models/{model}:streamGenerateContent", stream_content),
    Method(("count_tokens",), ("POST",), "/models/{model}:countTokens", count_tokens),
    Method(("embed",), ("POST",), "/models/{model}:embedContent", embed_content),
    Method(("embed",), ("POST",), "/models/{model}:batchEmbedContents", embed_contents),
]
