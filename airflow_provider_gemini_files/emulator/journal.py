"""The journal: one entry for each request, without any credentials."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from typing import Any

from starlette.requests import Request
from starlette.types import Message, Receive

#: Longest JSON text, in bytes, that an entry keeps.
MAX_BODY_BYTES = 64 * 1024
_HIDDEN = "***"
#: Shorter keys ("k", "any") are part of ordinary words, so a text that merely contains one is kept.
_MIN_KEY_LENGTH = 6
_SECRET_IN_QUERY = re.compile(r"[?&](key|upload_id)=", re.IGNORECASE)


def new_entry(request: Request, call: str, secrets: Collection[str]) -> dict[str, Any]:
    """
    Return the entry of a request; ``status`` is None until there is a response.

    :param call: the name of the method.
    :param secrets: credentials to hide.
    """
    entry: dict[str, Any] = {"call": call, "method": request.method, "path": request.url.path, "status": None}
    if command := request.headers.get("x-goog-upload-command"):
        entry |= {"command": command, "offset": request.headers.get("x-goog-upload-offset")}
    return {name: redact(value, secrets) for name, value in entry.items()}


async def record_body(request: Request, entry: dict[str, Any], secrets: Collection[str]) -> tuple[Receive, bytes]:
    """
    Write a request's body into its entry; return the channel to read the same body from, and its JSON.

    JSON is read at once, so that the entry has it even if a fault or an error leaves the body unread. The bytes of an
    upload are counted as they come, so that they never fill the memory.
    """
    if "upload_id" in request.query_params:
        return _counted(request.receive, entry), b""
    body = await request.body()
    if body:
        entry["body"] = describe_body(body, secrets)
    return _replayed(body, request.receive), body


def _counted(receive: Receive, entry: dict[str, Any]) -> Receive:
    count = 0

    async def counted() -> Message:
        nonlocal count
        message = await receive()
        if data := message.get("body"):
            count += len(data)
            entry["body"] = {"bytes": count}
        return message

    return counted


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


def describe_body(body: bytes, secrets: Collection[str]) -> Any:
    """Return the JSON of a body without secrets; ``{"bytes": n}`` for other bodies, with ``"cut"`` for long ones."""
    if len(body) > MAX_BODY_BYTES:
        return {"bytes": len(body), "cut": True}
    try:
        return redact(json.loads(body), secrets)
    except (ValueError, RecursionError):
        return {"bytes": len(body)}


def redact(value: Any, secrets: Collection[str]) -> Any:
    """
    Return JSON data with ``***`` for each text that contains a credential or an upload id.

    Numbers that JSON cannot express become texts, so that the journal itself is valid JSON.
    """
    if isinstance(value, dict):
        return {redact(key, secrets): redact(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [redact(item, secrets) for item in value]
    if isinstance(value, str):
        return _HIDDEN if _is_secret(value, secrets) else value
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _is_secret(text: str, secrets: Collection[str]) -> bool:
    if _SECRET_IN_QUERY.search(text):
        return True
    return any(text == secret or (len(secret) >= _MIN_KEY_LENGTH and secret in text) for secret in secrets)
