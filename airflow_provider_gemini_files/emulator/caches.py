"""The methods on cached contents: create, get, list, update, delete."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import get, get_text
from airflow_provider_gemini_files.emulator.cache import Cache, find_cache
from airflow_provider_gemini_files.emulator.call import Call
from airflow_provider_gemini_files.emulator.catalog import check_model
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.paging import listing
from airflow_provider_gemini_files.emulator.projects import new_id
from airflow_provider_gemini_files.emulator.prompt_reader import read_prompt

_DEFAULT_SECONDS = 3600.0
_ID_LENGTH = 40


def _expiry(body: dict[str, Any], now: float) -> float | None:
    """Return the expiry that a request asks for, in seconds since the epoch, or None."""
    try:
        if ttl := get(body, "ttl"):
            return now + float(str(ttl).removesuffix("s"))
        if moment := get(body, "expireTime"):
            return datetime.fromisoformat(str(moment)).timestamp()
    except ValueError:
        raise errors.invalid("* CachedContent.expiration: not a duration or a time.\n") from None
    return None


async def create_cache(call: Call) -> dict[str, Any]:
    """Cache a prompt."""
    project, body = call.project, await call.json()
    model = str(body.get("model") or "")
    check_model(model.removeprefix("models/"), call.version, "createCachedContent")
    prompt = read_prompt(project, body, "CreateCachedContentRequest")
    expires = _expiry(body, call.now) or call.now + _DEFAULT_SECONDS
    if expires <= call.now:
        raise errors.invalid("* CachedContent.expire_time: must be in the future.\n")
    cache = Cache(new_id(_ID_LENGTH), model, prompt, call.now, call.now, expires, get_text(body, "displayName"))
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
