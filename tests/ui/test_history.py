"""What the page reads and writes of the history; how it is shown is tested with a browser."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support import seed

from airflow_provider_gemini_files import usage_history
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.usage_history import Sample
from airflow_provider_gemini_files.ui import history
from airflow_provider_gemini_files.ui.files import FileListing

CONN_ID = "gemini_default"
HOUR = 3600


@pytest.fixture(autouse=True)
def variable(airflow_db) -> Iterator[str]:
    """Return the key of the Variable with the history, which does not exist before and after a test."""
    from airflow.models.variable import Variable

    key = f"{usage_history.PREFIX}{CONN_ID}"
    Variable.delete(key)
    yield key
    Variable.delete(key)


@pytest.fixture
def listing(emulator, hook) -> FileListing:
    """Return a recorded listing of a file of a run that does not exist, of a shared one, and of a registered one."""
    gone = display_name_for("a", Owner("a_dag", "a_run", "a_task", deployment="tests"))
    shared = display_name_for("b", None, shared=True, deployment="tests")
    seed(emulator.base_url, {"name": "files/a", "display_name": gone, "size": 70})
    seed(emulator.base_url, {"name": "files/b", "display_name": shared, "size": 5})
    return history.read_files(hook, time.time(), None)


def told(listing: FileListing | None) -> dict:
    return json.loads(json.dumps(history.history_of(CONN_ID, listing)))


def test_listing_of_the_page_is_a_sample_by_owner(listing, hook):
    history.read_files(hook, time.time(), listing)

    assert told(listing)["samples"] == [[int(listing.at), 2, 0, 70, 5, 0, 0, 0]]


def test_cleanup_from_the_page_counts_the_files_that_it_has_deleted(listing):
    history.add_cleanup(listing, {"files/a", "files/unlisted"})
    history.add_cleanup(listing, set())

    [[at, files, size]] = told(listing)["cleanups"]
    assert at == pytest.approx(time.time(), abs=60)
    assert (files, size) == (1, 70)
    assert told(listing)["evictions"] == []


def test_forecast_is_made_with_the_present_usage(listing):
    growing = replace(listing, quota_bytes=225)
    for hours in (3, 2, 1):
        usage_history.of_database.record(CONN_ID, Sample(int(listing.at) - hours * HOUR, 1, 75 - 25 * hours))

    assert told(growing)["full_in_hours"] == pytest.approx(6, abs=0.1)
    assert told(None)["full_in_hours"] is None


def test_history_that_cannot_be_read_is_an_empty_one_and_files_are_listed_all_the_same(emulator, hook, mocker):
    mocker.patch("airflow.utils.session.create_session", autospec=True, side_effect=ConnectionError("no database"))
    mocker.patch("airflow_provider_gemini_files.ui.files.OwnerRuns", autospec=True).of.return_value.states = {}
    seed(emulator.base_url, {"name": "files/a", "size": 70})

    assert history.read_files(hook, time.time(), None).usage.files == 1
    assert told(None)["samples"] == []
