"""The resumable protocol over the wire."""

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
        # The server reads what was sent before it learns of the end.
        time.sleep(0.1)


class TestStart:
    @pytest.mark.parametrize("version", ["v1", "v1beta"])
    def test_answer_is_empty_and_names_the_own_host(self, emulator, api, version):
        answer = Api(emulator.base_url, version=version).start(5)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-goog-upload-status"] == "active"
        assert answer.headers["x-goog-upload-chunk-granularity"] == "1024"
        assert answer.headers["x-goog-upload-url"].startswith(f"{emulator.base_url}/upload/{version}/files?upload_id=")
        assert "key" not in answer.headers["x-goog-upload-url"]

    def test_key_in_the_query_comes_back_in_the_url_but_not_in_the_journal(self, emulator, api):
        headers = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start", "x-goog-api-key": ""}
        answer = api.http.post("/upload/v1beta/files?key=s3cret", headers=headers)
        url = answer.headers["x-goog-upload-url"]
        assert "key=s3cret" in url
        assert api.command(url, "upload, finalize", b"hello", 0).status_code == 200
        assert api.http.get("/v1beta/files?key=s3cret", headers={"x-goog-api-key": ""}).json()["files"]
        told = str(emulator.journal) + api.http.get("/__emulator/journal").text
        assert "s3cret" not in told
        assert "upload_id" not in told

    def test_single_quotes_of_the_documented_curl_line_are_taken(self, api):
        headers = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
        answer = api.http.post("/upload/v1beta/files", headers=headers, content="{'file': {'display_name': 'AUDIO'}}")
        file = api.command(answer.headers["x-goog-upload-url"], "upload, finalize", b"x", 0).json()["file"]
        assert file["displayName"] == "AUDIO"

    @pytest.mark.parametrize("headers", [{}, {"X-Goog-Upload-Protocol": "resumable"}])
    def test_neither_start_nor_session_is_refused(self, api, headers):
        answer = api.http.post("/upload/v1beta/files", headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")


class TestChunks:
    @pytest.mark.parametrize("verb", ["POST", "PUT"])
    def test_whole_sequence(self, api, verb):
        url = api.session(len(CONTENT))
        for offset in (0, 2 * KIB):
            answer = api.command(url, "upload", CONTENT[offset : offset + 2 * KIB], offset, verb)
            assert answer.headers["x-goog-upload-status"] == "active"
            assert answer.headers["x-goog-upload-size-received"] == str(offset + 2 * KIB)
        answer = api.command(url, "upload, finalize", CONTENT[4 * KIB :], 4 * KIB, verb)
        assert answer.headers["x-goog-upload-status"] == "final"
        assert digest(answer.json()["file"]) == hashlib.sha256(CONTENT).hexdigest()

    @pytest.mark.parametrize("declared", [len(CONTENT), None])
    def test_bare_finalize_after_all_bytes(self, api, declared):
        url = api.session(declared)
        api.command(url, "upload", CONTENT, 0)
        file = api.command(url, "finalize").json()["file"]
        assert (file["sizeBytes"], digest(file)) == (str(len(CONTENT)), hashlib.sha256(CONTENT).hexdigest())

    def test_empty_file(self, api):
        assert digest(api.file(b"")) == hashlib.sha256(b"").hexdigest()

    @pytest.mark.parametrize("offset", [0, 1024, 4096, None])
    def test_wrong_offset_is_refused_and_changes_nothing(self, api, offset):
        url = api.session(len(CONTENT))
        api.command(url, "upload", CONTENT[: 2 * KIB], 0)
        answer = api.command(url, "upload", CONTENT[2 * KIB :], offset)
        assert (answer.status_code, answer.headers["x-goog-upload-status"]) == (400, "active")
        assert api.command(url, "query").headers["x-goog-upload-size-received"] == str(2 * KIB)

    def test_chunk_off_the_granularity_is_refused(self, api):
        url = api.session(len(CONTENT))
        answer = api.command(url, "upload", CONTENT[:1500], 0)
        assert (answer.status_code, answer.headers["x-goog-upload-status"]) == (400, "active")
        assert api.command(url, "query").headers["x-goog-upload-size-received"] == "1024"

    def test_more_or_less_than_declared_is_refused_and_can_be_mended(self, api):
        url = api.session(5)
        assert api.command(url, "upload, finalize", b"hello!", 0).status_code == 400
        assert api.command(url, "upload, finalize", b"hell", 0).status_code == 400
        assert api.command(url, "upload, finalize", b"o", 4).json()["file"]["sizeBytes"] == "5"

    def test_start_headers_repeated_on_a_chunk_mean_nothing(self, api):
        """The SDK sends them all again, with a JSON content type on the bytes."""
        url = api.session(5)
        headers = {
            "X-Goog-Upload-Command": "upload, finalize",
            "X-Goog-Upload-Offset": "0",
            "X-Goog-Upload-Protocol": "resumable",
            "Content-Type": "application/json",
        }
        answer = api.http.post(url, headers=headers, content=b"{oops")
        assert answer.json()["file"]["mimeType"] == "text/plain"

    def test_unknown_command(self, api):
        assert api.command(api.session(5), "dance").status_code == 400


class TestSessions:
    def test_query_tells_what_is_safe_then_answers_with_the_file(self, api):
        url = api.session(5)
        answer = api.command(url, "query")
        assert (answer.headers["x-goog-upload-status"], answer.headers["x-goog-upload-size-received"]) == (
            "active",
            "0",
        )
        file = api.command(url, "upload, finalize", b"hello", 0).json()
        answer = api.command(url, "query")
        assert (answer.headers["x-goog-upload-status"], answer.json()) == ("final", file)

    def test_final_session_takes_no_more_bytes(self, api):
        url = api.session(5)
        api.command(url, "upload, finalize", b"hello", 0)
        answer = api.command(url, "upload, finalize", b"hello", 0)
        assert (answer.status_code, answer.text) == (400, "Upload has already been terminated.")
        assert api.command(url, "cancel").status_code == 400

    def test_cancel(self, api):
        url = api.session(5)
        assert api.command(url, "cancel").headers["x-goog-upload-status"] == "cancelled"
        assert api.command(url, "query").status_code == 410
        assert api.command(url, "upload, finalize", b"hello", 0).status_code == 400

    def test_unknown_and_expired(self, emulator, api):
        url = api.session(5)
        assert api.command(url.replace("upload_id=", "upload_id=x"), "query").status_code == 404
        emulator.clock.advance(8 * 86400)
        assert api.command(url, "query").status_code == 410

    def test_rejected_content_is_final(self, api):
        url = api.session(5, "bad/mime_type")
        answer = api.command(url, "upload, finalize", b"hello", 0)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "Unsupported MIME type: bad/mime_type"
        assert answer.headers["x-goog-upload-status"] == "final"
        assert api.command(url, "query").json() == answer.json()

    def test_loose_mime_type_is_stored_as_it_came(self, api):
        assert api.file(mime_type="jsonl")["mimeType"] == "jsonl"

    def test_newer_request_takes_a_session_over(self, api):
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
    def test_bytes_are_kept_to_a_boundary_or_dropped(self, keep_partial, safe):
        with GeminiEmulator(granularity=KIB, keep_partial=keep_partial) as emulator:
            api = Api(emulator.base_url)
            url = api.session(len(CONTENT))
            cut_off(url, CONTENT[: 2 * KIB + 300], len(CONTENT))
            assert api.command(url, "query").headers["x-goog-upload-size-received"] == str(safe)
            file = api.command(url, "upload, finalize", CONTENT[safe:], safe).json()["file"]
            assert digest(file) == hashlib.sha256(CONTENT).hexdigest()
