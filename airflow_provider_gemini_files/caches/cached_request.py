"""A request that uses a cache: what the cache holds, followed by what the request itself has."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_gemini_files.caches.recipe import CacheRecipe
from airflow_provider_gemini_files.content.request import ModelRequest, UsedCache
from airflow_provider_gemini_files.exceptions import GeminiInputError


def model_for(recipe: CacheRecipe, model: str | None) -> str | None:
    """
    Return the model of a request that uses a cache: the cache's.

    :param model: what the request asks for; None if it does not say.
    :return: None if neither is known.
    :raises GeminiInputError: if it is another one.
    """
    if model is None or recipe.model is None:
        return model or recipe.model
    if model.removeprefix("models/") != recipe.model:
        raise GeminiInputError(
            f"The request is for {model}, and {recipe.name or 'its cache'} was created for {recipe.model}: a cache can "
            "only be used by its own model. Do not set a model for the request."
        )
    return model


def with_cache(request: ModelRequest, recipe: CacheRecipe) -> ModelRequest:
    """
    Return a request that uses a cache; of a skipped cache, one that sends what the cache would hold.

    Files that the cache holds are left out of the request, as they would be billed twice.

    :raises GeminiInputError: if the request has another model, or anything that the service refuses beside a cache.
    """
    name, held = recipe.name or "a skipped cache", recipe.held
    cache = UsedCache(name, recipe.identity, tuple(held.names) if held else ())
    used = replace(request, model=model_for(recipe, request.model), cache=cache).checked()
    contents = request.contents.without_files_of(held) if held else request.contents
    if not contents.by_name():
        raise GeminiInputError(f"The request has nothing but what {name} holds: pass prompt or contents.")
    if recipe.name:
        return replace(used, contents=contents)
    skipped = recipe.spec()
    return replace(
        used, contents=contents.after(skipped.contents), system_instruction=skipped.system_instruction, cache=None
    )
