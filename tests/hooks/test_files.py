"""The calls for existing files, blocking and from an event loop, over HTTP against the emulator."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from support import FakeClock, create_files, logged_by, seed, upload_videos

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.files.deletion import DeletionOutcome
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.state import FileWait
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.hooks.requests import FILES, Listing
from airflow_provider_gemini_files.hooks.rest import AsyncFilesClient, FilesClient
from airflow_provider_gemini_files.hooks.service import GeminiService


def calls(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def in_loop(work: Callable[[AsyncFilesClient], Awaitable[Any]]) -> Any:
    """Call the client of a connection in an event loop."""

    async def connected() -> Any:
        service = GeminiService("gemini_default")
        try:
            return await work(await service.connect_async())
        finally:
            await service.close_async()

    return asyncio.run(connected())


class TestList:
    def test_every_page_is_read(self, hook, emulator):
        create_files(emulator.base_url, 103)
        emulator.clear_journal()

        assert len({file.name for file in hook.list_files()}) == 103
        assert calls(emulator) == ["list", "list"]

    def test_files_are_newest_first_whatever_the_order_of_the_service(self, hook, emulator):
        days = {"a": 2, "b": 4, "c": 3}
        files = [{"name": f"files/{name}", "createTime": f"2026-01-0{day}T00:00:00Z"} for name, day in days.items()]
        emulator.faults.add("list", "status", status=200, body={"files": [{"name": "files/d"}, *files]})

        assert [file.name for file in hook.list_files()] == ["files/b", "files/c", "files/a", "files/d"]

    def test_file_on_two_pages_counts_once_in_a_worker(self, hook, emulator):
        create_files(emulator.base_url, 103)
        client, listing = FilesClient(hook.connection), Listing(FILES, hook.connection)

        found = client.read_page(listing)
        # Newest first: the new file moves the last one of this page to the next.
        create_files(emulator.base_url, 1)
        found += client.read_page(listing)

        assert len(found) == len({file.name for file in found}) == 103

    def test_file_on_two_pages_counts_once_in_a_triggerer(self, hook, emulator):
        create_files(emulator.base_url, 103)

        async def read(client: AsyncFilesClient) -> list[str]:
            listing = Listing(FILES, client.connection)
            found = await client.read_page(listing)
            await asyncio.to_thread(create_files, emulator.base_url, 1)
            return [file.name for file in found + await client.read_page(listing)]

        names = in_loop(read)

        assert len(names) == len(set(names)) == 103

    @pytest.mark.parametrize(
        "fields", [{"createTime": "yesterday"}, {"sizeBytes": "5.0"}, {"name": "files/NEW_FORM"}, None]
    )
    def test_unreadable_file_does_not_hide_the_others(self, hook, emulator, fields):
        seed(emulator.base_url, {"name": "files/good"}, {"name": "files/odd"})
        emulator.faults.add("list", "edit_file", file_id="odd", fields=fields)

        assert [file.name for file in hook.list_files()] == ["files/good"]

    def test_number_of_unreadable_files_is_logged(self, emulator, clock, mocker):
        seed(emulator.base_url, {"name": "files/good"}, {"name": "files/odd"})
        emulator.faults.add("list", "edit_file", file_id="odd", fields={"createTime": "0001-01-01T00:00:00+05:00"})
        log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)

        GeminiFilesHook(clock=clock).list_files()
        GeminiFilesHook(clock=clock).list_files()

        [line] = logged_by(log.warning)
        assert line.startswith("1 files of the project cannot be read. They are left out of the list")

    def test_repeated_page_token_ends_with_an_error(self, hook, emulator):
        create_files(emulator.base_url, 101)
        emulator.clear_journal()
        emulator.faults.add("list", "same_page_token", times=None)

        with pytest.raises(e.GeminiServiceError, match="the same page token twice"):
            hook.list_files()

        assert len(calls(emulator)) < 10


class TestDelete:
    def test_deleting_twice_is_no_error(self, hook, text_file):
        name = hook.upload_file(text_file).name

        assert hook.delete_file(name) is True
        assert hook.delete_file(name) is False
        with pytest.raises(e.GeminiFileGoneError):
            hook.delete_file(name, ignore_missing=False)

    def test_deletion_whose_response_was_lost_counts_as_done(self, hook, emulator, text_file):
        file = hook.upload_file(text_file)
        emulator.faults.add("delete", "lose_answer")

        assert hook.delete_file(file, ignore_missing=False) is True
        assert emulator.faults.unused() == []

    def test_empty_response_is_success(self, hook, emulator):
        emulator.faults.add("delete", "status", status=204, body="")

        assert hook.delete_file("abc", ignore_missing=False) is True

    @pytest.mark.parametrize("body", [{"error": "no such team"}, {"message": "ok"}, {"status": "queued"}])
    def test_success_of_a_gateway_is_not_a_deletion(self, hook, emulator, text_file, body):
        name = hook.upload_file(text_file).name
        emulator.faults.add("delete", "status", status=200, body=body, times=2)

        with pytest.raises(e.GeminiServiceError):
            hook.delete_file(name)

        assert hook.get_file(name).name == name

    def test_page_of_a_gateway_is_not_a_deletion(self, hook, emulator, text_file):
        name = hook.upload_file(text_file).name
        emulator.faults.add("delete", "status", status=404, body="<html>", content_type="text/html", times=2)

        with pytest.raises(e.GeminiServiceError, match="not the Gemini API's own response"):
            hook.delete_file(name)

        assert hook.get_file(name).name == name

    def test_results_of_several_are_in_order(self, hook, emulator):
        seed(emulator.base_url, {"name": "files/a"}, {"name": "files/b"})

        deletions = hook.delete_files(["files/a", "nobody", "files/batch-" + "b" * 36, "b"])

        assert [(deletion.name, deletion.outcome) for deletion in deletions] == [
            ("files/a", DeletionOutcome.DELETED),
            ("files/nobody", DeletionOutcome.GONE),
            ("files/batch-" + "b" * 36, DeletionOutcome.REFUSED),
            ("files/b", DeletionOutcome.DELETED),
        ]
        assert "40 characters" in str(deletions[2].error)

    def test_deleting_no_files_sends_nothing(self, hook, emulator):
        assert hook.delete_files([]) == []
        assert emulator.journal == []

    def test_failures_of_several_are_returned_and_do_not_stop_the_others(self, hook, emulator):
        seed(emulator.base_url, *[{"name": f"files/f{n}"} for n in range(20)])
        emulator.faults.add("delete", "status", status=404, body="<html>", times=2)

        deletions = hook.delete_files([f"files/f{n}" for n in range(20)])

        # The two responses can be those of one file or of two.
        failed = [deletion for deletion in deletions if deletion.outcome is DeletionOutcome.FAILED]
        assert all(isinstance(deletion.error, e.GeminiServiceError) for deletion in failed)
        assert emulator.usage()["files"] == len(failed) <= 1

    def test_key_without_the_right_to_delete_stops_the_rest(self, hook, emulator):
        names = [f"files/f{n}" for n in range(100)]
        seed(emulator.base_url, *[{"name": name} for name in names])
        emulator.faults.add("delete", "forbidden", times=None)

        deletions = hook.delete_files(names)

        assert {deletion.outcome for deletion in deletions} == {DeletionOutcome.FAILED}
        assert all(isinstance(deletion.error, e.GeminiAuthError) for deletion in deletions)
        assert calls(emulator).count("delete") < 100


class TestDurations:
    @pytest.mark.parametrize("seconds", [timedelta(seconds=30), "30", 30])
    def test_are_seconds_or_timedeltas_or_their_text(self, hook, text_file, seconds):
        file = hook.upload_file(text_file, min_remaining_ttl=seconds)

        assert hook.wait_for_file(file, timeout=seconds, poll_interval=seconds, max_poll_interval=seconds) == file
        assert hook.upload_bytes(b"x", "a.txt", min_remaining_ttl=seconds).size_bytes == 1

    @pytest.mark.parametrize(
        ("name", "value"), [("timeout", "soon"), ("timeout", float("nan")), ("poll_interval", 0), ("timeout", None)]
    )
    def test_that_are_none_are_refused_before_anything_is_sent(self, hook, emulator, name, value):
        with pytest.raises(e.GeminiInputError, match=f"{name} is a duration in seconds .*got "):
            hook.wait_for_file("files/a", **{name: value})

        assert emulator.journal == []


class TestWait:
    def test_wait_ends_when_the_video_is_active(self, hook, clock, video_file):
        file = hook.upload_file(video_file)
        assert file.state == "PROCESSING"

        assert hook.wait_for_file(file, poll_interval=1).state == "ACTIVE"
        assert clock.passed == pytest.approx(2, abs=1.1)

    def test_wait_ends_at_its_timeout(self, hook, emulator, clock, video_file):
        emulator.settings.video_seconds = 1000
        file = hook.upload_file(video_file)

        with pytest.raises(e.GeminiWaitTimeoutError, match=file.name):
            hook.wait_for_file(file, timeout=30, poll_interval=5)

        assert clock.passed == pytest.approx(30, abs=1)

    def test_file_that_has_failed_ends_the_wait_with_its_reason(self, hook, emulator, video_file):
        error = {"code": 3, "message": "The video is corrupt."}
        emulator.faults.add("get", "fail_processing", error=error)
        file = hook.upload_file(video_file)

        with pytest.raises(e.GeminiFileFailedError, match=r"The video is corrupt") as raised:
            hook.wait_for_file(file)

        assert raised.value.file_names == (file.name,)

    def test_errors_of_several_files_keep_their_class(self, hook, emulator, clock):
        seed(emulator.base_url, {"name": "files/a"}, {"name": "files/b"})
        for call in ("get", "list"):
            emulator.faults.add(call, "forbidden", times=None)
        schedule = Schedule(clock.now(), clock.now() + 60, 5, 30)

        with pytest.raises(e.GeminiAuthError) as raised:
            hook.files.finish(FileWait(["files/a", "files/b"], schedule))

        assert type(raised.value) is e.GeminiAuthError
        emulator.faults.clear()


class TestLookUp:
    def test_many_files_are_found_in_the_list(self, hook, emulator):
        names = upload_videos(emulator.base_url, 120)
        emulator.clear_journal()

        seen = hook.files.look_up(names)

        assert list(calls(emulator)) == ["list", "list"]
        assert sorted(seen) == sorted(names)

    def test_each_name_has_its_file_or_its_error(self, hook, emulator):
        seed(emulator.base_url, {"name": "files/a"})

        seen = hook.files.look_up(["files/a", "files/b"])

        assert seen["files/a"].name == "files/a"
        assert isinstance(seen["files/b"], e.GeminiFileGoneError)

    def test_processing_file_is_reported_before_a_model_is_asked(self, hook, video_file):
        name = hook.upload_file(video_file).name

        with pytest.raises(e.GeminiFileNotActiveError, match="is PROCESSING, not ACTIVE: put a GeminiFileStateSensor"):
            hook.files.active_files([name])

    def test_display_name_in_an_error_is_one_clean_line(self, hook, video_file):
        name = hook.upload_file(video_file, display_name="a\u202eb https://u:s3cret@host/x").name

        with pytest.raises(e.GeminiFileNotActiveError, match=rf"{name} \(ab https://host/x\) is PROCESSING"):
            hook.files.active_files([name])


class TestFilesOfAnotherConnection:
    """Metadata in XCom say through which connection a file was read; its project can be another one."""

    @pytest.mark.parametrize("as_given", [GeminiFile.to_dict, lambda file: file])
    @pytest.mark.parametrize(
        "call",
        [
            GeminiFilesHook.get_file,
            GeminiFilesHook.delete_file,
            lambda hook, file: hook.delete_files(["files/b", file]),
            GeminiFilesHook.wait_for_file,
        ],
        ids=["get_file", "delete_file", "delete_files", "wait_for_file"],
    )
    def test_are_an_error_that_names_both_before_anything_is_sent(self, hook, emulator, call, as_given):
        theirs = GeminiFile("files/a", conn_id="gemini_other")

        with pytest.raises(
            e.GeminiInputError, match=r"files/a was uploaded through connection 'gemini_other'.*'gemini_default'"
        ):
            call(hook, as_given(theirs))

        assert emulator.journal == []

    def test_are_used_if_only_their_name_is_given(self, hook, emulator):
        seed(emulator.base_url, {"name": "files/a"})

        assert hook.delete_file(GeminiFile("files/a", conn_id="gemini_other").name) is True


RESPONSES = pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ({"action": "overloaded"}, e.GeminiServiceError, "The model is overloaded"),
        ({"action": "rate_limit"}, e.GeminiRateLimitError, "Cannot get files/abc: "),
        ({"action": "reset"}, e.GeminiServiceError, "cannot be reached"),
        ({"action": "gone"}, e.GeminiFileGoneError, "Upload it again"),
        ({"action": "bad_key"}, e.GeminiAuthError, "Put a valid API key into the password of conn"),
        ({"action": "status", "status": 200, "body": "<html>Sign in"}, e.GeminiServiceError, "is an HTML page"),
        ({"action": "status", "status": 200, "body": ["a list"]}, e.GeminiServiceError, "HTTP 502"),
        ({"action": "status", "status": 200, "body": {}}, e.GeminiServiceError, "a file that cannot be read"),
        ({"action": "status", "status": 200, "body": ""}, e.GeminiServiceError, "HTTP 502"),
        ({"action": "status", "status": 200, "body": {"error": {"message": "no team"}}},
         e.GeminiServiceError, "no team"),
        ({"action": "status", "status": 200, "body": {"Message": "no team"}}, e.GeminiServiceError, "no team"),
        ({"action": "status", "status": 404, "body": "<html>"}, e.GeminiServiceError, "not the Gemini API's own"),
        ({"action": "status", "status": 404, "body": {"error": {"message": "Invalid URL (GET /files/abc)"}}},
         e.GeminiServiceError, "Invalid URL"),
        ({"action": "status", "status": 308, "body": ""}, e.GeminiServiceError, "redirects .*connection's host"),
    ],
)  # fmt: skip


class TestMeaningOfResponses:
    @RESPONSES
    def test_in_a_worker(self, emulator, connect, fault, error, says):
        connect(host=emulator.base_url, extra={"max_retries": 0})
        emulator.faults.add("get", **fault)

        with pytest.raises(error, match=says) as raised:
            GeminiFilesHook().get_file("abc")

        assert type(raised.value) is error

    @RESPONSES
    def test_in_an_event_loop(self, emulator, fault, error, says):
        emulator.faults.add("get", **fault)

        with pytest.raises(error, match=says) as raised:
            in_loop(lambda client: client.get(FILES, "files/abc"))

        assert type(raised.value) is error

    def test_file_read_in_an_event_loop_is_the_same(self, hook, text_file):
        file = hook.upload_file(text_file)

        assert in_loop(lambda client: client.get(FILES, file.name)) == file

    @pytest.mark.parametrize("call", ["get_file", "upload_bytes", "count_tokens", "generate_content"])
    def test_key_does_not_follow_a_redirect(self, connect, redirecting, call):
        url, keys = redirecting
        connect(host=url, extra={"max_retries": 0})
        arguments = {"get_file": ["abc"], "upload_bytes": [b"x", "x.txt"]}.get(call, ["x"])

        with pytest.raises(e.GeminiServiceError, match=r"redirects to https://right.example \(HTTP 301\)") as raised:
            getattr(GeminiFilesHook(), call)(*arguments)

        assert "secret" not in str(raised.value)
        assert len(keys) == 1

    def test_redirect_for_a_while_is_repeated(self, hook, emulator):
        emulator.faults.add("list", "status", status=307, body="")

        assert hook.list_files() == []


class TestResponsesThatDrip:
    class PassingClock(FakeClock):
        """A clock on which each look takes half a minute."""

        def monotonic(self) -> float:
            self.advance(30)
            return super().monotonic()

    def test_blocking_call_ends_after_a_minute_in_total(self, emulator, connect):
        connect(host=emulator.base_url, extra={"max_retries": 0})
        seed(emulator.base_url, {"name": "files/abc"})
        emulator.faults.add("get", "drip", seconds=0.01)

        with pytest.raises(e.GeminiServiceError, match="did not end within 60 s"):
            GeminiFilesHook(clock=self.PassingClock()).get_file("abc")

    def test_call_in_an_event_loop_ends_after_a_minute_in_total(self, emulator):
        seed(emulator.base_url, {"name": "files/abc"})
        emulator.faults.add("get", "drip", seconds=0.01)

        async def get(client: AsyncFilesClient) -> None:
            loop = asyncio.get_running_loop()
            # A minute of this loop is half a second.
            began, real = loop.time(), loop.time
            loop.time = lambda: began + (real() - began) * 120
            try:
                await client.get(FILES, "files/abc")
            finally:
                loop.time = real

        with pytest.raises(e.GeminiServiceError, match="did not end within 60 s"):
            in_loop(get)


@pytest.fixture
def redirecting() -> Iterator[tuple[str, list[str]]]:
    """Return the address of a server that redirects everything, and the keys that it has received."""
    keys: list[str] = []

    class Redirects(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers["x-goog-api-key"])
            self.send_response(301)
            self.send_header("Location", f"https://user:secret@right.example{self.path}?token=secret")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Redirects) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", keys
        server.shutdown()
