"""The download of a generated file: whole, or what is left of it, from the emulator."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import replace
from typing import Any

import httpx
import pytest
from support import API_KEY, FakeClock, seed

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.transfer.download import Download, Origin

CONTENT = bytes(range(256)) * 4000
SIZE = len(CONTENT)
MAX_RETRIES = 2
FILE = GeminiFile("files/result", size_bytes=SIZE, sha256=hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(autouse=True)
def generated(emulator: GeminiEmulator) -> None:
    content = base64.b64encode(CONTENT).decode()
    seed(emulator.base_url, {"name": FILE.name, "content": content, "generated": True})


@pytest.fixture
def clock(emulator: GeminiEmulator) -> FakeClock:
    return FakeClock(emulator)


@pytest.fixture
def origin(emulator: GeminiEmulator) -> Origin:
    return Origin(f"{emulator.base_url}/v1beta", API_KEY, emulator.base_url, 10, MAX_RETRIES)


@pytest.fixture
def failures() -> list[tuple[e.GeminiFilesError, float]]:
    """Return the failures that a download has reported, with the pauses after them."""
    return []


@pytest.fixture
def hidden() -> list[str]:
    """Return the URLs that a download has kept out of the log."""
    return []


@pytest.fixture
def download(origin, clock, failures, hidden):
    """Return a function that downloads into a file that holds something else, and returns what it holds then."""

    def run(file: GeminiFile = FILE, into: io.BytesIO | None = None) -> bytes:
        into = into or io.BytesIO(b"old bytes " * 1_000_000)
        size = Download(
            file,
            origin,
            into,
            hide=hidden.append,
            on_failure=lambda error, pause: failures.append((error, pause)),
            clock=clock,
        ).run()
        assert size == len(into.getvalue())
        return into.getvalue()

    return run


@pytest.fixture(autouse=True)
def sent(mocker) -> list[httpx.Request]:
    """Return the requests that are sent, in order."""
    requests: list[httpx.Request] = []
    send = httpx.Client.send

    def spy(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        if client.base_url == "" and "download" in request.url.path:
            requests.append(request)
        return send(client, request, **options)

    mocker.patch.object(httpx.Client, "send", spy)
    return requests


def asked(sent: list[httpx.Request]) -> list[str | None]:
    """Return the range of each request."""
    return [request.headers.get("range") for request in sent]


class TestWhole:
    @pytest.mark.parametrize("ranges", [True, False])
    def test_file_is_downloaded_in_one_request(self, download, sent, emulator, ranges):
        emulator.settings.ranges = ranges

        assert download() == CONTENT
        assert asked(sent) == [None]

    def test_empty_file_is_downloaded(self, download, emulator):
        seed(emulator.base_url, {"name": "files/empty", "content": "", "generated": True})

        assert download(GeminiFile("files/empty", size_bytes=0, sha256=hashlib.sha256().hexdigest())) == b""

    def test_file_without_size_and_hash_is_downloaded(self, download):
        assert download(GeminiFile(FILE.name)) == CONTENT

    def test_compressed_response_is_not_asked_for(self, download, sent):
        download()

        assert [request.headers["accept-encoding"] for request in sent] == ["identity"]


class TestResumption:
    def test_rest_is_asked_for_after_a_connection_that_ends(self, download, sent, emulator, failures):
        emulator.settings.ranges = True
        emulator.faults.add("download", "cut_body", after_bytes=300_000)

        assert download() == CONTENT
        assert asked(sent) == [None, "bytes=300000-"]
        [(error, pause)] = failures
        assert isinstance(error, e.GeminiServiceError)
        assert pause == 1.0

    def test_file_is_sent_again_from_the_start_if_the_service_has_no_ranges(self, download, sent, emulator):
        emulator.faults.add("download", "cut_body", after_bytes=300_000)

        assert download() == CONTENT
        assert asked(sent) == [None, "bytes=300000-"]

    def test_download_goes_on_as_long_as_bytes_arrive(self, download, emulator, clock):
        emulator.settings.ranges = True
        for nth in range(1, 9):
            emulator.faults.add("download", "cut_body", after_bytes=100_000, nth=nth)

        assert download() == CONTENT
        assert clock.slept == [1.0] * 8

    def test_download_fails_after_failures_without_a_new_byte(self, download, sent, emulator, clock):
        emulator.settings.ranges = True
        emulator.faults.add("download", "cut_body", after_bytes=300_000)
        emulator.faults.add("download", "overloaded", nth=2, times=None)

        with pytest.raises(e.GeminiServiceError, match=r"Cannot download files/result: The model is overloaded"):
            download()

        assert asked(sent) == [None, *["bytes=300000-"] * MAX_RETRIES]
        assert clock.slept == [1.0, 2.0]

    def test_bytes_that_come_again_are_no_progress(self, download, sent, emulator):
        # Without ranges, a connection that always ends somewhere in the middle would otherwise be repeated for ever.
        for nth, after_bytes in enumerate([200_000, 300_000] * MAX_RETRIES, 1):
            emulator.faults.add("download", "cut_body", after_bytes=after_bytes, nth=nth)

        with pytest.raises(e.GeminiServiceError):
            download()

        assert len(asked(sent)) == 2 + MAX_RETRIES

    @pytest.mark.parametrize("action", ["outage", "internal", "rate_limit", "reset"])
    def test_failure_of_the_service_is_repeated(self, download, emulator, failures, action):
        emulator.faults.add("download", action, times=MAX_RETRIES)

        assert download() == CONTENT
        assert len(failures) == MAX_RETRIES

    def test_service_that_asks_for_too_much_patience_ends_the_download(self, download, emulator, clock):
        emulator.faults.add("download", "rate_limit", seconds=3600)

        with pytest.raises(e.GeminiRateLimitError) as raised:
            download()

        assert (raised.value.retry_after, clock.slept) == (3600, [])

    def test_pause_is_what_the_service_asks_for(self, download, emulator, clock):
        emulator.faults.add("download", "rate_limit", seconds=28)

        assert download() == CONTENT
        assert clock.slept == [28]

    def test_file_that_has_become_shorter_is_downloaded_from_the_start(self, download, sent, emulator):
        emulator.settings.ranges = True
        emulator.faults.add("download", "cut_body", after_bytes=300_000)
        emulator.faults.add("download", "status", status=416, nth=2)

        assert download() == CONTENT
        assert asked(sent) == [None, "bytes=300000-", None]

    @pytest.mark.parametrize(
        "start", ["bytes 0-9/1024000", "bytes 400000-400009/1024000", "bytes */5", "", "pages 3-4/5"]
    )
    def test_other_part_than_the_one_asked_for_is_not_taken(self, download, sent, emulator, start):
        emulator.settings.ranges = True
        emulator.faults.add("download", "cut_body", after_bytes=300_000)
        emulator.faults.add(
            "download", "status", status=206, nth=2, body="0123456789", headers={"Content-Range": start}
        )

        assert download() == CONTENT
        assert asked(sent) == [None, "bytes=300000-", None]


class TestRedirects:
    @pytest.fixture(autouse=True)
    def redirected(self, emulator):
        emulator.settings.redirect_downloads = True

    def test_other_host_is_followed_without_the_key(self, download, sent, hidden):
        assert download() == CONTENT

        first, second = sent
        assert hidden == [str(second.url).partition("?")[0]]
        assert first.headers["x-goog-api-key"] == API_KEY
        assert first.url.host != second.url.host
        assert API_KEY not in str((second.url, second.headers.multi_items()))

    def test_rest_is_asked_for_at_the_other_host(self, download, sent, emulator):
        emulator.settings.ranges = True
        emulator.faults.add("redirected_download", "cut_body", after_bytes=300_000)

        assert download() == CONTENT
        assert asked(sent) == [None, None, "bytes=300000-", "bytes=300000-"]

    def test_redirect_on_the_same_host_keeps_the_key(self, download, sent, emulator):
        emulator.settings.redirect_downloads = False
        path = f"/v1beta/{FILE.name}:download?alt=media&again=1"
        emulator.faults.add("download", "status", status=307, headers={"Location": path})

        assert download() == CONTENT
        assert [request.headers["x-goog-api-key"] for request in sent] == [API_KEY, API_KEY]

    def test_endless_redirects_end(self, download, emulator):
        path = f"{emulator.base_url}/v1beta/{FILE.name}:download?alt=media"
        emulator.faults.add("download", "status", status=302, headers={"Location": path}, times=None)

        with pytest.raises(e.GeminiServiceError, match="it was redirected more than 5 times"):
            download()

    @pytest.mark.parametrize("location", ["file:///etc/passwd", "http://[bad", "ftp://host/file", "http://"])
    def test_redirect_to_something_else_than_the_web_is_an_error(self, download, emulator, location):
        emulator.faults.add("download", "status", status=302, headers={"Location": location}, times=None)

        with pytest.raises(e.GeminiServiceError, match=r"Cannot download files/result"):
            download()

    def test_redirect_without_a_target_is_an_error(self, download, emulator):
        emulator.faults.add("download", "status", status=302, times=None)

        with pytest.raises(e.GeminiServiceError, match=r"Cannot download files/result: the service redirects"):
            download()


class TestRefusals:
    @pytest.mark.parametrize("name", ["files/unknown", "files/afother"])
    def test_file_that_does_not_exist_is_gone(self, download, name):
        with pytest.raises(e.GeminiFileGoneError, match=f"Cannot download {name}"):
            download(GeminiFile(name))

    def test_404_of_the_service_means_that_the_file_is_gone(self, download, emulator):
        body = {"error": {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"}}
        emulator.faults.add("download", "status", status=404, body=body)

        with pytest.raises(e.GeminiFileGoneError):
            download()

    def test_404_of_a_gateway_may_pass(self, download, emulator):
        emulator.faults.add("download", "status", status=404, body="<html>Not here</html>")

        assert download() == CONTENT

    def test_file_that_was_uploaded_cannot_be_downloaded(self, download, emulator):
        seed(emulator.base_url, "files/uploaded")

        with pytest.raises(e.GeminiInputError, match="Cannot download files/uploaded"):
            download(GeminiFile("files/uploaded"))

    def test_key_that_is_refused_is_not_shown(self, download, emulator):
        emulator.faults.add("download", "echo_key")

        with pytest.raises(e.GeminiAuthError) as raised:
            download()

        assert API_KEY not in str(raised.value)

    def test_long_text_of_a_refusal_is_not_read_to_its_end(self, download, emulator):
        emulator.faults.add("download", "status", status=400, body="x" * 10_000_000, times=None)

        with pytest.raises(e.GeminiFilesError) as raised:
            download()

        assert len(str(raised.value)) < 2000

    def test_service_that_cannot_be_reached_is_named(self, origin, clock):
        nowhere = replace(origin, api_url="http://127.0.0.1:9/v1beta", address="http://127.0.0.1:9", max_retries=0)

        with pytest.raises(e.GeminiServiceError, match=r"download files/result: http://127.0.0.1:9 cannot be reached"):
            Download(FILE, nowhere, io.BytesIO(), hide=print, on_failure=lambda *_: None, clock=clock).run()


class TestVerification:
    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"size_bytes": SIZE - 1}, "files/result has 1023999 bytes, and 1024000 were received"),
            ({"size_bytes": SIZE + 1}, "files/result has 1024001 bytes, and 1024000 were received"),
            ({"sha256": "0" * 64}, f"files/result has the sha256 {'0' * 64}, and bytes with {FILE.sha256} were"),
        ],
    )
    def test_other_size_or_hash_is_an_error_that_a_retry_can_mend(self, download, fields, words):
        with pytest.raises(e.GeminiIntegrityError) as raised:
            download(replace(FILE, **fields))

        assert words in str(raised.value)
        assert not isinstance(raised.value, e.GeminiPermanentError)

    def test_web_page_is_not_taken_for_a_file(self, download, emulator):
        page = {"body": "<html>Sign in", "content_type": "text/html; charset=utf-8"}
        emulator.faults.add("download", "status", status=200, **page)

        assert download(GeminiFile(FILE.name)) == CONTENT

    def test_compressed_response_is_not_taken(self, download, emulator):
        emulator.faults.add("download", "status", status=200, body="x", headers={"Content-Encoding": "br"})

        assert download() == CONTENT


class TestOldBytes:
    @pytest.mark.parametrize("faults", [[], [{"action": "cut_body", "after_bytes": 300_000}]])
    @pytest.mark.parametrize("ranges", [True, False])
    def test_nothing_of_what_the_file_held_stays(self, download, emulator, faults, ranges):
        emulator.settings.ranges = ranges
        for fault in faults:
            emulator.faults.add("download", **fault)

        assert download() == CONTENT

    @pytest.mark.parametrize("fault", [{"action": "forbidden"}, {"action": "reset", "times": None}])
    def test_failed_download_leaves_no_old_bytes(self, download, emulator, fault: dict[str, Any]):
        emulator.faults.add("download", **fault)
        into = io.BytesIO(b"old bytes")

        with pytest.raises(e.GeminiFilesError):
            download(into=into)

        assert into.getvalue() == b""

    def test_file_that_shrinks_between_two_requests_leaves_no_old_bytes(self, download, emulator):
        """The first response had more bytes than the second one, which has all."""
        emulator.faults.add(
            "download", "status", status=200, body="y" * 2 * SIZE, headers={"Content-Length": str(9**9)}
        )

        assert download() == CONTENT
