"""The use case "send a request that uses a cache": without the cache if it was skipped, or a new one if it is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from airflow_provider_gemini_files.caches.cached_request import with_cache
from airflow_provider_gemini_files.caches.recipe import CacheRecipe
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.exceptions import GeminiCacheGoneError, GeminiCacheTooSmallError
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.caches import CacheCalls
from airflow_provider_gemini_files.hooks.service import GeminiService

#: Seconds over which tasks spread that find their cache gone at the same time, so that most find that of the first.
_SPREAD = 10.0


class CachedRequest:
    """
    A request and its cache.

    :param look_up: returns the files of contents, ACTIVE, in the order of their names.
    :param request: as its author wrote it.
    :param recreate: create a cache that is gone again.
    """

    def __init__(
        self,
        service: GeminiService,
        caches: CacheCalls,
        look_up: Callable[[Contents], list[GeminiFile]],
        request: ModelRequest,
        recipe: CacheRecipe,
        *,
        recreate: bool = True,
    ) -> None:
        self._service = service
        self._log = service.log
        self._caches = caches
        self._look_up = look_up
        self._request = request
        self._recipe = recipe
        self._recreate = recreate

    def to_send(self) -> ModelRequest:
        """
        Return the request that uses the cache, or sends what a skipped cache would hold.

        :raises GeminiInputError: for what cannot be sent; at most the cache was looked up.
        """
        recipe = self._recipe
        recipe.check_connection(self._service.conn_id)
        # Checked before the cache is looked up.
        request = with_cache(self._request, recipe)
        if recipe.name and recipe.model is None:
            self._recipe = recipe = replace(recipe, model=self._caches.get_cache(recipe.name).model)
            request = with_cache(self._request, recipe)
        if recipe.name is None:
            self._log.info("The cache was skipped: everything that it would hold is sent with this request.")
        elif request.contents.files and (doubt := recipe.doubt()):
            self._log.warning("%s", doubt)
        return request

    def recreated(self, error: GeminiCacheGoneError) -> ModelRequest:
        """
        Return the request with a new cache, after the service has refused the former one as gone.

        :raises GeminiCacheGoneError: if it cannot be recreated.
        """
        recipe = self._recipe
        if not self._recreate or not recipe.recreatable:
            reason = (
                "recreate_cache is False." if not self._recreate else recipe.reason or "It is not known what it held."
            )
            raise GeminiCacheGoneError(
                f"{error} This task cannot recreate it: {reason} Clear the task that created it, then this one."
            ) from error
        spec = recipe.spec()
        self._log.warning("%s Recreating it.", error)
        self._service.clock.sleep(self._service.clock.uniform(0.0, _SPREAD))
        cache = None
        try:
            cache = self._caches.provide(spec, lambda: self._look_up(spec.contents), gone=recipe.name)
        except GeminiCacheTooSmallError as too_small:
            self._log.warning("%s", too_small)
            self._recipe = replace(recipe, name=None)
        else:
            self._recipe = replace(recipe, name=cache.name, expire_time=cache.expire_time)
        request = self.to_send()
        if request.cache is None or cache is None:
            return request
        return replace(request, cache=replace(request.cache, recreated=cache.to_dict()))
