from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from support import create_files

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook


def paths(emulator, method: str) -> list[str]:
    return [entry["path"] for entry in emulator.journal if entry["method"] == method]


def test_list_gives_every_page(hook, emulator):
    create_files(emulator.base_url, 103)
    emulator.clear_journal()

    assert len({file.name for file in hook.list_files()}) == 103
    assert len(paths(emulator, "GET")) == 2


def test_a_file_that_is_gone_is_told_from_a_bad_key(hook):
    with pytest.raises(e.GeminiFileGoneError, match=r"Cannot get files/abc: .*Upload it again"):
        hook.get_file("abc")


def test_delete_is_idempotent(hook, text_file):
    name = hook.upload_file(text_file).name

    assert hook.delete_file(name) is True
    assert hook.delete_file(name) is False
    with pytest.raises(e.GeminiFileGoneError):
        hook.delete_file(name, ignore_missing=False)


def test_waiting_ends_when_the_video_is_active(hook, emulator, video_file):
    emulator.settings.video_seconds = 0.5
    file = hook.upload_file(video_file)
    assert file.state == "PROCESSING"

    assert hook.wait_for_file(file, poll_interval=0.1).state == "ACTIVE"


def test_waiting_ends_at_its_timeout(hook, video_file):
    file = hook.upload_file(video_file)

    with pytest.raises(e.GeminiWaitTimeoutError, match=file.name):
        hook.wait_for_file(file, timeout=0.3, poll_interval=0.1)


def in_loop(work) -> object:
    """Call a hook that is connected in an event loop."""

    async def connected() -> object:
        hook = GeminiFilesHook()
        await hook.aconnect()
        try:
            return await work(hook)
        finally:
            await hook.aclose()

    return asyncio.run(connected())


def test_a_look_from_an_event_loop_sees_the_same(hook, text_file):
    file = hook.upload_file(text_file)

    assert in_loop(lambda hook: hook.aget_file(file.name)) == file


def test_a_delete_from_an_event_loop_is_idempotent(hook, emulator, text_file):
    file = hook.upload_file(text_file)

    for _ in range(2):
        in_loop(lambda hook: hook.adelete_file(file))

    assert emulator.usage()["files"] == 0


ANSWERS = pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ({"action": "overloaded"}, e.GeminiServiceError, "The model is overloaded"),
        ({"action": "rate_limit"}, e.GeminiRateLimitError, "Cannot get files/abc: "),
        ({"action": "reset"}, e.GeminiServiceError, "the service cannot be reached"),
        ({"action": "gone"}, e.GeminiFileGoneError, "Upload it again"),
        ({"action": "bad_key"}, e.GeminiAuthError, "Put a valid API key into the connection"),
        ({"action": "status", "status": 200, "body": "<html>Sign in"}, e.GeminiServiceError, "is an HTML page"),
        ({"action": "status", "status": 200, "body": ["a list"]}, e.GeminiServiceError, "HTTP 502"),
        ({"action": "status", "status": 200, "body": {}}, e.GeminiServiceError, "a file that cannot be read"),
        ({"action": "status", "status": 200, "body": ""}, e.GeminiServiceError, "a file that cannot be read"),
        ({"action": "status", "status": 308, "body": ""}, e.GeminiInputError, "elsewhere .*into the connection's host"),
    ],
)


@ANSWERS
def test_an_answer_means(emulator, connect, fault, error, says):
    connect(host=emulator.base_url, extra={"max_retries": 0})
    emulator.faults.add("get", **fault)

    with pytest.raises(error, match=says):
        GeminiFilesHook().get_file("abc")


@ANSWERS
def test_an_answer_in_an_event_loop_means_what_it_means_elsewhere(emulator, fault, error, says):
    emulator.faults.add("get", **fault)

    with pytest.raises(error, match=says):
        in_loop(lambda hook: hook.aget_file("abc"))


@pytest.mark.parametrize("call", ["get_file", "upload_bytes", "count_tokens"])
def test_the_key_does_not_follow_to_another_address(connect, elsewhere, call):
    connect(host=elsewhere, extra={"max_retries": 0})
    arguments = {"get_file": ["abc"], "upload_bytes": [b"x", "x.txt"], "count_tokens": ["x"]}

    with pytest.raises(
        e.GeminiFilesError, match=r"the service is elsewhere(, at https://right.example)? \(HTTP 301"
    ) as told:
        getattr(GeminiFilesHook(), call)(*arguments[call])

    assert isinstance(told.value, e.GeminiInputError)
    assert "secret" not in str(told.value)


def test_a_redirect_for_a_while_is_no_reason_to_give_up(hook, emulator, mocker):
    mocker.patch("tenacity.nap.time.sleep", autospec=True)
    emulator.faults.add("list", "status", status=307, body="")

    assert hook.list_files() == []


def test_a_deletion_may_be_answered_by_nothing(hook, emulator):
    emulator.faults.add("delete", "status", status=204, body="")

    assert hook.delete_file("abc", ignore_missing=False) is True


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Return the address of a server that sends everybody on."""

    class Redirects(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(301)
            self.send_header("Location", f"https://user:secret@right.example{self.path}?token=secret")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Redirects) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_file_that_is_processing_is_told_before_the_model_is_asked(hook, emulator, video_file):
    name = hook.upload_file(video_file).name

    with pytest.raises(e.GeminiFileNotActiveError, match="is PROCESSING, not ACTIVE: put a GeminiFileStateSensor"):
        hook.active_files([name])


def test_a_delete_whose_answer_was_lost_counts_as_done(hook, emulator, text_file, mocker):
    mocker.patch("tenacity.nap.time.sleep", autospec=True)
    file = hook.upload_file(text_file)
    emulator.faults.add("delete", "lose_answer")

    assert hook.delete_file(file, ignore_missing=False) is True
    assert emulator.faults.unused() == []
