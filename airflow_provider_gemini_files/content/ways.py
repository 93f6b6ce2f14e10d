"""The way of a source into a request: as inline data, as an uploaded or registered file, or as a URL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from airflow_provider_gemini_files.common.limits import (
    MAX_BATCH_INLINE_BYTES,
    MAX_INLINE_BYTES,
    MAX_INLINE_PDF_BYTES,
    MAX_URL_BYTES,
)
from airflow_provider_gemini_files.common.units import human_bytes

Way = Literal["inline", "upload", "register", "url"]
Via = Literal["auto", "inline", "upload", "register", "url"]

#: Bytes of a source that is sent inline without being asked to: beyond it, a resumable upload is worth its calls.
SMALL_BYTES = 8 * 1024**2
#: Types that the service fetches from URLs (Google's page on input methods, 2026).
URL_TYPES = frozenset(
    {
        "application/json", "application/pdf", "image/bmp", "image/jpeg", "image/png", "image/webp", "text/css",
        "text/csv", "text/html", "text/javascript", "text/plain", "text/rtf", "text/xml",
    }
)  # fmt: skip
_PDF = "application/pdf"
_REASONS: dict[Way, str] = {
    "inline": "it is small and used once",
    "register": "the service reads objects of Google Cloud Storage directly",
    "url": "the service fetches public URLs itself",
}


@dataclass(frozen=True)
class Candidate:
    """
    What the choice depends on.

    :param scheme: of the source: ``file``, ``gs``, ``s3``, ``https`` ...
    :param size: bytes; None if the source was not looked at.
    :param mime_type: None if it is not known.
    :param uses: how often the request, or all requests of a batch, show the source.
    :param can_register: whether there are Google credentials.
    :param in_batch: whether it is shown in a batch.
    :param inline_bytes: inline data that the request, or the batch, has already.
    """

    scheme: str
    size: int | None
    mime_type: str | None
    uses: int = 1
    can_register: bool = False
    in_batch: bool = False
    inline_bytes: int = 0


@dataclass(frozen=True)
class Choice:
    """
    The way of a source.

    :param reason: why, for the log.
    """

    way: Way
    reason: str


def choose(source: Candidate) -> Choice:
    """Return the way that is best for a source: the first of inline, register and url that suits it, else upload."""
    against: list[str] = []
    for way in _suitable(source.scheme):
        obstacle = _drawback_of(way, source) or obstacle_of(way, source)
        if obstacle is None:
            return Choice(way, _REASONS[way])
        against.append(obstacle)
    return Choice("upload", "; ".join(against))


def obstacle_of(way: Way, source: Candidate) -> str | None:
    """Return why a way is not possible for a source; None if it is."""
    if way == "inline":
        return _too_large_for_inline(source)
    if way == "register":
        return _not_registrable(source)
    return _not_fetchable(source) if way == "url" else None


def is_via(value: object) -> bool:
    """Return whether a value is ``auto`` or a way."""
    return value in get_args(Via)


def _suitable(scheme: str) -> Iterator[Way]:
    """Yield the ways, besides an upload, that make sense for a scheme, the best first."""
    yield "inline"
    if scheme == "gs":
        yield "register"
    if scheme == "https":
        yield "url"


def _drawback_of(way: Way, source: Candidate) -> str | None:
    """Return why a way that is possible is not chosen by itself."""
    if way == "inline" and (source.size or 0) > SMALL_BYTES:
        most = human_bytes(SMALL_BYTES)
        return f"{human_bytes(source.size or 0)} is more than the {most} that are sent inline by default"
    if way == "inline" and source.uses > 1:
        return f"it is used {source.uses} times"
    if way == "url" and source.in_batch:
        return "a batch cannot ask again if the service fails to fetch the URL"
    return None


def _too_large_for_inline(source: Candidate) -> str | None:
    size = source.size or 0
    if source.mime_type == _PDF and size > MAX_INLINE_PDF_BYTES:
        return f"an inline PDF has at most {human_bytes(MAX_INLINE_PDF_BYTES)}, and this one has {human_bytes(size)}"
    limit, whole = (MAX_BATCH_INLINE_BYTES, "batch") if source.in_batch else (MAX_INLINE_BYTES, "request")
    total = source.inline_bytes + size * source.uses
    if total > limit:
        return f"a {whole} has at most {human_bytes(limit)} of inline data, and would have {human_bytes(total)}"
    return None


def _not_registrable(source: Candidate) -> str | None:
    if source.scheme != "gs":
        return "only gs:// objects can be registered"
    return None if source.can_register else "there are no Google credentials to register it with"


def _not_fetchable(source: Candidate) -> str | None:
    if source.scheme != "https":
        return "only an https:// URL can be passed on"
    if source.mime_type is not None and source.mime_type not in URL_TYPES:
        return f"the service does not fetch {source.mime_type} from URLs"
    if source.size is not None and source.size > MAX_URL_BYTES:
        most = human_bytes(MAX_URL_BYTES)
        return f"the service fetches at most {most} from a URL, and this one has {human_bytes(source.size)}"
    return None
