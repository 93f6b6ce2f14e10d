"""XCom ``cache``: a cache that a task has created or skipped, and how other tasks can do without it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from airflow_provider_gemini_files.caches.cache import CacheLike, GeminiCache, parse_cache
from airflow_provider_gemini_files.caches.mark import fingerprint_in
from airflow_provider_gemini_files.caches.spec import CacheSpec
from airflow_provider_gemini_files.common.redaction import shown_url, storable
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.reference import parse_name

#: Bytes of the contents and the system instruction as JSON: XCom is a row of Airflow's database.
MAX_RECIPE_BYTES = 32 * 1024
#: The kinds of parts that a recipe may have.
_PARTS = ("text", "file", "fileData")


@dataclass(frozen=True)
class CacheRecipe:
    """
    A cache, and what it holds as far as XCom may hold it: no inline data, and no URL that may be secret.

    :param name: ``cachedContents/...``; None if the cache was skipped, as it would have been too small.
    :param model: None if only the name is known.
    :param tokens: of what it holds.
    :param conn_id: the connection that it was created through.
    :param ttl: seconds that it was to live.
    :param create_time: when the service has created it; None if it was recorded by an earlier release.
    :param recreatable: whether ``contents`` and ``system_instruction`` are all that it holds.
    :param reason: why it is not recreatable.
    :param contents: turns with names in place of files, in the service's spelling; only those with files of a cache
        that is not recreatable. None if it is not known what the cache holds.
    """

    name: str | None
    model: str | None = None
    tokens: int | None = None
    expire_time: str | None = None
    display_name: str | None = None
    conn_id: str | None = None
    ttl: float | None = None
    recreatable: bool = False
    reason: str | None = None
    system_instruction: str | None = None
    contents: Sequence[Mapping[str, Any]] | None = None
    create_time: str | None = None

    @classmethod
    def of(cls, spec: CacheSpec, cache: GeminiCache | None, conn_id: str) -> CacheRecipe:
        """
        Return the recipe of a cache.

        :param cache: None if it was skipped.
        """
        turns = spec.contents.by_name()
        reason = _obstacle(turns, spec.system_instruction)
        kept = turns if reason is None else _files_of(turns)
        return cls(
            name=cache.name if cache else None,
            model=spec.model,
            tokens=cache.tokens if cache else None,
            expire_time=cache.expire_time if cache else None,
            display_name=spec.display_name,
            conn_id=conn_id,
            ttl=spec.ttl,
            recreatable=reason is None,
            reason=reason,
            system_instruction=spec.system_instruction if reason is None else None,
            contents=kept if _size_of(kept) <= MAX_RECIPE_BYTES else None,
            create_time=cache.create_time if cache else None,
        )

    @classmethod
    def read(cls, cache: CacheLike) -> CacheRecipe:
        """
        Read a cache in any form; of all but XCom ``cache``, it is not known what it holds.

        :raises GeminiInputError: for anything else.
        """
        if isinstance(cache, GeminiCache):
            cache = cache.to_dict()
        if not isinstance(cache, Mapping):
            return cls(parse_cache(cache))
        recipe = cls(**{"name": None, **{one.name: cache[one.name] for one in fields(cls) if one.name in cache}})
        if recipe.name is not None or not recipe.recreatable:
            parse_cache(cache)
        if not recipe._is_sound():
            raise GeminiInputError(
                f"The dict of {recipe.name or 'a skipped cache'} is not XCom 'cache' of a GeminiCreateCacheOperator: "
                "pass it unchanged, or pass the name alone."
            )
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @property
    def fingerprint(self) -> str | None:
        """Return the fingerprint of the cache and of those that take its place; None for caches of other tools."""
        return fingerprint_in(self.display_name)

    @property
    def identity(self) -> str:
        """Return a text for digests; the same for a cache that was recreated."""
        return self.fingerprint or str(self.name)

    @property
    def held(self) -> Contents | None:
        """Return what the cache holds, or its files if it is not recreatable; None if that is not known."""
        return None if self.contents is None else Contents.of_turns(self.contents)

    def doubt(self) -> str | None:
        """Return what an author has to know of a cache of which it is not known what it holds; None for any other."""
        if self.name is None or self.contents is not None:
            return None
        return (
            f"The contents of {self.name} are unknown, so requests send all of their files. Files that it already "
            "holds are billed twice."
        )

    def spec(self) -> CacheSpec:
        """
        Return the spec by which the cache can be recreated.

        :raises GeminiInputError: if it is not recreatable.
        """
        if not self.recreatable or self.held is None or not self.model or not self.ttl or not self.display_name:
            raise GeminiInputError(self.reason or f"It is not known what {self.name} holds.")
        return CacheSpec(self.held, self.model, self.ttl, self.display_name, self.system_instruction)

    def check_connection(self, conn_id: str) -> None:
        """
        Refuse a cache of another connection, whose project can be another one.

        :raises GeminiInputError: naming both connections.
        """
        if self.conn_id and self.conn_id != conn_id:
            raise GeminiInputError(
                f"{self.name or 'The skipped cache'} was created through connection {self.conn_id!r}, and this request "
                f"goes through {conn_id!r}, whose key may belong to another project: give both tasks the same "
                "gemini_conn_id."
            )

    def _is_sound(self) -> bool:
        """Return whether the fields have the types that :meth:`to_dict` writes."""
        times = (self.create_time, self.expire_time)
        texts = (*times, self.model, self.display_name, self.conn_id, self.reason, self.system_instruction)
        if not all(isinstance(text, str | None) for text in texts) or not isinstance(self.ttl, int | float | None):
            return False
        if self.recreatable and not (self.contents and self.model and self.ttl and self.display_name):
            return False
        return self.contents is None or (isinstance(self.contents, list) and all(map(_is_turn, self.contents)))


def _is_turn(turn: Any) -> bool:
    if not isinstance(turn, Mapping) or turn.get("role") not in ("user", "model"):
        return False
    parts = turn.get("parts")
    return isinstance(parts, list) and bool(parts) and all(map(_is_part, parts))


def _is_part(part: Any) -> bool:
    if not isinstance(part, Mapping) or not any(kind in part for kind in _PARTS):
        return False
    try:
        return "file" not in part or parse_name(part["file"]) == part["file"]
    except GeminiInputError:
        return False


def _obstacle(turns: Sequence[Mapping[str, Any]], system_instruction: str | None) -> str | None:
    """Return why contents cannot be in XCom; None if they can."""
    parts = [part for turn in turns for part in turn["parts"]]
    if any("inlineData" in part for part in parts):
        return "It holds inline data, which is not stored in XCom."
    urls = [part["fileData"]["fileUri"] for part in parts if "fileData" in part]
    if secret := next((url for url in urls if shown_url(url) != url), None):
        return f"It holds {shown_url(secret)} with a user, query or fragment, which may be secret."
    if (size := _size_of([turns, system_instruction])) > MAX_RECIPE_BYTES:
        return (
            f"It holds {human_bytes(size)} of texts and names, more than the {human_bytes(MAX_RECIPE_BYTES)} of XCom."
        )
    if storable([*turns]) != [*turns] or storable(system_instruction) != system_instruction:
        return "It holds characters that not every database can store."
    return None


def _files_of(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return turns with their files only, which need not be sent again by the requests."""
    kept = [{**turn, "parts": [part for part in turn["parts"] if "file" in part]} for turn in turns]
    return [turn for turn in kept if turn["parts"]]


def _size_of(value: Any) -> int:
    return len(json.dumps(value).encode())
