"""Operators for caches: create, delete."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_gemini_files.caches.cache import GeminiCache, parse_cache
from airflow_provider_gemini_files.caches.recipe import CacheRecipe
from airflow_provider_gemini_files.caches.spec import CacheSpec
from airflow_provider_gemini_files.common.durations import Duration, seconds_of
from airflow_provider_gemini_files.common.failures import combined
from airflow_provider_gemini_files.common.unset import is_unset
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.exceptions import (
    GeminiCacheGoneError,
    GeminiCacheTooSmallError,
    GeminiFilesError,
    GeminiInputError,
)
from airflow_provider_gemini_files.links import GeminiFileLink
from airflow_provider_gemini_files.operators.base import GeminiOperator, owner_of, switch_of, text_of
from airflow_provider_gemini_files.operators.metadata import UploadedMetadata, pushed_upstream
from airflow_provider_gemini_files.operators.rendered import AskingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

OnTooSmall = Literal["skip", "fail"]
#: The XCom key of a cache.
_KEY = "cache"
#: Seconds; a longer life is more often a mistake than intended.
_LONG = 24 * 3600.0


class GeminiCreateCacheOperator(AskingOperator):
    """
    Create a cache of files and texts, so that many requests need not send and pay for them in full; return its name.

    XCom ``cache`` has ``{"name", "model", "tokens", "expire_time", ...}``, which tells requests what the cache holds.
    If the contents have too few tokens for a cache, the task returns None, and requests that would use it send the
    contents themselves. A retried task finds the cache that it has created. See ``docs/caches.md``.

    :param files: as for :class:`~airflow_provider_gemini_files.operators.content.GeminiGenerateContentOperator`, as are
        ``contents``, ``system_instruction`` and ``reupload_expired`` (templated).
    :param model: the only model that can use the cache; the connection's if None. Models from Gemini 4 on have no
        caches (templated).
    :param ttl: how long the cache lives, in seconds or as a timedelta. Its storage is billed by tokens and hours.
    :param on_too_small: ``"skip"``: if the contents have too few tokens for a cache, succeed without one. ``"fail"``:
        fail.
    """

    template_fields: Sequence[str] = ("files", "contents", "model", "system_instruction", "gemini_conn_id")
    template_fields_renderers = {"contents": "json", "system_instruction": "md"}  # noqa: RUF012
    operator_extra_links: Collection[BaseOperatorLink] = (GeminiFileLink(),)

    def __init__(
        self,
        *,
        files: Any = None,
        contents: Any = None,
        model: str | None = None,
        system_instruction: str | None = None,
        ttl: Duration = 3600,
        on_too_small: OnTooSmall = "skip",
        reupload_expired: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_too_small not in get_args(OnTooSmall):
            raise GeminiInputError(f"on_too_small must be 'skip' or 'fail'; got {on_too_small!r}.")
        self.files = files
        self.contents = contents
        self.model = model
        self.system_instruction = system_instruction
        self.ttl = seconds_of(ttl, "ttl", least=1.0)
        self.on_too_small = on_too_small
        self.reupload_expired = switch_of(reupload_expired, "reupload_expired")
        # Taken before templates are rendered: a cache must not lack what its author has given.
        self._was_given = {name for name in ("files", "contents") if getattr(self, name) is not None}

    def execute(self, context: Context) -> str | None:
        """Find the cache of an earlier attempt, or create it."""
        spec = self._spec(context)
        find_upload = UploadedMetadata(context).of if self.reupload_expired else None
        cache: GeminiCache | None = None
        try:
            cache = self.hook.provide_cache(spec, find_upload)
        except GeminiCacheTooSmallError as error:
            if self.on_too_small == "fail":
                raise
            self._check_skippable(spec, error)
        recipe = CacheRecipe.of(spec, cache, self.gemini_conn_id)
        context["ti"].xcom_push(_KEY, recipe.to_dict())
        if cache is None:
            return None
        self._tell(cache, recipe)
        return cache.name

    def _spec(self, context: Context) -> CacheSpec:
        for name in self._was_given:
            if is_unset(getattr(self, name)):
                raise GeminiInputError(f"{name} is empty: the task or template that it comes from gave nothing.")
        if not self._was_given:
            raise GeminiInputError("There is nothing to cache: pass files or contents.")
        ti = context["ti"]
        return CacheSpec.of(
            Contents.parse(None, self.files, self.contents or []),
            model=text_of(self.model, "model") or self.hook.connection.model,
            ttl=self.ttl,
            system_instruction=text_of(self.system_instruction, "system_instruction"),
            conn_id=self.gemini_conn_id,
            owner=owner_of(context),
            label=f"{ti.dag_id}.{ti.task_id}",
        )

    def _check_skippable(self, spec: CacheSpec, error: GeminiCacheTooSmallError) -> None:
        """
        Log that there is no cache.

        :raises GeminiCacheTooSmallError: if the requests could not send what it would hold.
        """
        recipe = CacheRecipe.of(spec, None, self.gemini_conn_id)
        if not recipe.recreatable:
            raise GeminiCacheTooSmallError(
                f"{error} The cache cannot be skipped, as requests could not send what it would hold: {recipe.reason}",
                error.tokens,
                error.minimum,
            ) from error
        self.log.warning(
            "The contents have %s tokens, and a cache needs at least %s: no cache was created. Requests that use it "
            "send "
            "everything themselves.",
            "too few" if error.tokens is None else error.tokens,
            "more" if error.minimum is None else error.minimum,
        )

    def _tell(self, cache: GeminiCache, recipe: CacheRecipe) -> None:
        self.log.info("%s holds %s tokens for %s until %s", cache.name, cache.tokens, cache.model, cache.expire_time)
        if not recipe.recreatable:
            self.log.warning("%s A request that finds the cache gone fails.", recipe.reason)
        if self.ttl > _LONG:
            hours = self.ttl / 3600
            self.log.warning(
                "%s will live for %g hours. Its storage is billed by tokens and hours: %s tokens x %g hours = %.0f. "
                "Delete it with GeminiDeleteCacheOperator as soon as you no longer need it.",
                cache.name, hours, cache.tokens, hours, (cache.tokens or 0) * hours,
            )  # fmt: skip


class RecordedCaches:
    """
    The caches that tasks upstream of a task have recorded in this run; XCom is read when it is first needed.

    :param context: of the task.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def recipe_of(self, cache: Any) -> CacheRecipe | None:
        """
        Return the recipe of a cache in any form; None if there is no cache.

        No cache is the one that a task upstream has skipped, if there is such a task.

        :raises GeminiInputError: for anything else, or if several tasks have skipped their cache.
        """
        if is_unset(cache):
            return self._skipped()
        if isinstance(cache, Mapping | GeminiCache):
            return CacheRecipe.read(cache)
        if not isinstance(cache, str):
            raise GeminiInputError(f"cached_content must be one cache, 'cachedContents/...'; got {cache!r}.")
        name = parse_cache(cache)
        return next((recipe for recipe in self._recorded if recipe.name == name), None) or CacheRecipe(name)

    def _skipped(self) -> CacheRecipe | None:
        skipped = {recipe.display_name: recipe for recipe in self._recorded if recipe.name is None}
        if len(skipped) > 1:
            raise GeminiInputError(
                f"{len(skipped)} caches were skipped, and cached_content does not say which of them is meant: pass "
                "XCom 'cache' of the task, as in cached_content=cache.output['cache']."
            )
        return next(iter(skipped.values()), None)

    @cached_property
    def _recorded(self) -> list[CacheRecipe]:
        pushed = pushed_upstream(self._context, GeminiCreateCacheOperator, [_KEY])
        return [CacheRecipe.read(one) for one in pushed if isinstance(one, Mapping)]


class GeminiDeleteCacheOperator(GeminiOperator):
    """
    Delete caches, so that their storage is no longer billed, and return ``{"deleted": [names], "missing": [names]}``.

    Suitable for teardowns: a cache that is already gone is not an error, and neither is None, for a skipped cache.
    Caches that requests have created again in place of one of these are deleted as well. XCom ``deleted_caches`` has
    the result, even if the task fails; costs of caches are counted until then.

    :param cache: a cache in any form (name, XCom ``cache``), or a list of them (templated).
    :param ignore_missing: if False, a cache that does not exist is an error.
    """

    template_fields: Sequence[str] = ("cache", "gemini_conn_id")

    def __init__(
        self,
        *,
        cache: Any,
        ignore_missing: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cache = cache
        self.ignore_missing = switch_of(ignore_missing, "ignore_missing")

    def execute(self, context: Context) -> dict[str, list[str]]:
        """Delete the caches that exist."""
        result: dict[str, list[str]] = {"deleted": [], "missing": []}
        recipes = self._recipes(context)
        if not recipes:
            self.log.info("There is no cache: nothing to delete.")
            return result
        errors: list[GeminiFilesError] = []
        given = [str(recipe.name) for recipe in recipes]
        for name in dict.fromkeys([*given, *self._recreated(recipes, errors)]):
            try:
                was_there = self.hook.delete_cache(name, ignore_missing=self.ignore_missing)
            except GeminiCacheGoneError as error:
                was_there = False
                errors.append(error)
            except GeminiFilesError as error:
                errors.append(error)
                continue
            result["deleted" if was_there else "missing"].append(name)
            self.log.info("Deleted %s" if was_there else "%s was already gone", name)
        context["ti"].xcom_push("deleted_caches", result)
        if errors:
            raise errors[0] if len(errors) == 1 else combined(errors, "; ".join(map(str, errors)))
        return result

    def _recipes(self, context: Context) -> list[CacheRecipe]:
        several = isinstance(self.cache, Iterable) and not isinstance(self.cache, str | Mapping)
        given = list(self.cache) if several else [self.cache]
        recorded = RecordedCaches(context)
        recipes = [recorded.recipe_of(cache) for cache in given if not is_unset(cache)]
        created = [recipe for recipe in recipes if recipe and recipe.name]
        for recipe in created:
            recipe.check_connection(self.gemini_conn_id)
        return created

    def _recreated(self, recipes: Sequence[CacheRecipe], errors: list[GeminiFilesError]) -> list[str]:
        """Return the names of caches that requests have created in place of others; an error does not stop the rest."""
        fingerprints = {recipe.fingerprint for recipe in recipes if recipe.fingerprint}
        try:
            return self.hook.caches.marked(fingerprints) if fingerprints else []
        except GeminiFilesError as error:
            errors.append(error)
            return []
