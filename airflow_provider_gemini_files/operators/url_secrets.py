"""Keep what is secret in a URL out of what Airflow shows of a task's arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow.providers.common.compat.sdk import conf
from airflow.sdk.log import mask_secret

from airflow_provider_gemini_files.transfer.object_storage import location

#: A text that is a URL as a whole, with what can be a secret of it: user, password, query and fragment.
_URL = re.compile(
    r"https?://(?:(?P<user>[^/@\s]+)@)?[^/?#\s]+[^?#\s]*(?:\?(?P<query>[^#\s]+))?(?:#(?P<fragment>\S+))?", re.I
)
#: Queries that only say which video or which form is meant.
_OPEN_QUERY = re.compile(r"v=[\w-]{11}|alt=media")
#: Characters of a field that Airflow shows, if it is not configured.
_SHOWN = 4096


def mask_urls(values: Iterable[Any]) -> None:
    """
    Tell Airflow to mask users, passwords, queries and fragments of URLs, such as the signature of a signed URL.

    Every secret makes Airflow's masker slower, so only what Airflow shows of each value is read.

    :param values: rendered arguments; texts in nested lists and dicts are found.
    """
    most = conf.getint("core", "max_templated_field_length", fallback=_SHOWN)
    secrets = {secret for value in values for text in _first(_texts(value), most) for secret in _secrets_of(text)}
    for secret in secrets:
        mask_secret(secret)


def _secrets_of(text: str) -> list[str]:
    found = _URL.fullmatch(text.strip())
    given = found.group("user", "query", "fragment") if found else ()
    return [secret for secret in given if secret and not _OPEN_QUERY.fullmatch(secret)]


def _first(texts: Iterator[str], most: int) -> Iterator[str]:
    """Yield texts as far as they begin within some characters."""
    for text in texts:
        if most <= 0:
            return
        yield text
        most -= len(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _texts(one)
    elif text := location(value):
        yield text
