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
#: Inline data of one request: 100 MB since January 2026, of which base64 takes a third, and the rest has 2 MB.
MAX_INLINE_BYTES = 70 * 1024**2
#: Inline data of a PDF: "50 MB".
MAX_INLINE_PDF_BYTES = 50 * 10**6
#: Inline data of a request in a batch; "20 MB", of which base64 takes a third.
MAX_BATCH_INLINE_BYTES = 14 * 1024**2
#: "100 MB" of a URL that the service fetches itself.
MAX_URL_BYTES = 100 * 10**6
#: Files on one page of a list; without a size the service returns 10.
LIST_PAGE_SIZE = 100
#: Seconds; the service refuses a request with a shorter deadline (its error of 2026).
MIN_TIMEOUT_SECONDS = 10
