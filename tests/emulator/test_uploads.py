"""The resumable upload protocol over HTTP."""

from __future__ import annotations

import base64
import hashlib
import socket
import time
from urllib.parse import urlsplit

import pytest
from emulator.api import Api

from airflow_provider_gemini_files.emulator import GeminiEmulator

KIB = 1024
CONTENT = bytes(range(256)) * 4 * 5


def digest(file):
    return base64.b64decode(file["sha256Hash"]).decode()


def cut_off(url: str, body: bytes, length: int, offset: int = 0) -> None:
    """Send a part of a chunk, then drop the connection."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {length}\r\n"
        f"X-Goog-Upload-Command: upload, finalize\r\nX-Goog-Upload-Offset: {offset}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        # Let the server read these bytes before the connection ends.
        time.sleep(0.1)


class TestStart:
    @pytest.mark.parametrize("version", ["v1", "v1beta"])
    def test_start_returns_a_url_on_the_same_host(self, emulator, api, version):
        response = Api(emulator.base_url, version=version).start(5)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["x-goog-upload-status"] == "active"
        assert response.headers["x-goog-upload-chunk-granularity"] == "1024"
        assert response.headers["x-goog-upload-url"].startswith(
            f"{emulator.base_url}/upload/{version}/files?upload_id="
        )
        assert "key" not in response.headers["x-goog-upload-url"]

    def test_key_in_the_query_is_in_the_upload_url_but_not_in_the_journal(self, emulator, api):
        headers = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start", "x-goog-api-key": ""}
        response = api.http.post("/upload/v1beta/files?key=s3cret", headers=headers)
        url = response.headers["x-goog-upload-url"]
        assert "key=s3cret" in url
        assert api.command(url, "upload, finalize", b"hello", 0).status_code == 200
        assert api.http.get("/v1beta/files?key=s3cret", headers={"x-goog-api-key": ""}).json()["files"]
        journal = str(emulator.journal) + api.http.get("/__emulator/journal").text
        assert "s3cret" not in journal
        assert "upload_id" not in journal

    def test_accepts_single_quotes_of_the_documented_curl_command(self, api):
        headers = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
        response = api.http.post("/upload/v1beta/files", headers=headers, content="{'file': {'display_name': 'AUDIO'}}")
        file = api.command(response.headers["x-goog-upload-url"], "upload, finalize", b"x", 0).json()["file"]
        assert file["displayName"] == "AUDIO"

    @pytest.mark.parametrize("headers", [{}, {"X-Goog-Upload-Protocol": "resumable"}])
    def test_request_without_start_or_session_is_refused(self, api, headers):
        response = api.http.post("/upload/v1beta/files", headers=headers)
        assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")


class TestChunks:
    @pytest.mark.parametrize("verb", ["POST", "PUT"])
    def test_upload_in_chunks(self, api, verb):
        url = api.session(len(CONTENT))
        for offset in (0, 2 * KIB):
            response = api.command(url, "upload", CONTENT[offset : offset + 2 * KIB], offset, verb)
            assert response.headers["x-goog-upload-status"] == "active"
            assert response.headers["x-goog-upload-size-received"] == str(offset + 2 * KIB)
        response = api.command(url, "upload, finalize", CONTENT[4 * KIB :], 4 * KIB, verb)
        assert response.headers["x-goog-upload-status"] == "final"
        assert digest(response.json()["file"]) == hashlib.sha256(CONTENT).hexdigest()

    @pytest.mark.parametrize("declared", [len(CONTENT), None])
    def test_finalize_without_bytes_after_the_last_chunk(self, api, declared):
        url = api.session(declared)
        api.command(url, "upload", CONTENT, 0)
        file = api.command(url, "finalize").json()["file"]
        assert (file["sizeBytes"], digest(file)) == (str(len(CONTENT)), hashlib.sha256(CONTENT).hexdigest())

    def test_upload_of_empty_file(self, api):
        assert digest(api.file(b"")) == hashlib.sha256(b"").hexdigest()

    @pytest.mark.parametrize("offset", [0, 1024, 4096, None])
    def test_wrong_offset_is_refused_and_changes_nothing(self, api, offset):
        url = api.session(len(CONTENT))
        api.command(url, "upload", CONTENT[: 2 * KIB], 0)
        response = api.command(url, "upload", CONTENT[2 * KIB :], offset)
        assert (response.status_code, response.headers["x-goog-upload-status"]) == (400, "active")
        assert api.command(url, "query").headers["x-goog-upload-size-received"] == str(2 * KIB)

    def test_chunk_must_be_a_multiple_of_the_granularity(self, api):
        url = api.session(len(CONTENT))
        response = api.command(url, "upload", CONTENT[:1500], 0)
        assert (response.status_code, response.headers["x-goog-upload-status"]) == (400, "active")
        assert api.command(url, "query").headers["x-goog-upload-size-received"] == "1024"

    def test_session_continues_after_a_wrong_size(self, api):
        url = api.session(5)
        assert api.command(url, "upload, finalize", b"hello!", 0).status_code == 400
        assert api.command(url, "upload, finalize", b"hell", 0).status_code == 400
        assert api.command(url, "upload, finalize", b"o", 4).json()["file"]["sizeBytes"] == "5"

    def test_start_headers_on_a_chunk_are_ignored(self, api):
        """The SDK repeats them on each chunk, with a JSON content type."""
        url = api.session(5)
        headers = {
            "X-Goog-Upload-Command": "upload, finalize",
            "X-Goog-Upload-Offset": "0",
            "X-Goog-Upload-Protocol": "resumable",
            "Content-Type": "application/json",
        }
        response = api.http.post(url, headers=headers, content=b"{oops")
        assert response.json()["file"]["mimeType"] == "text/plain"

    def test_unknown_command_is_refused(self, api):
        assert api.command(api.session(5), "dance").status_code == 400


class TestSessions:
    def test_query_returns_received_size_and_later_the_file(self, api):
        url = api.session(5)
        response = api.command(url, "query")
        assert (response.headers["x-goog-upload-status"], response.headers["x-goog-upload-size-received"]) == (
            "active",
            "0",
        )
        file = api.command(url, "upload, finalize", b"hello", 0).json()
        response = api.command(url, "query")
        assert (response.headers["x-goog-upload-status"], response.json()) == ("final", file)

    def test_final_session_refuses_more_bytes(self, api):
        url = api.session(5)
        api.command(url, "upload, finalize", b"hello", 0)
        response = api.command(url, "upload, finalize", b"hello", 0)
        assert (response.status_code, response.text) == (400, "Upload has already been terminated.")
        assert api.command(url, "cancel").status_code == 400

    def test_cancelled_session_cannot_continue(self, api):
        url = api.session(5)
        assert api.command(url, "cancel").headers["x-goog-upload-status"] == "cancelled"
        assert api.command(url, "query").status_code == 410
        assert api.command(url, "upload, finalize", b"hello", 0).status_code == 400

    def test_unknown_and_expired_sessions(self, emulator, api):
        url = api.session(5)
        assert api.command(url.replace("upload_id=", "upload_id=x"), "query").status_code == 404
        emulator.clock.advance(8 * 86400)
        assert api.command(url, "query").status_code == 410

    def test_rejected_upload_is_final(self, api):
        url = api.session(5, "bad/mime_type")
        response = api.command(url, "upload, finalize", b"hello", 0)
        assert response.status_code == 400
        assert response.json()["error"]["message"] == "Unsupported MIME type: bad/mime_type"
        assert response.headers["x-goog-upload-status"] == "final"
        assert api.command(url, "query").json() == response.json()

    def test_mime_type_without_slash_is_stored_unchanged(self, api):
        assert api.file(mime_type="jsonl")["mimeType"] == "jsonl"

    def test_newer_request_takes_over_the_session(self, api):
        url = api.session(len(CONTENT))
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as old:
            head = (
                f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 5120\r\n"
                "X-Goog-Upload-Command: upload, finalize\r\nX-Goog-Upload-Offset: 0\r\n\r\n"
            )
            old.sendall(head.encode() + b"x" * 500)
            time.sleep(0.1)
            file = api.command(url, "upload, finalize", CONTENT, 0).json()["file"]
            old.sendall(b"x" * (5120 - 500))
            assert b"409" in old.recv(4096)
        assert digest(api.get(file["name"]).json()) == hashlib.sha256(CONTENT).hexdigest()


class TestBrokenConnection:
    @pytest.mark.parametrize(("keep_partial", "safe"), [(True, 2 * KIB), (False, 0)])
    def test_broken_chunk_is_kept_to_a_boundary_or_dropped(self, keep_partial, safe):
        with GeminiEmulator(granularity=KIB, keep_partial=keep_partial) as emulator:
            api = Api(emulator.base_url)
            url = api.session(len(CONTENT))
            cut_off(url, CONTENT[: 2 * KIB + 300], len(CONTENT))
            assert api.command(url, "query").headers["x-goog-upload-size-received"] == str(safe)
            file = api.command(url, "upload, finalize", CONTENT[safe:], safe).json()["file"]
            assert digest(file) == hashlib.sha256(CONTENT).hexdigest()
