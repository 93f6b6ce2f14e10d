"""Limits of the Files API, as documented by Google unless said otherwise."""

from __future__ import annotations

#: "2 GB" a file. Which gigabyte is meant is not documented: the larger is refused here, the rest by the service.
MAX_FILE_BYTES = 2 * 1024**3
#: Storage of a project: the figure in the service's own quota errors.
DEFAULT_QUOTA_BYTES = 20 * 1024**3
#: Characters of a display name.
MAX_DISPLAY_NAME = 512
#: Characters of a file's id, without ``files/``.
MAX_ID = 40
#: What is sent within a request, in base64 a third more: stays below 20 MB for all of it, the limit until 2026.
MAX_INLINE_BYTES = 14 * 1024**2
#: Files of one page of a list; without a size the service answers 10.
LIST_PAGE_SIZE = 100
#: Seconds; the service refuses a request that allows it less (its error of 2026).
MIN_TIMEOUT_SECONDS = 10


def human_bytes(count: float) -> str:
    """Return a size as people read it: ``1536`` is ``"1.5 KiB"``."""
    for unit in ("B", "KiB", "MiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
