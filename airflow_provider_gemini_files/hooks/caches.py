"""The hook's calls for caches: get, list, delete, and a creation that is paid for once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.caches.cache import CacheLike, GeminiCache, parse_cache
from airflow_provider_gemini_files.caches.spec import CacheSpec
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.exceptions import (
    GeminiCacheGoneError,
    GeminiFilesError,
    GeminiInputError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks import cache_requests as requests
from airflow_provider_gemini_files.hooks.content import ContentCalls, suspects_named
from airflow_provider_gemini_files.hooks.polling import LIST_LAG_SECONDS, Polling
from airflow_provider_gemini_files.hooks.service import GeminiService

#: Seconds that a cache must live on to be used: it has to outlast the next request.
_MIN_REMAINING = 60.0
#: Seconds by which the end of a cache may differ from what was asked for before it is set again.
_TTL_TOLERANCE = 60.0


class CacheCalls:
    """The calls for caches."""

    def __init__(self, service: GeminiService, content: ContentCalls) -> None:
        self._service = service
        self._log = service.log
        self._content = content
        self._polling = Polling(service, requests.CACHES)

    def get_cache(self, cache: CacheLike) -> GeminiCache:
        """
        Return a cache as the service has it now.

        :raises GeminiCacheGoneError: if it does not exist (any more).
        """
        return self._polling.get(parse_cache(cache))

    def list_caches(self) -> list[GeminiCache]:
        """Return all caches of the key's project."""
        return self._polling.list_all()

    def delete_cache(self, cache: CacheLike, *, ignore_missing: bool = True) -> bool:
        """
        Delete a cache.

        :return: False if there was nothing to delete.
        """
        name = parse_cache(cache)
        attempts = 0

        def delete() -> None:
            nonlocal attempts
            attempts += 1
            self._service.files_client.send(requests.delete_cache(name))

        try:
            self._service.call(delete)
        except GeminiCacheGoneError:
            # Gone at the second attempt: the first one succeeded, and only its response was lost.
            if attempts == 1 and not ignore_missing:
                raise
            return attempts > 1
        return True

    def marked(self, fingerprints: Collection[str]) -> list[str]:
        """Return the names of all caches that have one of some fingerprints."""
        return [cache.name for cache in self.list_caches() if cache.fingerprint in fingerprints]

    def check_lasts(self, name: str, model: str, seconds: float) -> None:
        """
        Refuse a cache that requests to a model cannot use for some time.

        :raises GeminiCacheGoneError: if it does not exist (any more).
        :raises GeminiInputError: if it is another model's, or expires sooner.
        """
        try:
            cache = self.get_cache(name)
        except GeminiCacheGoneError as error:
            raise GeminiCacheGoneError(
                f"{error} Nothing was submitted. Clear the task that created it, then this one."
            ) from error
        if cache.model != model.removeprefix("models/"):
            raise GeminiInputError(
                f"{name} was created for {cache.model}, and cannot be used by {model}: set model={cache.model!r}."
            )
        expires = cache.expires_at()
        if expires is not None and expires < self._service.server_now() + seconds:
            raise GeminiInputError(
                f"{name} expires at {cache.expire_time}, and a batch job may need it for longer than that "
                f"(min_remaining_ttl is {seconds / 3600:g} hours). Create it with a longer ttl, or lower "
                "min_remaining_ttl. Nothing was submitted."
            )

    def provide(
        self, spec: CacheSpec, look_up: Callable[[], Sequence[GeminiFile]], *, gone: str | None = None
    ) -> GeminiCache:
        """
        Return the cache of a spec: the one that there is, or a new one.

        The service chooses the name of a new cache, creates as many of one display name as it is asked for, and bills
        each. So a cache is looked for first, and once more after it was created: of several tasks at once, all use the
        oldest.

        :param look_up: returns the files of the contents; called only if the cache has to be created.
        :param gone: the name of a cache that must not be used, even if it is still in the list.
        :raises GeminiCacheTooSmallError: if the contents have too few tokens; nothing was created.
        """
        found = self._find(spec, gone)
        return self._created(spec, look_up(), gone) if found is None else found

    def _find(self, spec: CacheSpec, gone: str | None) -> GeminiCache | None:
        """Return the cache of a spec that there is, with the life that the spec asks for."""
        for cache in self._twins(spec, gone):
            try:
                extended = self._extended(cache, spec.ttl)
            except GeminiCacheGoneError:
                continue
            self._log.info("Using %s, which was created before and expires at %s.", cache.name, extended.expire_time)
            return extended
        return None

    def _twins(self, spec: CacheSpec, gone: str | None) -> list[GeminiCache]:
        """Return the caches of a spec, the oldest first."""
        twins = [
            cache
            for cache in self.list_caches()
            if cache.fingerprint == spec.fingerprint and cache.model == spec.model and cache.name != gone
        ]
        # The response has told the service's time.
        soon = self._service.server_now() + _MIN_REMAINING
        living = [cache for cache in twins if (cache.expires_at() or soon) >= soon]
        return sorted(living, key=lambda cache: (cache.created_at() or 0.0, cache.name))

    def _extended(self, cache: GeminiCache, ttl: float) -> GeminiCache:
        expires = cache.expires_at()
        if expires is not None and abs(expires - self._service.server_now() - ttl) <= _TTL_TOLERANCE:
            return cache
        request = requests.extend_cache(cache.name, ttl)
        client = self._service.files_client
        return requests.CACHES.read(self._service.call(lambda: client.send(request)), self._service.connection)

    def _created(self, spec: CacheSpec, files: Sequence[GeminiFile], gone: str | None) -> GeminiCache:
        connection = self._service.connection
        request = requests.create_cache(spec.body(files), connection.timeout)
        client = self._service.files_client
        try:
            # Not repeated if it may have been carried out: a second cache would be billed, too.
            with suspects_named(ModelRequest(spec.contents, spec.model, spec.system_instruction), files):
                resource = self._content.once_readable(lambda: client.send(request), repeat_unanswered=False)
        except GeminiServiceError as error:
            if not error.unanswered:
                raise
            self._log.warning("%s The cache may have been created nevertheless: looking for it.", error)
            found = self._find(spec, gone) or self._find_later(spec, gone)
            if found is None:
                raise
            self._count(found)
            return found
        created = requests.CACHES.read(resource, connection)
        self._count(created)
        lineage.shown(self._service.hook, self._service.conn_id, files)
        return self._oldest(spec, created, gone)

    def _count(self, created: GeminiCache) -> None:
        self._service.pricing.count_cache(created.model, created.tokens or 0)

    def _find_later(self, spec: CacheSpec, gone: str | None) -> GeminiCache | None:
        self._service.clock.sleep(LIST_LAG_SECONDS)
        return self._find(spec, gone)

    def _oldest(self, spec: CacheSpec, created: GeminiCache, gone: str | None) -> GeminiCache:
        """Return a new cache, or an older one that another task has created meanwhile; the new one is deleted then."""
        twins = self._twins(spec, gone)
        # The new cache may not be in the list yet.
        if not twins or twins[0].name == created.name:
            return created
        self._log.info("Using %s, which is older; deleting %s.", twins[0].name, created.name)
        try:
            self.delete_cache(created.name)
        except GeminiFilesError as error:
            self._log.warning("%s It stays until it expires, and is not used.", error)
        return twins[0]
