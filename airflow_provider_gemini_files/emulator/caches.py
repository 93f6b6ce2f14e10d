"""The methods on cached contents: create, get, list, update, delete."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import get, get_text
from airflow_provider_gemini_files.emulator.cache import Cache, find_cache
from airflow_provider_gemini_files.emulator.call import Call
from airflow_provider_gemini_files.emulator.catalog import check_model, has_caches, min_cache_tokens
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.paging import listing
from airflow_provider_gemini_files.emulator.projects import new_id
from airflow_provider_gemini_files.emulator.prompt_reader import read_contents

_DEFAULT_SECONDS = 3600.0
#: The year 9999; later times cannot be written.
_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")
_ID_LENGTH = 40


def _expiry(body: dict[str, Any], now: float) -> float | None:
    """
    Return the expiry that a request asks for, in seconds since the epoch, or None.

    :raises ApiError: 400 if it is malformed or not in the future.
    """
    if ttl := get(body, "ttl"):
        expires = now + _seconds(str(ttl))
    elif moment := get(body, "expireTime"):
        expires = _time(str(moment))
    else:
        return None
    if not now < expires < _LATEST:
        raise errors.invalid("* CachedContent.expiration: must be in the future, and before the year 9999.\n")
    return expires


def _seconds(text: str) -> float:
    if not _DURATION.fullmatch(text):
        raise errors.invalid(f"* CachedContent.ttl: {text} is not a number of seconds that ends with 's'.\n")
    return float(text.removesuffix("s"))


def _time(text: str) -> float:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise errors.invalid(f"* CachedContent.expire_time: {text} is not a time with an offset from UTC.\n")
    return time.timestamp()


async def create_cache(call: Call) -> dict[str, Any]:
    """Cache a prompt."""
    project, body = call.project, await call.json()
    model = str(body.get("model") or "").removeprefix("models/")
    check_model(call, model, "createCachedContent")
    if not has_caches(model):
        raise errors.no_caching(model)
    prompt = read_contents(project, model, body, "CreateCachedContentRequest")
    now = call.now
    expires = _expiry(body, now) or now + _DEFAULT_SECONDS
    if (count := prompt.tokens()) < (minimum := min_cache_tokens(model)):
        raise errors.cache_too_small(count, minimum)
    cache = Cache(
        id=new_id(_ID_LENGTH),
        model=f"models/{model}",
        prompt=prompt,
        created=now,
        updated=now,
        expires=expires,
        display_name=get_text(body, "displayName") or "",
    )
    project.resources(Cache)[cache.id] = cache
    return cache.to_json()


async def get_cache(call: Call) -> dict[str, Any]:
    """Return one cache."""
    return find_cache(call.project, call.params["cache"]).to_json()


async def list_caches(call: Call) -> dict[str, Any]:
    """Return a page of the unexpired caches."""
    unexpired = [cache for cache in call.project.resources(Cache).values() if cache.expires > call.now]
    return listing(call, unexpired, "cachedContents", largest=1000)


async def update_cache(call: Call) -> dict[str, Any]:
    """Change the expiry of a cache; its other fields cannot change."""
    cache = find_cache(call.project, call.params["cache"])
    cache.expires = _expiry(await call.json(), call.now) or cache.expires
    cache.updated = call.now
    return cache.to_json()


async def delete_cache(call: Call) -> dict[str, Any]:
    """Delete a cache."""
    cache = find_cache(call.project, call.params["cache"])
    del call.project.resources(Cache)[cache.id]
    return {}


METHODS = [
    Method(("create_cache",), ("POST",), "/cachedContents", create_cache),
    Method(("list_caches",), ("GET",), "/cachedContents", list_caches),
    Method(("get_cache",), ("GET",), "/cachedContents/{cache}", get_cache),
    Method(("update_cache",), ("PATCH",), "/cachedContents/{cache}", update_cache),
    Method(("delete_cache",), ("DELETE",), "/cachedContents/{cache}", delete_cache),
]
