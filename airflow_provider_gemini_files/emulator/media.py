"""Length, pages and tokens of media, read from their bytes."""

from __future__ import annotations

import base64
import math
import re
import struct

#: Placeholder of a video's preview picture; the service returns a JPEG of about 9 kB.
THUMBNAIL = base64.b64encode(b"\xff\xd8\xff\xe0 emulated thumbnail \xff\xd9").decode()

#: Bytes of video that count as one second if the container's length cannot be read.
_BYTES_A_SECOND = 110_000


def video_seconds(content: bytes, size: int) -> float:
    """
    Return the length of a video in seconds.

    :param content: its first bytes; the length is read from the movie header of an MP4 if they include it.
    :param size: its whole size in bytes; otherwise, the length is estimated from it.
    """
    at = content.find(b"mvhd")
    if at >= 0 and len(content) >= at + 24 and content[at + 4] == 0:
        scale, duration = struct.unpack(">II", content[at + 16 : at + 24])
        if scale:
            return float(round(duration / scale, 3))
    return float(max(1, math.ceil(size / _BYTES_A_SECOND)))


def pdf_pages(content: bytes) -> int:
    """Return the number of pages of a PDF, at least one; pages in compressed objects are not counted."""
    return max(1, len(re.findall(rb"/Type\s*/Page[^s]", content)))


def tokens(mime_type: str, content: bytes, size: int) -> int:
    """
    Return the number of a file's tokens by the documented arithmetic.

    An image or a PDF page has 258, a second of video 300, a second of audio 32, and 4 characters of text have one.

    :param content: the file's first bytes.
    :param size: its whole size in bytes.
    """
    kind = mime_type.partition("/")[0]
    if kind == "image":
        return 258
    if kind == "video":
        return round(300 * video_seconds(content, size))
    if kind == "audio":
        return 32 * max(1, size // 16_000)
    if mime_type == "application/pdf":
        return 258 * pdf_pages(content)
    return max(1, size // 4)
