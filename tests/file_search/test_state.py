"""The decision about a document that is waited for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.file_search.resources import Document
from airflow_provider_gemini_files.file_search.state import FAILED_GRACE, DocumentWait

NAME = "fileSearchStores/a/documents/b"
OTHER = "fileSearchStores/a/documents/c"


def wait(*names: str, grace: float = FAILED_GRACE) -> DocumentWait:
    return DocumentWait(names or (NAME,), Schedule(0.0, 3600.0), grace)


def seen(waiting: DocumentWait, *states: tuple[float, str], name: str = NAME) -> bool:
    """Report states at their times, and return whether the wait is over."""
    for now, state in states:
        waiting.see(name, Document(name, state, "returns.md", "text/plain"), now)
        over = waiting.check(now)
    return over


@pytest.mark.parametrize("state", ["PENDING", "UNSPECIFIED", "NEW_STATE"])
def test_document_that_is_not_active_is_waited_for(state):
    assert seen(wait(), (0, state), (3599, state)) is False


def test_active_document_ends_the_wait():
    assert seen(wait(), (0, "PENDING"), (5, "ACTIVE")) is True


def test_failed_document_may_still_become_active():
    assert seen(wait(), (0, "PENDING"), (10, "FAILED"), (120, "FAILED"), (121, "ACTIVE")) is True


def test_failed_document_ends_the_wait_after_the_grace():
    waiting = wait()
    assert seen(waiting, (10, "FAILED"), (10 + FAILED_GRACE - 1, "FAILED")) is False

    with pytest.raises(
        e.GeminiDocumentFailedError, match=r"documents/b \(returns.md, text/plain\), and gives no reason"
    ):
        seen(waiting, (10 + FAILED_GRACE, "FAILED"))


def test_grace_begins_again_each_time_that_a_document_fails():
    waiting = wait()
    flaps = [(0, "FAILED"), (299, "FAILED"), (300, "PENDING"), (301, "FAILED"), (600, "FAILED")]
    assert seen(waiting, *flaps) is False

    with pytest.raises(e.GeminiDocumentFailedError):
        seen(waiting, (601, "FAILED"))


def test_document_that_was_active_once_is_ready_though_it_fails_again():
    waiting = wait(NAME, OTHER)

    assert seen(waiting, (0, "FAILED"), (110, "ACTIVE"), (120, "FAILED"), (900, "FAILED")) is False
    assert seen(waiting, (901, "ACTIVE"), name=OTHER) is True
    assert [document.state for document in waiting.ready()] == ["ACTIVE", "ACTIVE"]


def test_graces_of_documents_are_their_own():
    waiting = wait(NAME, OTHER)
    seen(waiting, (0, "FAILED"))
    seen(waiting, (200, "FAILED"), name=OTHER)

    with pytest.raises(e.GeminiDocumentFailedError, match="documents/b"):
        seen(waiting, (300, "FAILED"))


class TestWaitThatAnotherProcessContinues:
    """Each poke of a sensor that is rescheduled is a process of its own."""

    BEGAN = 1_790_000_000.0

    def judged(self, changed: str | None, now: float) -> bool:
        waiting = DocumentWait([NAME], Schedule(self.BEGAN), FAILED_GRACE)
        waiting.see(NAME, Document(NAME, "FAILED", create_time=changed, update_time=changed), now)
        return waiting.check(now)

    def at(self, seconds: float) -> str:
        return datetime.fromtimestamp(self.BEGAN + seconds, UTC).isoformat()

    def test_grace_counts_from_the_change_of_the_document(self):
        assert self.judged(self.at(50), self.BEGAN + 349) is False
        with pytest.raises(e.GeminiDocumentFailedError):
            self.judged(self.at(50), self.BEGAN + 350)

    def test_grace_counts_from_the_beginning_of_the_wait_if_the_change_was_before(self):
        assert self.judged(self.at(-5000), self.BEGAN) is False
        assert self.judged(self.at(-5000), self.BEGAN + 299) is False
        with pytest.raises(e.GeminiDocumentFailedError):
            self.judged(self.at(-5000), self.BEGAN + 300)

    @pytest.mark.parametrize("changed", [None, "2099-01-01T00:00:00Z"])
    def test_grace_counts_from_now_if_the_change_is_not_known(self, changed):
        assert self.judged(changed, self.BEGAN + 3000) is False


def test_without_a_grace_the_first_failure_counts():
    with pytest.raises(e.GeminiDocumentFailedError):
        seen(wait(grace=0), (0, "FAILED"))


def test_gone_document_ends_the_wait_at_once():
    waiting = wait()
    waiting.see(NAME, e.GeminiStoreGoneError("deleted"), 0)

    with pytest.raises(e.GeminiStoreGoneError):
        waiting.check(0)


def test_deadline_ends_the_wait_and_says_what_was_seen_last():
    waiting = wait()
    seen(waiting, (3500, "FAILED"))

    with pytest.raises(
        e.GeminiWaitTimeoutError, match=r"Waited 3600 s for .* \(FAILED, which may pass\) to become ACTIVE"
    ):
        waiting.check(3600)
