"""The poller against the emulator, on a clock that passes at once: its calls, and the ends of its waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable

import pytest
from support import API_KEY, FakeClock, create_files, seed, upload_videos

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.common.waiting import MAX_FAILED_POLLS, Schedule
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.state import FileWait
from airflow_provider_gemini_files.hooks.requests import FILES
from airflow_provider_gemini_files.triggers.poller import wait_until_ready

CONN = "gemini_default"
INTERVAL = 5
VIDEO_SECONDS = 60
PROXY_PAGE = {"status": 401, "body": "<html>Log in</html>", "content_type": "text/html"}


@pytest.fixture
def emulator(emulator: GeminiEmulator) -> GeminiEmulator:
    emulator.settings.video_seconds = VIDEO_SECONDS
    return emulator


@pytest.fixture
def clock(emulator: GeminiEmulator) -> FakeClock:
    return FakeClock(emulator)


def wait_for(
    clock: FakeClock, *names: str, seconds: float = 600, interval: float = INTERVAL, conn_id: str = CONN
) -> Awaitable[list[GeminiFile]]:
    """Return one wait, as one deferred task has it."""
    schedule = Schedule(clock.now(), clock.now() + seconds, interval, interval)
    return wait_until_ready(FILES, conn_id, FileWait(names, schedule), clock)


def run(*waits: Awaitable) -> list:
    """Return the results and errors of waits in one event loop, in which the poller leaves nothing behind."""

    async def all_of_them() -> list:
        results = await asyncio.gather(*waits, return_exceptions=True)
        for _ in range(100):
            if asyncio.all_tasks() == {asyncio.current_task()}:
                return results
            await asyncio.sleep(0)
        raise AssertionError(f"left behind: {asyncio.all_tasks()}")

    return asyncio.run(all_of_them())


def calls(emulator: GeminiEmulator) -> list[str]:
    """Return what was read: ``files`` for a page of the list, else the file's name."""
    return [entry["path"].rpartition("/v1beta/")[2] for entry in emulator.journal if entry["method"] == "GET"]


def active_names(results: list) -> list[str]:
    assert {file.state for files in results for file in files} == {"ACTIVE"}
    return [file.name for files in results for file in files]


class TestNumberOfCalls:
    def test_waits_of_a_connection_share_the_pages_of_the_list(self, emulator, clock):
        names = upload_videos(emulator.base_url, 110)
        emulator.clear_journal()

        results = run(*(wait_for(clock, name) for name in names))

        assert active_names(results) == names
        # 110 files are two pages; the last round, after 60 seconds, finds them ACTIVE.
        assert set(calls(emulator)) == {"files"}
        assert len(calls(emulator)) == 2 * (VIDEO_SECONDS // INTERVAL + 1)

    def test_a_single_file_is_read_by_its_name(self, emulator, clock):
        name, _ = upload_videos(emulator.base_url, 2)
        emulator.clear_journal()

        run(wait_for(clock, name))

        assert set(calls(emulator)) == {name}

    def test_files_at_the_end_of_a_long_list_are_read_by_name_once_that_is_known_to_be_cheaper(self, emulator, clock):
        names = upload_videos(emulator.base_url, 2)
        create_files(emulator.base_url, 210)
        emulator.clear_journal()

        run(*(wait_for(clock, name) for name in names))

        # The list is given up after as many pages as there are names, and not tried again.
        assert calls(emulator)[:2] == ["files", "files"]
        assert set(calls(emulator)[2:]) == set(names)

    def test_polls_are_a_tenth_of_the_time_waited_apart(self, emulator, clock):
        emulator.settings.video_seconds = 1000
        [name] = upload_videos(emulator.base_url, 1)
        emulator.clear_journal()
        schedule = Schedule(clock.now(), clock.now() + 2000, 5, 30)

        run(wait_until_ready(FILES, CONN, FileWait([name], schedule), clock))

        # About 11 polls in the first 50 s, 19 until the interval is 30 s after 300 s, then 23.
        assert 45 <= len(calls(emulator)) <= 60

    def test_an_active_file_is_not_read_again(self, emulator, clock):
        video, text = upload_videos(emulator.base_url, 1)[0], "files/text"
        seed(emulator.base_url, {"name": text})
        emulator.clear_journal()

        [files] = run(wait_for(clock, video, text))

        assert [file.name for file in files] == [video, text]
        assert calls(emulator)[0] == "files"
        assert set(calls(emulator)[1:]) == {video}

    def test_a_cancelled_wait_costs_no_further_call(self, emulator, clock):
        staying, leaving = upload_videos(emulator.base_url, 2)

        async def work() -> list[GeminiFile]:
            stays, leaves = (asyncio.ensure_future(wait_for(clock, name)) for name in (staying, leaving))
            clock.after(20, leaves.cancel)
            clock.after(20, emulator.clear_journal)
            return await stays

        assert active_names(run(work())) == [staying]
        assert set(calls(emulator)) == {staying}


class TestResults:
    def test_each_wait_gets_its_own_files_in_its_own_order(self, emulator, clock):
        names = upload_videos(emulator.base_url, 6)
        orders = [names, names[::-1], names[2:4]]

        results = run(*(wait_for(clock, *order) for order in orders))

        assert [[file.name for file in files] for files in results] == orders

    def test_a_wait_that_joins_while_the_last_one_leaves_is_served(self, emulator, clock):
        names = upload_videos(emulator.base_url, 20)
        clock.advance(VIDEO_SECONDS)

        async def one_after_the_other() -> list[str]:
            return [file.name for name in names for file in await wait_for(clock, name)]

        assert run(one_after_the_other()) == [names]

    def test_a_wait_that_joins_during_a_pause_is_polled_without_a_round_of_its_own(self, emulator, clock):
        early, late = upload_videos(emulator.base_url, 2)
        emulator.clear_journal()

        async def work() -> list[GeminiFile]:
            waiting = asyncio.ensure_future(wait_for(clock, early))
            joined: list[asyncio.Future] = []
            clock.after(1, lambda: joined.append(asyncio.ensure_future(wait_for(clock, late))))
            return await waiting + await joined[0]

        assert active_names(run(work())) == [early, late]
        # Together they are two names, which one page of the list has.
        assert calls(emulator)[0] == early
        assert set(calls(emulator)[1:]) == {"files"}

    @pytest.mark.parametrize("count", [1, 3])
    def test_a_gone_file_ends_only_its_own_waits(self, emulator, clock, count):
        names = upload_videos(emulator.base_url, count)

        *results, gone, also_gone = run(
            *(wait_for(clock, name) for name in names), wait_for(clock, "files/gone"), wait_for(clock, "files/gone")
        )

        assert active_names(results) == names
        assert {type(gone), type(also_gone)} == {e.GeminiFileGoneError}

    def test_a_failed_file_ends_only_its_own_wait(self, emulator, clock):
        good, bad = upload_videos(emulator.base_url, 2)
        emulator.faults.add(
            "list", "edit_file", file_id=bad.removeprefix("files/"), fields={"state": "FAILED"}, times=1
        )

        found, failed = run(wait_for(clock, good), wait_for(clock, bad))

        assert active_names([found]) == [good]
        assert isinstance(failed, e.GeminiFileFailedError)
        assert failed.file_names == (bad,)

    @pytest.mark.parametrize("method", ["see", "check"])
    @pytest.mark.parametrize("count", [1, 3], ids=["by name", "in the list"])
    def test_a_wait_that_raises_an_unexpected_exception_fails_alone(self, emulator, clock, method, count):
        names = upload_videos(emulator.base_url, count)

        class Broken(FileWait):
            pass

        def fail(*_: object) -> bool:
            raise ZeroDivisionError("broken")

        setattr(Broken, method, fail)
        schedule = Schedule(clock.now(), clock.now() + 600, INTERVAL, INTERVAL)

        broken, *results = run(
            wait_until_ready(FILES, CONN, Broken(names, schedule), clock), *(wait_for(clock, name) for name in names)
        )

        assert isinstance(broken, ZeroDivisionError)
        assert active_names(results) == names


class TestDeadlines:
    def test_each_wait_has_its_own_deadline(self, emulator, clock):
        short, long = upload_videos(emulator.base_url, 2)

        expired, found = run(wait_for(clock, short, seconds=12), wait_for(clock, long))

        assert isinstance(expired, e.GeminiWaitTimeoutError)
        assert active_names([found]) == [long]

    def test_the_last_poll_is_at_the_deadline(self, emulator, clock):
        [name] = upload_videos(emulator.base_url, 1)

        # ACTIVE after 60 seconds; polls at 0, 40 and, because of the deadline, at 61.
        [found] = run(wait_for(clock, name, seconds=61, interval=40))

        assert active_names([found]) == [name]
        assert clock.passed == pytest.approx(61)

    def test_the_last_poll_is_at_the_deadline_also_between_the_rounds_of_others(self, emulator, clock):
        short, long = upload_videos(emulator.base_url, 2)

        found, _ = run(wait_for(clock, short, seconds=61, interval=40), wait_for(clock, long, interval=40))

        assert active_names([found]) == [short]

    def test_deadlines_are_judged_while_the_service_wants_no_calls(self, emulator, clock):
        short, long = upload_videos(emulator.base_url, 2)
        emulator.faults.add("list", "status", status=503, headers={"Retry-After": "400"})
        ended: list[float] = []

        async def timed(wait: Awaitable) -> list[GeminiFile]:
            try:
                return await wait
            finally:
                ended.append(clock.passed)

        expired, found = run(timed(wait_for(clock, short, seconds=100)), timed(wait_for(clock, long)))

        assert isinstance(expired, e.GeminiWaitTimeoutError)
        assert active_names([found]) == [long]
        assert ended == [pytest.approx(100), pytest.approx(400, abs=1)]


class TestFailures:
    @pytest.mark.parametrize(
        "fault",
        [
            {"action": "rate_limit", "seconds": 300},
            {"action": "status", "status": 429, "headers": {"Retry-After": "300"}},
            {"action": "status", "status": 503, "headers": {"Retry-After": "300"}},
        ],
    )
    @pytest.mark.parametrize("count", [1, 30], ids=["by name", "in the list"])
    def test_a_long_retry_after_pauses_all_calls_of_the_connection(self, emulator, clock, count, fault):
        names = upload_videos(emulator.base_url, count)
        emulator.faults.add("get" if count == 1 else "list", **fault)
        emulator.clear_journal()
        journal: list[int] = []
        # A wait that joins during the pause makes no call either.
        joined: list[asyncio.Future] = []
        clock.after(100, lambda: joined.append(asyncio.ensure_future(wait_for(clock, names[0]))))
        clock.after(299, lambda: journal.append(len(emulator.journal)))

        async def work() -> list[GeminiFile]:
            found = [
                file for files in await asyncio.gather(*(wait_for(clock, name) for name in names)) for file in files
            ]
            await joined[0]
            return found

        assert active_names(run(work())) == names
        assert journal == [1]
        assert [entry["status"] for entry in emulator.journal][1:] == [200]

    def test_an_infinite_retry_after_is_followed_for_ten_minutes(self, emulator, clock):
        [name] = upload_videos(emulator.base_url, 1)
        emulator.faults.add("get", "status", status=429, headers={"Retry-After": "9" * 12})

        [found] = run(wait_for(clock, name, seconds=1000))

        assert active_names([found]) == [name]
        assert clock.passed == pytest.approx(600, abs=1)

    def test_rate_limits_never_end_a_wait_before_its_deadline(self, emulator, clock):
        [name] = upload_videos(emulator.base_url, 1)
        emulator.faults.add("get", "exhausted", times=MAX_FAILED_POLLS * 3)

        [found] = run(wait_for(clock, name, seconds=3600))

        assert active_names([found]) == [name]

    def test_transient_failures_are_tolerated(self, emulator, clock):
        names = upload_videos(emulator.base_url, 30)
        for action in ("overloaded", "reset", "internal"):
            emulator.faults.add("list", action)

        assert active_names(run(*(wait_for(clock, name) for name in names))) == names

    def test_a_service_that_keeps_failing_ends_all_waits(self, emulator, clock):
        names = upload_videos(emulator.base_url, 3)
        emulator.faults.add("list", "overloaded", times=MAX_FAILED_POLLS)

        results = run(*(wait_for(clock, name) for name in names))

        assert {type(error) for error in results} == {e.GeminiServiceError}
        assert "5 polls failed in a row" in str(results[0])

    @pytest.mark.parametrize(
        "fault",
        [
            {"action": "bad_key"},
            {"action": "forbidden"},
            {"action": "status", **PROXY_PAGE},
            {"action": "status", **PROXY_PAGE, "status": 403},
            {"action": "status", "status": 404, "body": "no such route"},
            {"action": "status", "status": 302, "headers": {"Location": "https://login.example/"}},
            {"action": "status", "status": 301, "headers": {"Location": "https://gateway.example/"}},
        ],
        ids=["bad key", "403", "401 of a proxy", "403 of a proxy", "404 of a gateway", "302", "301"],
    )
    @pytest.mark.parametrize("count", [1, 3], ids=["by name", "in the list"])
    def test_an_error_of_the_connection_is_tolerated_for_a_while(self, emulator, clock, count, fault):
        names = upload_videos(emulator.base_url, count)
        emulator.faults.add("get" if count == 1 else "list", **fault, times=MAX_FAILED_POLLS - 1)

        assert active_names(run(*(wait_for(clock, name) for name in names))) == names

    def test_a_key_that_stays_refused_ends_all_waits_with_the_reason(self, emulator, clock):
        names = upload_videos(emulator.base_url, 3)
        emulator.faults.add("list", "bad_key", times=MAX_FAILED_POLLS)
        emulator.clear_journal()

        results = run(*(wait_for(clock, name) for name in names))

        assert {type(error) for error in results} == {e.GeminiAuthError}
        assert [entry["status"] for entry in emulator.journal] == [400] * MAX_FAILED_POLLS

    def test_a_rotated_key_is_read_from_the_connection(self, emulator, clock, connect):
        names = upload_videos(emulator.base_url, 3)
        connect(host=emulator.base_url, password="key-that-was-revoked")
        emulator.faults.add("list", "bad_key", times=None, api_key="key-that-was-revoked")
        clock.after(3, lambda: connect(host=emulator.base_url))

        assert active_names(run(*(wait_for(clock, name) for name in names))) == names

    def test_a_corrected_connection_is_read_again(self, emulator, clock, connect):
        [name] = upload_videos(emulator.base_url, 1)
        connect(host=emulator.base_url, extra={"modell": "x"})
        clock.after(3, lambda: connect(host=emulator.base_url))

        assert active_names(run(wait_for(clock, name))) == [name]

    def test_an_unusable_connection_ends_all_waits_with_the_reason(self, clock, connect):
        connect(extra={"modell": "x"})

        results = run(wait_for(clock, "files/a"), wait_for(clock, "files/b"))

        assert {type(error) for error in results} == {e.GeminiInputError}
        assert "modell" in str(results[0])

    def test_a_connection_that_hangs_delays_no_other_connection(self, emulator, clock, monkeypatch):
        [name] = upload_videos(emulator.base_url, 1)
        with GeminiEmulator() as slow:
            slow.faults.add("get", "stall", seconds=600)
            fields = {"conn_type": "gemini", "password": API_KEY, "host": slow.base_url}
            monkeypatch.setenv("AIRFLOW_CONN_GEMINI_SLOW", json.dumps(fields))

            async def work() -> list[GeminiFile]:
                hanging = asyncio.ensure_future(wait_for(clock, "files/x", conn_id="gemini_slow"))
                found = await wait_for(clock, name)
                assert not hanging.done()
                hanging.cancel()
                await asyncio.wait([hanging])
                return found

            assert active_names([asyncio.run(work())]) == [name]


def test_each_event_loop_has_its_own_poller(emulator, clock):
    names = upload_videos(emulator.base_url, 2)
    clock.advance(VIDEO_SECONDS)

    assert [active_names(run(wait_for(clock, name))) for name in names] == [[name] for name in names]
