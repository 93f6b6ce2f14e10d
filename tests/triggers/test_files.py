"""The trigger that waits for files: its rows in Airflow's database, its event, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from stored_rows import FILES_V1, FILES_V1_OF_UPLOAD, FILES_V2
from support import FakeClock, logged_by, upload_videos

from airflow_provider_gemini_files.exceptions import (
    GeminiFileGoneError,
    GeminiInputError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.files.events import error_of, files_of, resume_of
from airflow_provider_gemini_files.triggers.base import SETTLE_SECONDS
from airflow_provider_gemini_files.triggers.files import GeminiFileStateTrigger

RESUME = {"version": 2, "many": False, "origins": []}


@pytest.fixture
def clock(emulator) -> FakeClock:
    emulator.settings.video_seconds = 60
    return FakeClock(emulator)


def new_trigger(clock: FakeClock, *names: str, **arguments: Any) -> GeminiFileStateTrigger:
    defaults = {
        "gemini_conn_id": "gemini_default",
        "file_names": list(names),
        "began": clock.now(),
        "deadline": clock.now() + 600,
    }
    return GeminiFileStateTrigger(**{**defaults, **arguments}, clock=clock)


def run(trigger: GeminiFileStateTrigger) -> dict[str, Any]:
    """Return the payload of the only event, as it comes back from the database."""

    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    [event] = asyncio.run(events())
    return json.loads(json.dumps(event))


class TestRow:
    @pytest.mark.parametrize("row", [FILES_V1, FILES_V1_OF_UPLOAD, FILES_V2], ids=["v1", "v1 of an upload", "v2"])
    def test_row_of_every_version_is_read(self, row):
        trigger = GeminiFileStateTrigger(**row)

        assert (trigger.gemini_conn_id, trigger.file_names) == ("gemini_default", ["files/a", "files/b"])
        assert (trigger.began, trigger.deadline) == (row["began"], row["deadline"])
        assert (trigger.not_before, trigger.poll_interval, trigger.max_poll_interval) == (row["not_before"], 5, 30)
        assert trigger.resume == row.get("resume")

    @pytest.mark.parametrize("row", [FILES_V1, FILES_V1_OF_UPLOAD, FILES_V2], ids=["v1", "v1 of an upload", "v2"])
    def test_row_of_every_version_waits_for_its_files(self, emulator, clock, row):
        names = upload_videos(emulator.base_url, 2)
        stored = {**row, "file_names": names, "began": clock.now(), "deadline": clock.now() + 600, "not_before": 0.0}

        event = run(GeminiFileStateTrigger(**stored, clock=clock))

        assert [(file.name, file.state) for file in files_of(event)] == [(name, "ACTIVE") for name in names]
        assert resume_of(event) == row.get("resume")

    def test_row_is_written_in_the_current_version(self):
        path, row = GeminiFileStateTrigger(**FILES_V2).serialize()

        assert path == "airflow_provider_gemini_files.triggers.files.GeminiFileStateTrigger"
        assert row == json.loads(json.dumps(row)) == FILES_V2

    def test_row_of_the_first_version_is_rewritten_in_the_current_one(self):
        _, row = GeminiFileStateTrigger(**FILES_V1_OF_UPLOAD).serialize()

        assert row == {**FILES_V2, "resume": None}

    def test_key_is_not_in_the_row(self, emulator, clock):
        assert "test-key" not in json.dumps(new_trigger(clock, "files/a").serialize())

    def test_unknown_argument_is_refused(self):
        with pytest.raises(TypeError, match="file_name"):
            GeminiFileStateTrigger(**FILES_V2, file_name="files/a")


class TestDeferral:
    def test_first_poll_is_after_the_worker_has_ended(self, clock):
        deferral = new_trigger(clock, "files/a").deferral()

        assert deferral["method_name"] == "execute_complete"
        assert deferral["trigger"].not_before == clock.now() + SETTLE_SECONDS

    def test_own_first_poll_is_kept_if_it_is_later(self, clock):
        later = clock.now() + 100

        assert new_trigger(clock, "files/a", not_before=later).deferral()["trigger"].not_before == later

    def test_timeout_of_airflow_comes_after_the_deadline(self, clock):
        assert new_trigger(clock, "files/a").deferral()["timeout"].total_seconds() == 660
        passed = new_trigger(clock, "files/a", deadline=clock.now() - 5)
        assert passed.deferral()["timeout"].total_seconds() == 60


class TestEvent:
    def test_files_are_in_the_order_asked_for(self, emulator, clock):
        names = upload_videos(emulator.base_url, 3)[::-1]

        event = run(new_trigger(clock, *names, resume=RESUME))

        assert [file.name for file in files_of(event)] == names
        assert resume_of(event) == RESUME

    def test_gone_file_is_an_error(self, clock):
        event = run(new_trigger(clock, "files/gone", resume=RESUME))

        assert isinstance(error_of(event), GeminiFileGoneError)
        assert resume_of(event) == RESUME

    def test_passed_deadline_is_an_error(self, emulator, clock):
        event = run(new_trigger(clock, *upload_videos(emulator.base_url, 1), deadline=clock.now() + 30))

        error = error_of(event)
        assert isinstance(error, GeminiWaitTimeoutError)
        assert str(error).startswith("Waited 30 s for ")

    def test_deadline_that_has_passed_before_the_start_is_judged_after_one_poll(self, emulator, clock):
        names = upload_videos(emulator.base_url, 1)
        clock.advance(60)

        late = new_trigger(clock, *names, began=clock.now() - 100, deadline=clock.now() - 1, not_before=clock.now() + 6)

        assert [file.name for file in files_of(run(late))] == names

    def test_unusable_connection_is_an_error(self, clock, connect):
        connect(extra={"modell": "x"})

        error = error_of(run(new_trigger(clock, "files/a")))

        assert isinstance(error, GeminiInputError)
        assert "modell" in str(error)

    def test_trigger_that_is_run_again_ends_with_the_same_event(self, emulator, clock):
        names = upload_videos(emulator.base_url, 1)
        first = run(new_trigger(clock, *names))

        assert run(new_trigger(clock, *names)) == first

    def test_result_is_logged(self, emulator, clock, mocker):
        [name] = upload_videos(emulator.base_url, 1)
        trigger = new_trigger(clock, name)
        info = mocker.spy(trigger.log, "info")

        run(trigger)

        assert logged_by(info) == [f"ACTIVE after 61 s: {name}"]


class TestPolls:
    def test_no_poll_before_its_time(self, emulator, clock):
        names = upload_videos(emulator.base_url, 1)
        emulator.clear_journal()
        seen: list[int] = []
        clock.after(39, lambda: seen.append(len(emulator.journal)))

        run(new_trigger(clock, *names, not_before=clock.now() + 40))

        assert seen == [0]

    def test_triggers_of_a_connection_share_their_polls(self, emulator, clock):
        names = upload_videos(emulator.base_url, 40)
        emulator.clear_journal()

        async def all_events() -> list[Any]:
            return await asyncio.gather(*(anext(new_trigger(clock, name).run()) for name in names))

        events = asyncio.run(all_events())

        assert [file.name for event in events for file in files_of(event.payload)] == names
        assert len(emulator.journal) <= 14


class TestEnd:
    @pytest.mark.parametrize("row", [FILES_V1, FILES_V1_OF_UPLOAD, FILES_V2], ids=["v1", "v1 of an upload", "v2"])
    def test_killed_task_keeps_its_files(self, emulator, clock, row):
        trigger = GeminiFileStateTrigger(**{**row, "file_names": upload_videos(emulator.base_url, 1)}, clock=clock)
        emulator.clear_journal()

        # Airflow calls it from 3.3 on.
        if hasattr(trigger, "on_kill"):
            asyncio.run(trigger.on_kill())
        asyncio.run(trigger.cleanup())

        assert emulator.usage()["files"] == 1
        assert emulator.journal == []

    def test_cancelled_trigger_keeps_its_files_and_ends_its_polls(self, emulator, clock):
        names = upload_videos(emulator.base_url, 1)

        async def work() -> set[asyncio.Task]:
            running = asyncio.ensure_future(anext(new_trigger(clock, *names).run()))
            clock.after(20, running.cancel)
            await asyncio.wait([running])
            assert running.cancelled()
            for _ in range(100):
                await asyncio.sleep(0)
            return asyncio.all_tasks() - {asyncio.current_task()}

        assert asyncio.run(work()) == set()
        assert emulator.usage()["files"] == 1
        assert clock.passed < 30
