"""The CachedContent resource: a prompt that is kept for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.clock import rfc3339
from airflow_provider_gemini_files.emulator.projects import Project
from airflow_provider_gemini_files.emulator.prompt import Prompt


@dataclass
class Cache:
    """
    A cached content.

    Times are in seconds since the epoch.

    :param model: resource name of the model it was created for.
    :param prompt: the prompt as it was read, so that deleting its files later does not matter.
    """

    id: str
    model: str
    prompt: Prompt
    created: float
    updated: float
    expires: float
    display_name: str = ""

    def to_json(self, _now: float = 0) -> dict[str, Any]:
        """Return the resource; a display name that is not set is empty."""
        return {
            "name": f"cachedContents/{self.id}",
            "model": self.model,
            "displayName": self.display_name,
            "createTime": rfc3339(self.created, 6),
            "updateTime": rfc3339(self.updated, 6),
            "expireTime": rfc3339(self.expires, 9),
            "usageMetadata": {"totalTokenCount": self.prompt.tokens()},
        }


def find_cache(project: Project, cache_id: str) -> Cache:
    """
    Find an unexpired cache.

    :raises ApiError: 403 if there is none of this id.
    """
    cache = project.resources(Cache).get(cache_id)
    if cache is None or cache.expires <= project.clock.now():
        raise errors.no_cache()
    return cache
