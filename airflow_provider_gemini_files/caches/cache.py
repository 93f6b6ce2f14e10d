"""A cache as the service reports it, and the models that have caches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_gemini_files.caches.mark import fingerprint_in
from airflow_provider_gemini_files.common.names import name_in
from airflow_provider_gemini_files.common.times import epoch_of
from airflow_provider_gemini_files.exceptions import GeminiInputError

_NAME = re.compile(r"cachedContents/[A-Za-z0-9][A-Za-z0-9_-]*")
_MAJOR_VERSION = re.compile(r"(?:models/)?gemini-(\d+)(?:\D|$)")
#: The first major version of models without caches (Google's page on context caching, 2026).
_FIRST_WITHOUT = 4


@dataclass(frozen=True)
class GeminiCache:
    """
    Contents that the service keeps for some time, so that requests need not send them.

    Times are RFC 3339 texts of the service's clock.

    :param name: ``cachedContents/...``.
    :param model: the only model that can use it, without ``models/``.
    :param tokens: of what it holds; None if the service does not say.
    """

    name: str
    model: str
    display_name: str | None = None
    create_time: str | None = None
    expire_time: str | None = None
    tokens: int | None = None

    @classmethod
    def from_api(cls, resource: Mapping[str, Any]) -> GeminiCache:
        """
        Read a resource of the service.

        :raises ValueError: if it is no cache (also as KeyError, TypeError or AttributeError).
        """
        tokens = str((resource.get("usageMetadata") or {}).get("totalTokenCount"))
        return cls(
            name=parse_cache(resource.get("name")),
            model=str(resource["model"]).removeprefix("models/"),
            display_name=resource.get("displayName") or None,
            create_time=resource.get("createTime"),
            expire_time=resource.get("expireTime"),
            tokens=int(tokens) if tokens.isdecimal() else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @property
    def fingerprint(self) -> str | None:
        """Return the fingerprint that this package has written into the display name; None for other caches."""
        return fingerprint_in(self.display_name)

    def created_at(self) -> float | None:
        """Return when it was created, in seconds since the epoch; None if the service does not say."""
        return epoch_of(self.create_time)

    def expires_at(self) -> float | None:
        """Return when it expires, in seconds since the epoch; None if the service does not say."""
        return epoch_of(self.expire_time)


#: The forms in which a cache is accepted: a name, an id, XCom ``cache`` or another dict with ``name``, the object.
CacheLike = str | Mapping[str, Any] | GeminiCache


def parse_cache(cache: Any) -> str:
    """
    Return the name of a cache, ``cachedContents/...``.

    :raises GeminiInputError: for anything that is not a :data:`CacheLike`.
    """
    given = name_in(cache, GeminiCache)
    text = given.strip() if isinstance(given, str) else ""
    name = text if "/" in text else f"cachedContents/{text}"
    if not _NAME.fullmatch(name):
        raise GeminiInputError(f"{given!r} is not the name of a cache; expected 'cachedContents/...'.")
    return name


def check_model(model: str) -> None:
    """
    Refuse a model that has no caches.

    :raises GeminiInputError: naming the model.
    """
    found = _MAJOR_VERSION.match(model)
    if found and int(found[1]) >= _FIRST_WITHOUT:
        raise GeminiInputError(
            f"{model} has no caches: Google offers them only for models before Gemini {_FIRST_WITHOUT}. Later models "
            "automatically recognize requests that begin with the same contents (implicit caching). Remove the cache, "
            "or choose an earlier model."
        )
