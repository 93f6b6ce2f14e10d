"""Settings of an emulator."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_QUOTA_BYTES = 20 * 1024**3
DEFAULT_GRANULARITY = 8 * 1024**2
DEFAULT_VIDEO_SECONDS = 2.0
#: Audio and PDF files of this size in bytes and more are PROCESSING for a while.
LARGE_BYTES = 16 * 1024**2


@dataclass
class Settings:
    """
    Settings of an emulator; a change while it runs takes effect with the next request.

    :param api_keys: valid keys; empty: all keys are valid. Each key is a project of its own.
    :param quota_bytes: storage of one project, in bytes.
    :param granularity: chunk granularity of uploads, in bytes.
    :param keep_partial: whether bytes before a broken connection are kept, up to a granularity boundary; otherwise, the
        whole chunk is dropped. It is not known which of the two the service does.
    :param video_seconds: how long a video is PROCESSING.
    :param large_seconds: how long audio and PDF files of 16 MiB and more are PROCESSING; other files never are.
    :param job_seconds: how long an import, an upload to a store or a batch takes.
    :param freed_seconds: how long the bytes of a deleted file still count against the quota, as some users report.
    :param max_batches: number of batches of a project that have not ended; one more is refused.
    :param batch_tokens: tokens in all batches of a model that have not ended; more are refused. None: no limit.
    :param batch_expiry_seconds: age at which a batch that has not ended expires.
    :param cancel_seconds: how long a batch goes on after it was cancelled.
    :param delete_stops_batch: whether the work of a batch stops when it is deleted; Google's pages contradict each
        other.
    :param store_bytes: size of the documents in all file search stores of a project, counted three times because of
        their embeddings; more are refused. None: no limit.
    :param ranges: whether a download can be of a part of a file (``Range: bytes=N-``); it is not known whether the
        service supports that. Otherwise, all of the file is sent.
    :param redirect_downloads: whether a download is redirected to another host, which refuses the API key.
    :param forbidden_buckets: Cloud Storage buckets that the service agent may not read, so their objects cannot be
        registered.
    :raises ValueError: for a negative number, or a granularity of 0.
    """

    api_keys: tuple[str, ...] = ()
    quota_bytes: int = DEFAULT_QUOTA_BYTES
    granularity: int = DEFAULT_GRANULARITY
    keep_partial: bool = True
    video_seconds: float = DEFAULT_VIDEO_SECONDS
    large_seconds: float = 1.0
    job_seconds: float = 1.0
    freed_seconds: float = 0.0
    max_batches: int = 100
    batch_tokens: int | None = None
    batch_expiry_seconds: float = 48 * 3600.0
    cancel_seconds: float = 0.0
    delete_stops_batch: bool = True
    store_bytes: int | None = None
    ranges: bool = False
    redirect_downloads: bool = False
    forbidden_buckets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.granularity < 1 or self.quota_bytes < 0:
            raise ValueError("granularity and quota_bytes count bytes, and granularity is at least 1")
        # Not `value < 0`, which is False for NaN, too.
        if not all(value >= 0 for name, value in vars(self).items() if name.endswith("_seconds")):
            raise ValueError("seconds cannot be negative")
        if (self.store_bytes or 0) < 0:
            raise ValueError("store_bytes cannot be negative")
        if self.max_batches < 0 or (self.batch_tokens or 0) < 0:
            raise ValueError("max_batches and batch_tokens cannot be negative")

    def processing_seconds(self, mime_type: str, size: int) -> float:
        """Return how many seconds a file is PROCESSING; the size is in bytes."""
        kind = mime_type.partition("/")[0]
        if kind == "video":
            return self.video_seconds
        if size >= LARGE_BYTES and (kind == "audio" or mime_type == "application/pdf"):
            return self.large_seconds
        return 0.0
