"""One listing per connection and 30 seconds, however many users view the page and however slow the service is."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from processes import free_port
from support import API_KEY, seed

from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.ui import listings
from airflow_provider_gemini_files.ui.errors import ErrorKind
from airflow_provider_gemini_files.ui.files import FileListing
from airflow_provider_gemini_files.ui.listings import ListingCache, Snapshot

pytestmark = pytest.mark.usefixtures("airflow_db")

CONN_ID = "gemini_default"


@pytest.fixture
def cache() -> ListingCache:
    return ListingCache("files", FileListing.read)


def calls(emulator: GeminiEmulator) -> int:
    return sum(entry["call"] == "list" for entry in emulator.journal)


def snapshots(cache: ListingCache, count: int, *, retry: bool = False) -> list[Snapshot]:
    async def gather():
        return await asyncio.gather(*(cache.snapshot(CONN_ID, retry=retry) for _ in range(count)))

    return asyncio.run(gather())


def snapshot(cache: ListingCache, *, retry: bool = False) -> Snapshot:
    return snapshots(cache, 1, retry=retry)[0]


def wait(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time() + seconds
    monkeypatch.setattr(listings.time, "time", lambda: now)


def test_concurrent_and_repeated_requests_share_one_listing(emulator, hook, text_file, cache):
    file = hook.upload_file(text_file)
    before = calls(emulator)

    for shared in (*snapshots(cache, 20), *snapshots(cache, 20)):
        assert [listed.name for listed in shared.listing.files] == [file.name]
        assert shared.error is None
        assert not shared.loading
    assert calls(emulator) - before == 1


def test_files_are_listed_again_after_30_seconds(emulator, cache, monkeypatch):
    snapshot(cache)
    wait(monkeypatch, 30)
    snapshots(cache, 3)

    assert calls(emulator) == 2


def test_request_does_not_wait_for_slow_listing_and_starts_no_second_one(emulator, cache, monkeypatch):
    monkeypatch.setattr(listings, "REQUEST_SECONDS", 0.1)
    emulator.faults.add("list", "stall", seconds=2)
    first = snapshot(cache)
    assert first.loading
    assert first.listing is None

    snapshots(cache, 5)
    monkeypatch.setattr(listings, "REQUEST_SECONDS", 60)
    assert snapshot(cache).listing is not None
    assert calls(emulator) == 1


def test_listing_that_never_finishes_is_given_up_and_its_late_result_ignored(emulator, cache, monkeypatch):
    monkeypatch.setattr(listings, "REQUEST_SECONDS", 0.1)
    emulator.faults.add("list", "stall", seconds=1)
    snapshot(cache)
    abandoned = cache._entries[CONN_ID,].running
    wait(monkeypatch, listings.LISTING_SECONDS)
    monkeypatch.setattr(listings, "REQUEST_SECONDS", 60)
    after = snapshot(cache)

    assert abandoned.done()
    assert after.listing.at == listings.time.time()
    time.sleep(1.2)
    assert snapshot(cache).listing is after.listing
    assert calls(emulator) == 2


def test_previous_listing_is_kept_when_service_fails(emulator, hook, text_file, cache, monkeypatch):
    hook.upload_file(text_file)
    before = snapshot(cache)
    wait(monkeypatch, 30)
    emulator.faults.add("list", "bad_key")
    after = snapshot(cache)

    assert after.listing == before.listing
    assert after.error.kind == ErrorKind.API_KEY
    assert "API key not valid" in after.error.message
    assert API_KEY not in after.error.message


def test_user_can_ask_for_a_listing_sooner_after_an_error_than_after_a_success(emulator, cache, monkeypatch):
    emulator.faults.add("list", "bad_key")
    assert snapshot(cache).error is not None
    wait(monkeypatch, 2)
    assert snapshot(cache).error is not None
    assert snapshot(cache, retry=True).error is None
    wait(monkeypatch, 4)
    snapshot(cache, retry=True)
    assert calls(emulator) == 2
    wait(monkeypatch, 7)
    snapshot(cache)
    assert calls(emulator) == 2
    snapshot(cache, retry=True)

    assert calls(emulator) == 3


def test_unreachable_service_is_told_from_a_failing_one(connect, cache):
    connect(host=f"http://127.0.0.1:{free_port()}", extra={"max_retries": 0})

    assert snapshot(cache).error.kind == ErrorKind.UNREACHABLE


def test_unexpected_error_is_not_shown_to_browser(emulator, cache, mocker):
    secret = "text that may hold anything"
    mocker.patch.object(GeminiFilesHook, "list_files", autospec=True, side_effect=RuntimeError(secret))
    error = snapshot(cache).error

    assert error.kind == ErrorKind.UNEXPECTED
    assert secret not in error.message


def test_missing_connection_is_told_from_an_invalid_one(cache, connect, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_GEMINI_DEFAULT", raising=False)
    assert snapshot(cache).error.kind == ErrorKind.MISSING_CONNECTION

    connect(conn_type="http")
    assert snapshot(ListingCache("files", FileListing.read)).error.kind == ErrorKind.INVALID_CONNECTION


def test_deleted_files_are_removed_from_listing_at_once(emulator, hook, text_file, cache):
    kept, deleted = (hook.upload_file(text_file) for _ in range(2))
    snapshot(cache)
    cache.change(CONN_ID, lambda listing: listing.without([deleted.name]))
    after = snapshot(cache)

    assert [file.name for file in after.listing.files] == [kept.name]
    assert after.listing.usage.files == 1


def test_row_has_owner_and_state_of_its_run(emulator, hook, text_file, cache):
    file = hook.upload_file(text_file, display_name="note", owner=Owner("d/e", "r", "t", 2, "tests"))

    part = snapshot(cache).listing.rows.part()
    assert json.loads(part.owners) == [["d/e", "r", "t", "gone"]]
    assert json.loads(part.rows) == [[
        0, 2, file.name.removeprefix("files/"), "note", None, "text/plain", 20, "ACTIVE",
        round(file.created_at()), round(file.expires_at()), "UPLOADED", None,
    ]]  # fmt: skip
    assert part.next is None


@pytest.mark.parametrize(("deployment", "shared"), [("tests", "shared"), ("another", "elsewhere")])
def test_files_that_another_deployment_shares_are_told_from_our_own(emulator, cache, deployment: str, shared: str):
    seed(emulator.base_url, {"name": "files/a", "display_name": f"a [airflow in={deployment} shared]"})

    part = snapshot(cache).listing.rows.part()
    assert [row[4] for row in json.loads(part.rows)] == [shared]
