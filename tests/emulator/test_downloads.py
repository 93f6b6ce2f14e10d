"""Downloads of generated files: ranges, redirects, and connections that break."""

from __future__ import annotations

import base64
import contextlib
from urllib.parse import urlsplit

import httpx
import pytest

CONTENT = bytes(range(256)) * 40
PATH = "files/result:download"


@pytest.fixture(autouse=True)
def generated(emulator, api):
    file = {"name": "files/result", "content": base64.b64encode(CONTENT).decode(), "generated": True}
    emulator_seed = {"api_key": "k", "resources": [file]}
    assert api.http.post("/__emulator/seed", json=emulator_seed).status_code == 200


def download(api, **headers):
    return api.get(PATH, params={"alt": "media"}, headers=headers)


class TestRanges:
    def test_ranges_are_ignored_by_default(self, api):
        response = download(api, Range="bytes=100-")
        assert (response.status_code, response.content) == (200, CONTENT)
        assert not {"accept-ranges", "content-range"} & response.headers.keys()

    @pytest.mark.parametrize(
        ("wanted", "first", "last"),
        [("bytes=100-", 100, 10_239), ("bytes=0-0", 0, 0), ("bytes=10000-99999", 10_000, 10_239)],
    )
    def test_range_is_sent(self, emulator, api, monkeypatch, wanted, first, last):
        monkeypatch.setattr(emulator.settings, "ranges", True)
        response = download(api, Range=wanted)
        assert (response.status_code, response.content) == (206, CONTENT[first : last + 1])
        assert response.headers["content-range"] == f"bytes {first}-{last}/10240"

    def test_without_a_range_the_whole_file_is_sent(self, emulator, api, monkeypatch):
        monkeypatch.setattr(emulator.settings, "ranges", True)
        response = download(api)
        assert (response.status_code, response.content, response.headers["accept-ranges"]) == (200, CONTENT, "bytes")

    def test_range_after_the_end_is_refused(self, emulator, api, monkeypatch):
        monkeypatch.setattr(emulator.settings, "ranges", True)
        response = download(api, Range="bytes=10240-")
        assert (response.status_code, response.headers["content-range"]) == (416, "bytes */10240")


class TestRedirects:
    @pytest.fixture
    def location(self, emulator, api, monkeypatch):
        monkeypatch.setattr(emulator.settings, "redirect_downloads", True)
        response = download(api)
        assert (response.status_code, response.content) == (302, b"")
        return response.headers["location"]

    def test_redirect_leads_to_another_host(self, emulator, location):
        assert urlsplit(location).hostname == "localhost"
        assert urlsplit(location).port == urlsplit(emulator.base_url).port
        assert httpx.get(location, trust_env=False).content == CONTENT
        assert [entry["call"] for entry in emulator.journal[-2:]] == ["download", "redirected_download"]

    def test_redirect_from_localhost_leads_to_the_address(self, emulator, monkeypatch):
        monkeypatch.setattr(emulator.settings, "redirect_downloads", True)
        url = f"{emulator.base_url.replace('127.0.0.1', 'localhost')}/v1beta/{PATH}?alt=media&key=k"
        response = httpx.get(url, trust_env=False, follow_redirects=True)
        assert (response.url.host, response.content) == ("127.0.0.1", CONTENT)

    @pytest.mark.parametrize("header", [{"x-goog-api-key": "k"}, {"authorization": "Bearer t"}])
    def test_key_must_not_follow_the_redirect(self, location, header):
        response = httpx.get(location, headers=header, trust_env=False)
        assert (response.status_code, "must not know it" in response.text) == (400, True)

    def test_unknown_token_is_refused(self, location):
        assert httpx.get(location[:-1], trust_env=False).status_code == 404

    def test_file_that_is_gone_cannot_be_downloaded(self, emulator, location):
        emulator.clock.advance(48 * 3600)
        assert httpx.get(location, trust_env=False).status_code == 403


class TestBrokenDownloads:
    @staticmethod
    def received(api, **headers):
        content = b""
        with (
            contextlib.suppress(httpx.RemoteProtocolError),
            api.http.stream("GET", f"/v1beta/{PATH}", params={"alt": "media"}, headers=headers) as response,
        ):
            for chunk in response.iter_raw():
                content += chunk
        assert len(content) < int(response.headers["content-length"])
        return response, content

    @pytest.mark.parametrize(("after_bytes", "length"), [(0, 0), (1000, 1000), (99_999, 10_239)])
    def test_connection_ends_after_the_given_bytes(self, emulator, api, after_bytes, length):
        emulator.faults.add("download", "cut_body", after_bytes=after_bytes)
        response, content = self.received(api)
        assert (response.status_code, response.headers["content-length"]) == (200, "10240")
        assert content == CONTENT[:length]
        assert download(api).content == CONTENT

    def test_part_of_a_file_is_cut(self, emulator, api, monkeypatch):
        monkeypatch.setattr(emulator.settings, "ranges", True)
        emulator.faults.add("download", "cut_body", after_bytes=10)
        response, content = self.received(api, Range="bytes=256-")
        assert (response.status_code, content) == (206, CONTENT[256:266])

    def test_redirected_download_is_cut(self, emulator, api, monkeypatch):
        monkeypatch.setattr(emulator.settings, "redirect_downloads", True)
        emulator.faults.add("redirected_download", "cut_body", after_bytes=10)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(download(api).headers["location"], trust_env=False)

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            (
                {"method": "get", "action": "cut_body", "after_bytes": 3},
                "cut_body is for download, redirected_download",
            ),
            ({"method": "download", "action": "cut_body"}, "needs after_bytes"),
            ({"method": "download", "action": "reset", "after_bytes": 3}, "after_bytes is for upload and finalize"),
        ],
    )
    def test_impossible_fault_is_refused(self, emulator, fault, words):
        with pytest.raises(ValueError, match=words):
            emulator.faults.load([fault])
