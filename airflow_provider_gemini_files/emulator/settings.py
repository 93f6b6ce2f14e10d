"""How an emulator behaves."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_QUOTA_BYTES = 20 * 1024**3
DEFAULT_GRANULARITY = 8 * 1024**2
DEFAULT_VIDEO_SECONDS = 2.0
#: Audio and PDF files from this size on are PROCESSING for a while.
LARGE_BYTES = 16 * 1024**2


@dataclass
class Settings:
    """
    How an emulator behaves; what is changed while it runs holds from the next request on.

    :param api_keys: keys that are valid; empty: every key is. Each key is a project of its own.
    :param quota_bytes: storage of one project.
    :param granularity: chunk granularity of uploads, in bytes.
    :param keep_partial: what a broken connection has brought is kept up to a granularity boundary; else the whole
        chunk is dropped. Which of the two the service does is not known.
    :param video_seconds: how long a video is PROCESSING.
    :param large_seconds: how long audio and PDF files of 16 MiB and more are PROCESSING; other files never are.
    :param job_seconds: how long an import, an upload to a store or a batch takes.
    :param freed_seconds: how long the bytes of a deleted file still count, as some users report.
    """

    api_keys: tuple[str, ...] = ()
    quota_bytes: int = DEFAULT_QUOTA_BYTES
    granularity: int = DEFAULT_GRANULARITY
    keep_partial: bool = True
    video_seconds: float = DEFAULT_VIDEO_SECONDS
    large_seconds: float = 1.0
    job_seconds: float = 1.0
    freed_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.granularity < 1 or self.quota_bytes < 0:
            raise ValueError("granularity and quota_bytes count bytes, and granularity is at least 1")
        if min(self.video_seconds, self.large_seconds, self.job_seconds, self.freed_seconds) < 0:
            raise ValueError("seconds cannot be negative")

    def processing_seconds(self, mime_type: str, size: int) -> float:
        """Return how long a file of that type and size in bytes is PROCESSING."""
        kind = mime_type.partition("/")[0]
        if kind == "video":
            return self.video_seconds
        if size >= LARGE_BYTES and (kind == "audio" or mime_type == "application/pdf"):
            return self.large_seconds
        return 0.0
