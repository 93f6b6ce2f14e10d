"""One listing for each connection and half minute, whoever looks and however slow the service is."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.ui import reading
from airflow_provider_gemini_files.ui.reading import Reader

pytestmark = pytest.mark.usefixtures("airflow_db")

CONN_ID = "gemini_default"
MARK = " [airflow dag=d%2Fe run=r task=t map=2]"


@pytest.fixture
def reader() -> Reader:
    return Reader()


def lists(emulator: GeminiEmulator) -> int:
    return sum(entry["call"] == "list" for entry in emulator.journal)


def see(reader: Reader, times: int = 1) -> list[reading.Seen]:
    async def look():
        return await asyncio.gather(*(reader.see(CONN_ID) for _ in range(times)))

    return asyncio.run(look())


def make_stale(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(reading.time, "time", lambda: now + reading.FRESH_SECONDS)


def test_many_who_look_at_once_and_again_cost_one_call(emulator, hook, text_file, reader):
    file = hook.upload_file(text_file)
    before = lists(emulator)

    for seen in (*see(reader, 20), *see(reader, 20)):
        assert [listed.name for listed in seen.listing.files] == [file.name]
        assert seen.error is None
        assert not seen.reading
    assert lists(emulator) - before == 1


def test_it_is_read_again_after_half_a_minute(emulator, reader, monkeypatch):
    see(reader)
    make_stale(reader, monkeypatch)
    see(reader, 3)

    assert lists(emulator) == 2


def test_a_slow_service_is_waited_for_no_longer_than_patience_and_asked_once(emulator, reader, monkeypatch):
    monkeypatch.setattr(reading, "PATIENCE_SECONDS", 0.1)
    emulator.faults.add("list", "stall", seconds=2)
    [seen] = see(reader)
    assert seen.reading
    assert seen.listing is None

    see(reader, 5)
    monkeypatch.setattr(reading, "PATIENCE_SECONDS", 60)
    [seen] = see(reader)
    assert seen.listing is not None
    assert lists(emulator) == 1


def test_what_was_known_is_shown_on_when_the_service_fails(emulator, hook, text_file, reader, monkeypatch):
    hook.upload_file(text_file)
    [before] = see(reader)
    make_stale(reader, monkeypatch)
    emulator.faults.add("list", "bad_key")
    [after] = see(reader)

    assert after.listing == before.listing
    assert after.error["kind"] == "GeminiAuthError"
    assert "API key not valid" in after.error["message"]


def test_an_unexpected_error_tells_the_browser_nothing(emulator, reader, mocker):
    secret = "what nobody expected"
    mocker.patch.object(reading.GeminiFilesHook, "list_files", autospec=True, side_effect=RuntimeError(secret))
    [seen] = see(reader)

    assert seen.error["kind"] == "Unexpected"
    assert secret not in seen.error["message"]


def test_a_missing_connection_is_told_from_a_bad_one(reader, connect, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_GEMINI_DEFAULT", raising=False)
    assert see(reader)[0].error["kind"] == "NoConnection"

    connect(conn_type="http")
    assert see(Reader())[0].error["kind"] == "GeminiInputError"


def test_deleted_files_are_left_out_at_once(emulator, hook, text_file, reader):
    kept, deleted = (hook.upload_file(text_file) for _ in range(2))
    see(reader)
    reader.forget(CONN_ID, [deleted.name])
    [seen] = see(reader)

    assert [file.name for file in seen.listing.files] == [kept.name]
    assert seen.listing.usage.files == 1


def test_a_row_says_whose_a_file_is_and_how_its_run_does(emulator, hook, text_file, reader):
    file = hook.upload_file(text_file, display_name=f"note{MARK}")
    [seen] = see(reader)

    [row] = json.loads(seen.listing.rows)
    assert row == [
        file.name, "note", ["d/e", "r", "t", 2, "gone"], False, "text/plain", 20, "ACTIVE",
        round(file.created()), round(file.expires()), "UPLOADED", None,
    ]  # fmt: skip
