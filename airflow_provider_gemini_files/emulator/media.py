"""What the emulated models can tell of a file by looking at its bytes."""

from __future__ import annotations

import base64
import math
import re
import struct

#: What stands for a video's preview picture: the service's is a JPEG of some 9 kB.
THUMBNAIL = base64.b64encode(b"\xff\xd8\xff\xe0 emulated thumbnail \xff\xd9").decode()

#: Bytes of video that stand for one second where the container does not tell its length.
_BYTES_A_SECOND = 110_000


def video_seconds(content: bytes, size: int) -> float:
    """
    Return the length of a video.

    :param content: its first bytes; an MP4 whose movie header is among them is read.
    :param size: its whole size in bytes, from which the length of other containers is guessed.
    """
    at = content.find(b"mvhd")
    if at >= 0 and len(content) >= at + 24 and content[at + 4] == 0:
        scale, duration = struct.unpack(">II", content[at + 16 : at + 24])
        if scale:
            return float(round(duration / scale, 3))
    return float(max(1, math.ceil(size / _BYTES_A_SECOND)))


def pdf_pages(content: bytes) -> int:
    """Return the pages of a PDF, at least one; those inside compressed objects are not seen."""
    return max(1, len(re.findall(rb"/Type\s*/Page[^s]", content)))


def tokens(mime_type: str, content: bytes, size: int) -> int:
    """
    Count a file's tokens by the documented arithmetic.

    258 an image or a PDF page, 300 a second of video, 32 a second of audio, about 4 characters of text each.

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
