"""What a task remembers of a job that it submits."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from support import logged_by
from transfer_store import Store

from airflow_provider_gemini_files.hooks.submission import Remembered, Submission

LOG = logging.getLogger(__name__)
KEY = "gemini_batch_abc"


def submission(store: Store | None) -> Submission:
    return Submission(store, "abc", LOG)


def test_nothing_is_remembered_at_first():
    assert submission(Store()).recall() == Remembered(None, maybe_submitted=False)


def test_intent_is_remembered_without_a_name():
    store = Store()
    submission(store).intend()

    assert submission(store).recall() == Remembered(None, maybe_submitted=True)
    assert store.retention == timedelta(days=42)


def test_job_is_remembered_by_its_name():
    store = Store()
    submission(store).intend()
    submission(store).keep("batches/a")

    assert submission(store).recall() == Remembered("batches/a", maybe_submitted=True, is_counted=False)


@pytest.mark.parametrize("is_counted", [True, False])
def test_whether_the_metrics_have_the_tokens_of_a_job_is_remembered(is_counted):
    store = Store()
    submission(store).keep("batches/a", is_counted=is_counted)

    assert submission(store).recall().is_counted is is_counted


def test_jobs_of_other_requests_are_remembered_apart():
    store = Store()
    submission(store).keep("batches/a")

    assert Submission(store, "abd", LOG).recall() == Remembered()


def test_what_is_forgotten_is_not_remembered():
    store = Store()
    submission(store).intend()
    submission(store).forget()

    assert store.kept == {}
    assert submission(store).recall() == Remembered()


def test_forgetting_nothing_is_no_error():
    submission(Store()).forget()


def test_without_a_store_nothing_is_remembered():
    one = submission(None)
    one.intend()
    one.keep("batches/a")
    one.forget()

    assert one.recall() == Remembered()


def test_store_that_cannot_be_read_may_know_a_job(mocker):
    warning = mocker.spy(LOG, "warning")

    assert submission(Store(broken=True)).recall() == Remembered(None, maybe_submitted=True)
    assert logged_by(warning) == ["What an earlier attempt has submitted cannot be read (RuntimeError)."]


def test_store_that_cannot_be_written_stops_nothing(mocker):
    warning = mocker.spy(LOG, "warning")
    one = submission(Store(broken=True))

    one.intend()
    one.keep("batches/a")
    one.forget()

    assert len(logged_by(warning)) == 3


@pytest.mark.parametrize("record", ["text", [], 5, {"name": 5}, {"name": None}, {}])
def test_record_that_cannot_be_read_may_mean_a_job(record):
    store = Store()
    store.set(KEY, record)

    assert submission(store).recall() == Remembered(None, maybe_submitted=True)
