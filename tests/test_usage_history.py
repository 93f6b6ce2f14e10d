"""Where the history is kept, and what a failure of Airflow's Variables leads to."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from airflow_provider_gemini_files.files.usage_history import Deleted, History, Sample
from airflow_provider_gemini_files.usage_history import PREFIX, UsageHistory, of_database, of_task

NOW = 1_800_000_000
SAMPLE = Sample(NOW, 3, 500)
LATER = Sample(NOW + 60, 3, 500)
KEY = f"{PREFIX}gemini_default"


def record(sample: Sample, **deleted: Deleted) -> None:
    of_task.record("gemini_default", sample, **deleted)


def test_variable_is_called_after_the_connection(variables):
    record(SAMPLE)
    of_task.record("another", LATER)

    assert set(variables.kept) == {"gemini_files_history_gemini_default", "gemini_files_history_another"}
    assert of_task.load("gemini_default") == History((SAMPLE,))


def test_second_sample_within_the_hour_is_not_written(variables):
    record(SAMPLE)
    record(LATER)

    assert variables.writes == 1


def test_what_was_deleted_is_written_within_the_hour(variables):
    deleted = Deleted(NOW + 60, 2, 400)
    record(SAMPLE)
    record(LATER, cleaned_up=deleted)
    record(LATER, evicted=deleted)

    history = of_task.load("gemini_default")
    assert (history.cleanups, history.evictions) == ((deleted,), (deleted,))
    assert variables.writes == 3


def test_cleanup_that_has_deleted_nothing_is_a_sample_like_any_other(variables):
    record(SAMPLE, cleaned_up=Deleted(NOW, 0, 0))
    record(LATER, cleaned_up=Deleted(NOW + 60, 0, 0))

    assert of_task.load("gemini_default") == History((SAMPLE,))
    assert variables.writes == 1


def test_record_that_somebody_has_broken_is_replaced(variables):
    variables.kept[KEY] = '{"version": 1, "samples": "none"}'
    record(SAMPLE)

    assert of_task.load("gemini_default") == History((SAMPLE,))


def test_failure_is_one_line_in_the_log_and_leaves_the_record(variables, caplog):
    record(SAMPLE)
    kept = dict(variables.kept)
    variables.error = ConnectionError("no API server")
    with caplog.at_level(logging.DEBUG, "airflow_provider_gemini_files"):
        record(Sample(NOW + 7200, 1, 1), cleaned_up=Deleted(NOW, 1, 1))

    [line] = caplog.messages
    assert line == "The storage usage of connection 'gemini_default' could not be recorded (ConnectionError)."
    assert variables.kept == kept


def test_two_writers_at_the_same_time_may_lose_a_sample_but_keep_a_record(variables):
    first = UsageHistory(_Interrupted(variables, lambda: record(Sample(NOW, 1, 1))))
    first.record("gemini_default", Sample(NOW, 2, 2))

    assert of_task.load("gemini_default") == History((Sample(NOW, 2, 2),))


class _Interrupted:
    """Variables of a process that another one overtakes between reading and writing."""

    def __init__(self, variables, meanwhile) -> None:
        self._variables, self._meanwhile = variables, meanwhile

    def are_there(self) -> bool:
        return True

    def read(self, key: str) -> str | None:
        found = self._variables.get(key)
        self._meanwhile()
        return found

    def write(self, key: str, value: str) -> None:
        self._variables.set(key, value)


def test_script_without_a_supervisor_records_nothing(monkeypatch, caplog):
    monkeypatch.setattr("airflow_provider_gemini_files.deployment.has_supervisor", lambda: False)
    record(SAMPLE)

    assert of_task.load("gemini_default") == History()
    assert caplog.messages == []


@pytest.fixture
def stored(airflow_db) -> Iterator[type]:
    from airflow.models.variable import Variable

    # Other tests may have recorded a sample.
    Variable.delete(KEY)
    yield Variable
    Variable.delete(KEY)


def test_database_keeps_the_history_for_all_processes(stored):
    assert of_database.load("gemini_default") == History()
    of_database.record("gemini_default", SAMPLE)
    of_database.record("gemini_default", Sample(NOW + 3600, 1, 1))

    assert of_database.load("gemini_default") == History((SAMPLE, Sample(NOW + 3600, 1, 1)))
    assert History.parse(stored.get(KEY)) == of_database.load("gemini_default")
