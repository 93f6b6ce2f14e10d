"""Limits of the Files API, as documented by Google unless a comment says otherwise."""

from __future__ import annotations

#: "2 GB" a file. The documentation does not say which gigabyte: the larger is checked here, the rest by the service.
MAX_FILE_BYTES = 2 * 1024**3
#: Storage of a project: the figure in the service's own quota errors.
DEFAULT_QUOTA_BYTES = 20 * 1024**3
#: Characters of a display name.
MAX_DISPLAY_NAME = 512
#: Characters of a file's id, without ``files/``.
MAX_ID = 40
#: Inline data of one request; base64 adds a third, and the request stays below 20 MB, the limit until 2026.
MAX_INLINE_BYTES = 14 * 1024**2
#: Files on one page of a list; without a size the service returns 10.
LIST_PAGE_SIZE = 100
#: Seconds; the service refuses a request with a shorter deadline (its error of 2026).
MIN_TIMEOUT_SECONDS = 10
