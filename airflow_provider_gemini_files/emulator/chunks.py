"""Chunks: the parts of a document that a search finds."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.emulator import media
from airflow_provider_gemini_files.emulator.stores import Document

#: Bytes of a document that a search reads.
SEARCHED_BYTES = 1024**2
_PDF = "application/pdf"
_SHOWN = re.compile(rb"\(((?:[^()\\]|\\.)*)\)", re.S)


@dataclass(frozen=True)
class Chunk:
    """
    A part of a document.

    :param text: empty for a document without text, such as an image.
    :param page: number of the page of a PDF it begins on, counted from 1; None for other documents.
    """

    document: Document
    text: str
    page: int | None = None

    @property
    def title(self) -> str:
        """Return the title of its document."""
        return self.document.display_name

    def tokens(self) -> int:
        """Return the number of tokens that a model is shown for it."""
        if self.text:
            return media.tokens("text/plain", b"", len(self.text))
        return media.tokens(self.document.mime_type, self.document.content, self.document.size)

    def to_json(self) -> dict[str, Any]:
        """Return its ``retrievedContext``; unset fields are omitted."""
        store = self.document.store
        is_image = self.document.mime_type.startswith("image/")
        body = {
            "fileSearchStore": store,
            "title": self.title,
            "text": self.text or None,
            "customMetadata": self.document.custom_metadata or None,
            "pageNumber": self.page,
            "mediaId": f"{store}/media/{self.document.id}" if is_image else None,
        }
        return {key: value for key, value in body.items() if value is not None}


def chunks_of(document: Document) -> Iterator[Chunk]:
    """Yield the chunks of a document, by its chunking; one without text if no text can be read."""
    found = False
    for page, text in _pages(document):
        for piece in _split(text, document.chunk_tokens, document.overlap_tokens):
            found = True
            yield Chunk(document, piece, page)
    if not found:
        yield Chunk(document, "", 1 if document.mime_type == _PDF else None)


def _split(text: str, size: int, overlap: int) -> Iterator[str]:
    """Yield pieces of ``size`` words between blanks; two neighbours share ``overlap`` words."""
    count = len(text.split())
    if 0 < count <= size:
        yield text.strip()
        return
    words = list(re.finditer(r"\S+", text))
    for first in range(0, max(0, count - overlap), size - overlap):
        last = min(first + size, len(words)) - 1
        yield text[words[first].start() : words[last].end()]


def _pages(document: Document) -> Iterator[tuple[int | None, str]]:
    content = document.content[:SEARCHED_BYTES]
    if document.mime_type == _PDF:
        yield from enumerate(_pdf_pages(content), 1)
    elif not document.mime_type.startswith("image/") and b"\0" not in content:
        yield None, content.decode("utf-8", "replace")


def _pdf_pages(content: bytes) -> list[str]:
    """Return the texts of a PDF's pages: its streams with text, or what lies between its page objects."""
    # A split takes linear time, however many streams have no end.
    streams = [_inflate(part.partition(b"stream")[2].lstrip(b"\r\n")) for part in content.split(b"endstream")]
    shown = [b" ".join(_SHOWN.findall(stream)) for stream in streams if re.search(rb"T[jJ]", stream)]
    if not shown:
        first, *rest = re.split(rb"/Type\s*/Page(?!s)", content)
        shown = [first + rest[0], *rest[1:]] if rest else [first]
    return [text.decode("latin-1") for text in shown]


def _inflate(stream: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(stream, SEARCHED_BYTES)
    except zlib.error:
        return stream
