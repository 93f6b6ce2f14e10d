"""Cached contents: a prompt that is kept for a while, and the methods on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import get, get_text
from airflow_provider_gemini_files.emulator.catalog import check_model
from airflow_provider_gemini_files.emulator.clock import rfc3339
from airflow_provider_gemini_files.emulator.dispatch import Call, Method
from airflow_provider_gemini_files.emulator.paging import listing
from airflow_provider_gemini_files.emulator.projects import new_id
from airflow_provider_gemini_files.emulator.prompt import Prompt, read_prompt

_DEFAULT_SECONDS = 3600.0
_ID_LENGTH = 40


@dataclass
class Cache:
    """A cached content; what its files were is in the prompt, so that deleting them does not matter."""

    id: str
    model: str
    prompt: Prompt
    created: float
    updated: float
    expires: float
    display_name: str | None = None

    def to_json(self, _now: float = 0) -> dict[str, Any]:
        """Return the resource; what is not set is absent."""
        body = {
            "name": f"cachedContents/{self.id}",
            "model": self.model,
            "displayName": self.display_name,
            "createTime": rfc3339(self.created, 6),
            "updateTime": rfc3339(self.updated, 6),
            "expireTime": rfc3339(self.expires, 9),
            "usageMetadata": {"totalTokenCount": self.prompt.tokens()},
        }
        return {key: value for key, value in body.items() if value is not None}


def _expiry(body: dict[str, Any], now: float) -> float | None:
    """Return when a cache is to expire, if the request says so."""
    try:
        if ttl := get(body, "ttl"):
            return now + float(str(ttl).removesuffix("s"))
        if moment := get(body, "expireTime"):
            return datetime.fromisoformat(str(moment)).timestamp()
    except ValueError:
        raise errors.invalid("* CachedContent.expiration: not a duration or a time.\n") from None
    return None


async def create_cache(call: Call) -> dict[str, Any]:
    """Keep a prompt."""
    project, body = call.project, await call.json()
    model = str(body.get("model") or "")
    check_model(model.removeprefix("models/"), call.version, "createCachedContent")
    prompt = read_prompt(project, body, "CreateCachedContentRequest")
    expires = _expiry(body, call.now) or call.now + _DEFAULT_SECONDS
    if expires <= call.now:
        raise errors.invalid("* CachedContent.expire_time: must be in the future.\n")
    cache = Cache(new_id(_ID_LENGTH), model, prompt, call.now, call.now, expires, get_text(body, "displayName"))
    project.caches[cache.id] = cache
    return cache.to_json()


async def get_cache(call: Call) -> dict[str, Any]:
    """Tell of one cache."""
    return call.project.cache(call.params["cache"]).to_json()


async def list_caches(call: Call) -> dict[str, Any]:
    """Tell of all caches that live, a page at a time."""
    living = [cache for cache in call.project.caches.values() if cache.expires > call.now]
    return listing(call, living, "cachedContents", largest=1000)


async def update_cache(call: Call) -> dict[str, Any]:
    """Let a cache live for another while; nothing else of it can change."""
    cache: Cache = call.project.cache(call.params["cache"])
    cache.expires = _expiry(await call.json(), call.now) or cache.expires
    cache.updated = call.now
    return cache.to_json()


async def delete_cache(call: Call) -> dict[str, Any]:
    """Remove a cache."""
    del call.project.caches[call.project.cache(call.params["cache"]).id]
    return {}


METHODS = [
    Method(("create_cache",), ("POST",), "/cachedContents", create_cache),
    Method(("list_caches",), ("GET",), "/cachedContents", list_caches),
    Method(("get_cache",), ("GET",), "/cachedContents/{cache}", get_cache),
    Method(("update_cache",), ("PATCH",), "/cachedContents/{cache}", update_cache),
    Method(("delete_cache",), ("DELETE",), "/cachedContents/{cache}", delete_cache),
]
