"""The calls for caches as plain requests; see ``requests.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_gemini_files.caches.cache import GeminiCache
from airflow_provider_gemini_files.caches.spec import ttl_text
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import GeminiCacheGoneError, GeminiServiceError
from airflow_provider_gemini_files.hooks.connection import GeminiConnection
from airflow_provider_gemini_files.hooks.requests import ApiRequest, Resource


def _request(doing: str, method: str, path: str, **options: Any) -> ApiRequest:
    return ApiRequest(doing, method, path, gone=GeminiCacheGoneError, **options)


def get_cache(name: str) -> ApiRequest:
    """Return the request for a cache; the service never returns what it holds."""
    return _request(f"get {name}", "GET", name, about=name, results=("name",))


def create_cache(body: Mapping[str, Any], timeout: float) -> ApiRequest:
    """
    Return the request that creates a cache.

    :param timeout: seconds; the model reads all contents before the service responds.
    """
    return _request("create a cache", "POST", "cachedContents", body=body, results=("name",), timeout=timeout)


def extend_cache(name: str, ttl: float) -> ApiRequest:
    """
    Return the request that sets how long a cache lives on.

    :param ttl: seconds from now on.
    """
    return _request(f"extend {name}", "PATCH", name, about=name, body={"ttl": ttl_text(ttl)}, results=("name",))


def delete_cache(name: str) -> ApiRequest:
    """Return the request that deletes a cache."""
    return _request(f"delete {name}", "DELETE", name, about=name)


def _read(resource: Mapping[str, Any], _: GeminiConnection) -> GeminiCache:
    try:
        return GeminiCache.from_api(resource)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GeminiServiceError(
            f"The service returned a cache that cannot be read: {shown_text(repr(error))}."
        ) from error


CACHES: Resource[GeminiCache] = Resource(
    "cachedContents", "cachedContents", get_cache, _read, gone=GeminiCacheGoneError
)
