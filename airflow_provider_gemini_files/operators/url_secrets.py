"""Keep what is secret in a URL out of what Airflow shows of a task's arguments."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow.sdk.log import mask_secret

#: A text that is a URL as a whole, with what can be a secret of it: the password and the query.
_URL = re.compile(
    r"https?://(?:[^/@\s]*:(?P<password>[^/@\s]+)@)?(?P<host>[^/?\s]+)[^?\s]*(?:\?(?P<query>\S+))?", re.IGNORECASE
)
#: Queries that say which video or which form is meant.
_OPEN_QUERIES = ("v=", "alt=media")


def mask_urls(values: Iterable[Any]) -> None:
    """
    Tell Airflow to mask passwords and queries of URLs, such as the signature of a signed URL.

    :param values: rendered arguments; texts in nested lists and dicts are found.
    """
    for value in values:
        for text in _texts(value):
            found = _URL.fullmatch(text)
            for secret in filter(None, found.group("password", "query") if found else ()):
                if not secret.startswith(_OPEN_QUERIES):
                    mask_secret(secret)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str | os.PathLike):
        yield str(value)
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
