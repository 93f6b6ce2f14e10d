"""The one decision about a document that is waited for: poll again, ACTIVE, or failed."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.waiting import Schedule, Wait
from airflow_provider_gemini_files.exceptions import GeminiDocumentFailedError, GeminiFilesError
from airflow_provider_gemini_files.file_search.resources import Document

#: Seconds that a document must stay FAILED: users saw documents that were FAILED and became ACTIVE 110 s later.
FAILED_GRACE = 300.0


class DocumentWait(Wait[Document]):
    """
    The wait for documents to become ACTIVE.

    :param failed_grace: seconds that a document may be FAILED before its wait fails.
    """

    goal = "to become ACTIVE"
    advice = "The documents still exist: a retry continues to wait. Or raise the timeout."

    def __init__(self, names: Iterable[str], schedule: Schedule, failed_grace: float = FAILED_GRACE) -> None:
        super().__init__(names, schedule)
        self._failed_grace = failed_grace
        self._failed_since: dict[str, float] = {}
        self._polled: set[str] = set()

    def judge(self, seen: Document, now: float) -> bool | GeminiFilesError:
        """Return whether a document is ACTIVE, or the error of one that has been FAILED for too long."""
        is_first = seen.name not in self._polled
        self._polled.add(seen.name)
        if seen.state != "FAILED":
            self._failed_since.pop(seen.name, None)
            return seen.state == "ACTIVE"
        since = self._failed_since.setdefault(seen.name, self._changed(seen, now) if is_first else now)
        return document_failed(seen) if now - since >= self._failed_grace else False

    def _changed(self, seen: Document, now: float) -> float:
        """
        Return since when a document has been FAILED that this process has not polled before.

        A wait is continued by other processes: by those of a sensor's pokes, or by a triggerer that was restarted.
        """
        changed = seen.changed_at()
        return now if changed is None else min(max(changed, self.schedule.began), now)

    def state_of(self, seen: Document) -> str:
        """Return the document's state."""
        return "FAILED, which may pass" if seen.state == "FAILED" else seen.state


def document_failed(document: Document) -> GeminiDocumentFailedError:
    """Return the error of a document that the service could not index."""
    label = shown_text(document.display_name or "no display name")
    mime_type = shown_text(document.mime_type or "no MIME type")
    return GeminiDocumentFailedError(
        f"The service could not index {document.name} ({label}, {mime_type}), and gives no reason. Check that the "
        "source opens and contains text; audio and video are not supported. Many uploads at once can also make "
        "documents fail: if so, add it again."
    )
