"""Faults: they happen to the right requests, as often as given, and are counted."""

from __future__ import annotations

import base64
import errno
import hashlib
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest
from emulator.api import Api

from airflow_provider_gemini_files.emulator.app import METHODS, NAMES, VERSIONS, build_app

pytest_plugins = ["pytester"]
KIB = 1024


def raw_post(url: str, headers: dict[str, str], body: bytes) -> bytes:
    """Send an HTTP request over a bare socket, to observe TCP itself."""
    parts = urlsplit(url)
    lines = [f"POST {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return connection.recv(65536)


class TestEveryMethod:
    def test_every_route_has_a_method_name(self, emulator):
        served = {route.path: route.name for route in build_app(emulator.emulator).routes}
        for path, name in served.items():
            if not path.startswith("/__emulator/"):
                assert name in NAMES, path
        assert len(METHODS) * len(VERSIONS) == sum(
            1 for route in build_app(emulator.emulator).routes if not route.path.startswith("/__emulator/")
        )

    def test_fault_happens_on_every_method(self, emulator):
        """Every route injects faults."""
        client = httpx.Client(base_url=emulator.base_url, trust_env=False)
        for method in METHODS:
            for name in method.names:
                emulator.faults.add(name, "status", status=418, body="teapot")
                path = f"{method.prefix}/v1{method.path}".replace("{", "").replace("}", "")
                headers = {"X-Goog-Upload-Command": name}
                in_session = name in ("upload", "finalize", "query", "cancel")
                response = client.request(
                    method.verbs[0], path + ("?upload_id=x" if in_session else ""), headers=headers
                )
                assert (response.status_code, response.text) == (418, "teapot"), (method, name)


class TestErrors:
    @pytest.mark.parametrize(
        ("action", "status", "words"),
        [
            ("storage_full", 429, "file_storage_bytes"),
            ("rate_limit", 429, '"retryDelay":"28s"'),
            ("exhausted", 429, "Resource has been exhausted (e.g. check quota)."),
            ("overloaded", 503, "The model is overloaded. Please try again later."),
            ("internal", 500, "Failed to convert server response to JSON"),
            ("bad_key", 400, "API_KEY_INVALID"),
            ("forbidden", 403, "The caller does not have permission"),
            ("key_blocked", 403, "API_KEY_SERVICE_BLOCKED"),
            ("referrer_blocked", 403, "API_KEY_HTTP_REFERRER_BLOCKED"),
            ("short_deadline", 400, "Manually set deadline 8s is too short. Minimum allowed deadline is 10s."),
        ],
    )
    def test_named_error_happens_once(self, emulator, api, action, status, words):
        emulator.faults.add("list", action)
        response = api.get("files")
        assert response.status_code == response.json()["error"]["code"] == status
        assert words in response.text
        assert api.get("files").status_code == 200

    @pytest.mark.parametrize(
        ("action", "status", "words"),
        [
            ("gone", 403, "You do not have permission to access the File abc or it may not exist."),
            ("not_active", 400, "The File abc is not in an ACTIVE state and usage is not allowed."),
        ],
    )
    def test_file_error_names_the_file(self, emulator, api, action, status, words):
        emulator.faults.add("generate", action, file_id="abc")
        response = api.generate({"text": "?"})
        assert (response.status_code, response.json()["error"]["message"]) == (status, words)

    @pytest.mark.parametrize("method", ["generate", "stream", "count_tokens", "create_cache"])
    def test_url_cannot_be_fetched(self, emulator, api, method):
        path = {
            "generate": "models/gemini-3.8-flash:generateContent",
            "stream": "models/gemini-3.8-flash:streamGenerateContent?alt=sse",
            "count_tokens": "models/gemini-3.8-flash:countTokens",
            "create_cache": "cachedContents",
        }[method]

        def ask(uri):
            parts = [{"file_data": {"file_uri": uri}}, {"text": "x" * 4096}]
            return api.post(path, {"model": "models/gemini-3.8-flash", "contents": [{"parts": parts}]})

        url, other = "https://host/files/a.pdf?signature=s", api.file()["uri"]
        emulator.faults.add(method, "url_unfetchable", times=2)
        statuses = [ask(uri).status_code for uri in (other, url, "https://youtu.be/a", url, url)]
        assert statuses == [200, 400, 200, 400, 200]
        failed = [entry for entry in emulator.journal if entry.get("fault") == "url_unfetchable"]
        assert [entry["status"] for entry in failed] == [400, 400]

    def test_message_of_a_url_that_cannot_be_fetched(self, emulator, api):
        emulator.faults.add("generate", "url_unfetchable")
        assert api.post("models/gemini-3.8-flash:generateContent", content=b"{").status_code == 400
        response = api.generate({"fileData": {"fileUri": "https://host/a.pdf"}})
        message = "Cannot fetch content from the provided URL."
        assert response.json() == {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}

    def test_already_exists_on_finalize(self, emulator, api):
        emulator.faults.add("finalize", "already_exists")
        assert api.upload(b"hello").json()["error"]["status"] == "ALREADY_EXISTS"

    def test_outage_has_an_empty_body(self, emulator, api):
        emulator.faults.add("start", "outage")
        response = api.start(5)
        assert (response.status_code, response.content) == (503, b"")

    def test_rate_limit_asks_for_given_delay(self, emulator, api):
        emulator.faults.add("generate", "rate_limit", seconds=7.5)
        assert '"retryDelay":"7.5s"' in api.generate({"text": "hi"}).text

    def test_terminated_ends_the_session(self, emulator, api):
        url = api.session(5)
        emulator.faults.add("upload", "terminated")
        for response in (api.command(url, "upload, finalize", b"hello", 0), api.command(url, "query")):
            assert (response.status_code, response.text) == (400, "Upload has already been terminated.")
            assert response.headers["content-type"].startswith("text/plain")

    def test_scripted_status_and_json_body(self, emulator, api):
        emulator.faults.add("get", "status", status=502, body={"a": 1})
        response = api.get("files/abc")
        assert (response.status_code, response.json()) == (502, {"a": 1})

    def test_error_in_the_middle_of_a_body_keeps_earlier_bytes(self, emulator, api):
        url = api.session(4 * KIB)
        emulator.faults.add("upload", "overloaded", after_bytes=2 * KIB + 5)
        assert api.command(url, "upload, finalize", bytes(4 * KIB), 0).status_code == 503
        assert api.command(url, "query").headers["x-goog-upload-size-received"] == str(2 * KIB)


class TestConnection:
    def test_reset_sends_tcp_rst(self, emulator, api):
        url = api.session(5)
        emulator.faults.add("upload", "reset")
        headers = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
        with pytest.raises(ConnectionResetError) as raised:
            raw_post(url, headers, b"hello")
        assert raised.value.errno == errno.ECONNRESET
        assert emulator.usage()["files"] == 0

    def test_reset_in_the_third_chunk_keeps_earlier_bytes(self, emulator, api):
        content = bytes(range(256)) * 32
        emulator.faults.add("upload", "reset", nth=3, after_bytes=KIB + 100)
        url = api.session(len(content))
        for offset in (0, 2 * KIB):
            assert api.command(url, "upload", content[offset : offset + 2 * KIB], offset).status_code == 200
        with pytest.raises(httpx.TransportError):
            api.command(url, "upload", content[4 * KIB : 6 * KIB], 4 * KIB)
        received = int(api.command(url, "query").headers["x-goog-upload-size-received"])
        assert received == 5 * KIB
        file = api.command(url, "upload, finalize", content[received:], received).json()["file"]
        assert base64.b64decode(file["sha256Hash"]).decode() == hashlib.sha256(content).hexdigest()

    def test_reset_happens_even_if_the_request_is_refused(self, emulator, api):
        url = api.session(5)
        emulator.faults.add("upload", "reset", after_bytes=3)
        with pytest.raises(httpx.TransportError):
            api.command(url, "upload, finalize", b"hello", 77)

    def test_lost_response_of_finalize_keeps_the_file(self, emulator, api):
        url = api.session(5)
        emulator.faults.add("finalize", "lose_answer")
        with pytest.raises(httpx.TransportError):
            api.command(url, "upload, finalize", b"hello", 0)
        response = api.command(url, "query")
        assert response.headers["x-goog-upload-status"] == "final"
        assert api.get(response.json()["file"]["name"]).status_code == 200

    def test_lost_response_of_delete_deletes_the_file(self, emulator, api):
        name = api.file()["name"]
        emulator.faults.add("delete", "lose_answer")
        with pytest.raises(httpx.TransportError):
            api.delete(name)
        assert api.get(name).status_code == 403

    @pytest.mark.parametrize("after_bytes", [None, 3])
    def test_stall_lasts_the_given_seconds(self, emulator, api, after_bytes):
        url = api.session(5)
        emulator.faults.add("upload", "stall", seconds=0.3, after_bytes=after_bytes)
        began = time.monotonic()
        assert api.command(url, "upload, finalize", b"hello", 0).status_code == 200
        assert 0.3 <= time.monotonic() - began < 3

    def test_abandoned_stalled_request_does_not_affect_the_next(self, emulator, api):
        content = bytes(range(256)) * 16
        url = api.session(len(content))
        emulator.faults.add("upload", "stall", seconds=0.5, after_bytes=2 * KIB)
        headers = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, headers=headers, content=content, timeout=0.1, trust_env=False)
        assert api.command(url, "query").headers["x-goog-upload-size-received"] == str(2 * KIB)
        file = api.command(url, "upload, finalize", content[2 * KIB :], 2 * KIB).json()["file"]
        time.sleep(0.6)
        assert base64.b64decode(file["sha256Hash"]).decode() == hashlib.sha256(content).hexdigest()
        assert emulator.usage() == {"files": 1, "bytes": len(content)}


class TestResponses:
    def test_start_response_without_upload_url(self, emulator, api):
        emulator.faults.add("start", "no_upload_url")
        response = api.start(5)
        assert response.status_code == 200
        assert "x-goog-upload-url" not in response.headers

    def test_response_without_upload_status(self, emulator, api):
        url = api.session(5)
        emulator.faults.add("finalize", "no_upload_status")
        response = api.command(url, "upload, finalize", b"hello", 0)
        assert response.status_code == 200
        assert "x-goog-upload-status" not in response.headers

    def test_finalize_response_without_file(self, emulator, api):
        emulator.faults.add("finalize", "no_file")
        response = api.upload(b"hello")
        assert (response.status_code, response.json()) == (200, {})
        assert response.headers["x-goog-upload-status"] == "final"
        assert emulator.usage()["files"] == 1


class TestFiles:
    def test_file_stays_processing(self, emulator, api):
        emulator.faults.add("finalize", "stuck_processing")
        name = api.file()["name"]
        emulator.clock.advance(3600)
        assert api.get(name).json()["state"] == "PROCESSING"

    def test_failed_file_has_an_error(self, emulator, api):
        error = {"code": 13, "message": "The codec is unknown."}
        emulator.faults.add("finalize", "fail_processing", error=error)
        file = api.file(mime_type="video/mp4")
        assert (file["state"], "error" in file) == ("PROCESSING", False)
        emulator.clock.advance(61)
        file = api.get(file["name"]).json()
        assert (file["state"], file["error"], "videoMetadata" in file) == ("FAILED", error, False)
        response = api.generate({"fileData": {"fileUri": file["uri"]}})
        assert response.json()["error"]["status"] == "FAILED_PRECONDITION"

    def test_wrong_hash_and_size_are_permanent(self, emulator, api):
        emulator.faults.add("finalize", "wrong_hash")
        file = api.file(b"hello")
        assert base64.b64decode(file["sha256Hash"]).decode() != hashlib.sha256(b"hello").hexdigest()
        assert api.get(file["name"]).json()["sha256Hash"] == file["sha256Hash"]
        emulator.faults.add("get", "wrong_size")
        assert api.get(file["name"]).json()["sizeBytes"] == "6"


class TestAccounting:
    def test_faults_happen_in_order_as_often_as_given(self, emulator, api):
        emulator.faults.add("list", "overloaded", times=2)
        emulator.faults.add("list", "internal")
        assert [api.get("files").status_code for _ in range(4)] == [503, 503, 500, 200]
        assert [entry.get("fault") for entry in emulator.journal] == ["overloaded", "overloaded", "internal", None]

    def test_fault_of_one_key_applies_to_its_upload_urls(self, emulator, api):
        other = type(api)(emulator.base_url, key="other")
        emulator.faults.add("upload", "overloaded", api_key="other")
        emulator.faults.add("list", "overloaded", api_key="other")
        assert api.upload(b"hello").status_code == 200
        assert api.get("files").status_code == 200
        assert other.upload(b"hello").status_code == 503
        assert other.get("files").status_code == 503

    def test_faults_are_added_and_read_over_http(self, emulator, api):
        control = httpx.Client(base_url=emulator.base_url, trust_env=False)
        status = control.post(
            "/__emulator/faults",
            json=[{"method": "get", "action": "outage", "times": 2}, {"method": "list", "action": "internal"}],
        ).json()
        assert [fault["used"] for fault in status["unused"]] == [0, 0]
        api.get("files/abc")
        api.get("files")
        status = control.get("/__emulator/faults").json()
        assert [(fault["method"], fault["used"]) for fault in status["unused"]] == [("get", 1)]
        assert [(fault["method"], fault["used"]) for fault in status["used"]] == [("list", 1)]
        control.delete("/__emulator/faults")
        assert control.get("/__emulator/faults").json() == {"used": [], "unused": []}

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            ({"method": "get"}, "needs a method and an action"),
            ({"method": "git", "action": "reset"}, "unknown method 'git'"),
            ({"method": "get", "action": "explode"}, "unknown action 'explode'"),
            ({"method": "get", "action": "reset", "when": 3}, "unknown field 'when'"),
            ({"method": "get", "action": "no_upload_url"}, "no_upload_url is for start"),
            ({"method": "get", "action": "reset", "after_bytes": 3}, "after_bytes is for upload and finalize"),
            ({"method": "upload", "action": "lose_answer", "after_bytes": 3}, "after_bytes has no meaning"),
            ({"method": "get", "action": "status"}, "needs status"),
            ({"method": "get", "action": "stall"}, "needs seconds"),
            ({"method": "get", "action": "url_unfetchable"}, "url_unfetchable is for count_tokens, create_cache"),
            ({"method": "get", "action": "reset", "nth": 0}, "count from 1"),
            ({"method": ["get"], "action": "reset"}, "unknown method"),
            ({"method": "get", "action": "status", "status": "500"}, "status is a whole number, got '500'"),
            ({"method": "get", "action": "status", "status": 1000}, "status is an HTTP status from 200 to 599"),
            ({"method": "get", "action": "stall", "seconds": "1"}, "seconds is a number"),
            ({"method": "get", "action": "stall", "seconds": -1}, "seconds is a finite number, at least 0"),
            ({"method": "get", "action": "reset", "times": 1.5}, "times is a whole number"),
            ({"method": "get", "action": "reset", "nth": None}, "nth is a whole number"),
            ({"method": "get", "action": "status", "status": 400, "headers": "a"}, "headers is an object"),
        ],
    )
    def test_impossible_fault_is_refused(self, emulator, fault, words):
        response = httpx.post(f"{emulator.base_url}/__emulator/faults", json=[fault], trust_env=False)
        assert (response.status_code, words in response.text) == (400, True), response.text
        with pytest.raises(ValueError, match=words):
            emulator.faults.load([fault])

    def test_fixture_fails_a_test_with_an_unused_fault(self, pytester):
        pytester.makepyfile(
            """
            import urllib.request

            def test_unused(gemini_emulator):
                gemini_emulator.faults.add("get", "reset")

            def test_used(gemini_emulator):
                gemini_emulator.faults.add("list", "status", status=200, body="{}")
                urllib.request.urlopen(gemini_emulator.base_url + "/v1/files?key=k").read()
            """
        )
        result = pytester.runpytest("-p", "no:cacheprovider")
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(["*faults that did not happen*get*reset*"])


class TestScriptedStatus:
    def test_status_with_html_and_headers_of_a_gateway(self, emulator, api):
        headers = {"Retry-After": "9", "Location": "https://gateway.example/login"}
        emulator.faults.add(
            "list", "status", status=503, body="<html>busy</html>", headers=headers, content_type="text/html"
        )
        response = api.get("files")
        assert (response.status_code, response.text) == (503, "<html>busy</html>")
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert (response.headers["retry-after"], response.headers["location"]) == tuple(headers.values())

    def test_status_with_json_of_another_content_type(self, emulator, api):
        emulator.faults.add(
            "start", "status", status=429, body={"detail": "slow"}, content_type="application/problem+json"
        )
        response = api.start(5)
        assert (response.status_code, response.json()) == (429, {"detail": "slow"})
        assert response.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            ({"action": "overloaded", "headers": {}}, "headers is for action status"),
            ({"action": "overloaded", "content_type": "text/html"}, "content_type is for action status"),
            ({"action": "status", "status": 503, "headers": {"Retry-After": 9}}, "printable ASCII"),
            ({"action": "status", "status": 503, "headers": {"a": "b\r\nc: d"}}, "printable ASCII"),
            ({"action": "status", "status": 503, "content_type": "é"}, "printable ASCII"),
        ],
    )
    def test_impossible_headers_are_refused(self, emulator, fault, words):
        with pytest.raises(ValueError, match=words):
            emulator.faults.add("list", **fault)


class TestQuotas:
    @pytest.mark.parametrize(
        ("action", "value", "words"),
        [("daily_quota", "250", "limit: 250"), ("no_quota", "0", "limit: 0")],
    )
    def test_daily_quota_errors(self, emulator, api, action, value, words):
        emulator.faults.add("generate", action)
        error = api.generate({"text": "?"}).json()["error"]
        assert (error["code"], error["status"], words in error["message"]) == (429, "RESOURCE_EXHAUSTED", True)
        violation = error["details"][0]["violations"][0]
        assert ("PerDay" in violation["quotaId"], violation["quotaValue"]) == (True, value)
        assert error["details"][2]["retryDelay"] == "28s"

    def test_no_free_tier_error_has_a_retry_delay(self, emulator, api):
        emulator.faults.add("generate", "no_free_tier", seconds=33)
        error = api.generate({"text": "?"}).json()["error"]
        assert error["code"] == 429
        assert "doesn't have a free quota tier" in error["message"]
        assert error["details"][-1]["retryDelay"] == "33s"

    def test_credits_depleted_error_has_no_details(self, emulator, api):
        emulator.faults.add("generate", "credits_depleted")
        error = api.generate({"text": "?"}).json()["error"]
        assert (error["code"], "details" in error) == (429, False)
        assert error["message"].startswith("Your prepayment credits are depleted")


class TestEchoedKey:
    def test_error_message_contains_the_key_of_the_request(self, emulator):
        api = Api(emulator.base_url, key="echoed-key")
        emulator.faults.add("list", "echo_key")
        error = api.get("files").json()["error"]
        assert (error["code"], "'api_key:echoed-key'" in error["message"]) == (403, True)

    def test_error_message_contains_the_key_of_the_upload_session(self, emulator):
        api = Api(emulator.base_url, key="echoed-key")
        emulator.faults.add("upload", "echo_key", after_bytes=3)
        assert "echoed-key" in api.upload(b"hello").text


class TestDrip:
    def test_body_comes_in_single_bytes(self, emulator, api):
        name = api.file()["name"]
        emulator.faults.add("get", "drip", seconds=0.001)
        began = time.monotonic()
        with api.http.stream("GET", f"/v1beta/{name}") as response:
            length = int(response.headers["content-length"])
            content = b"".join(response.iter_raw())
        assert len(content) == length
        assert time.monotonic() - began >= 0.001 * length
        assert content == api.get(name).content

    @pytest.mark.parametrize("suffix", ["", "?alt=sse"])
    def test_streams_and_errors_come_in_single_bytes(self, emulator, api, suffix):
        path = f"models/gemini-3.8-flash:streamGenerateContent{suffix}"
        for body in ({"contents": [{"parts": [{"text": "?"}]}]}, {}):
            emulator.faults.add("stream", "drip", seconds=0)
            slow, fast = api.post(path, body), api.post(path, body)
            assert (slow.status_code, slow.content) == (fast.status_code, fast.content)

    def test_client_timeout_does_not_affect_the_next_request(self, emulator, api):
        emulator.faults.add("list", "drip", seconds=60)
        with pytest.raises(httpx.ReadTimeout):
            api.get("files", timeout=0.2)
        assert api.get("files").json() == {}


class TestPageToken:
    def test_list_repeats_the_same_token(self, emulator, api):
        names = [api.file()["name"] for _ in range(5)]
        emulator.faults.add("list", "same_page_token", times=None)
        bodies, token = [], None
        for _ in range(4):
            query = {"pageSize": 2} | ({"pageToken": token} if token else {})
            bodies.append(api.get("files", params=query).json())
            token = bodies[-1]["nextPageToken"]
        assert len({body["nextPageToken"] for body in bodies}) == 1
        assert [file["name"] for file in bodies[0]["files"]] == names[:2:-1]
        assert bodies[1] == bodies[2] == bodies[3]

    def test_list_of_one_page_repeats_a_token(self, emulator, api):
        emulator.faults.add("list", "same_page_token", times=2)
        first = api.get("files").json()
        assert api.get("files", params={"pageToken": first["nextPageToken"]}).json() == first
        assert api.get("files").json() == {}


class TestEditedFiles:
    @pytest.mark.parametrize(
        "fields", [{"createTime": ""}, {"sizeBytes": "5.0"}, {"error": "a text"}, {"name": None, "other": [1]}]
    )
    def test_fields_are_overridden_in_responses_only(self, emulator, api, fields):
        file = api.file()
        for call in ("get", "list"):
            emulator.faults.add(call, "edit_file", fields=fields)
        assert api.get(file["name"]).json() == file | fields
        assert api.get("files").json() == {"files": [file | fields]}
        assert api.get(file["name"]).json() == file

    def test_edits_one_file_of_a_list(self, emulator, api):
        first, second = api.file(), api.file()
        emulator.faults.add("list", "edit_file", file_id=first["name"][6:], fields={"state": 7})
        assert api.get("files").json()["files"] == [second, first | {"state": 7}]

    def test_without_fields_the_file_is_null(self, emulator, api):
        first, second = api.file(), api.file()
        emulator.faults.add("list", "edit_file", file_id=first["name"][6:])
        assert api.get("files").json()["files"] == [second, None]
        emulator.faults.add("get", "edit_file")
        assert api.get(first["name"]).json() is None

    def test_fields_of_other_actions_are_refused(self, emulator):
        with pytest.raises(ValueError, match="fields is for action edit_file"):
            emulator.faults.add("get", "gone", fields={})


class TestUnlimitedFaults:
    def test_unlimited_fault_counts_as_used_after_the_first_time(self, emulator, api):
        emulator.faults.add("list", "overloaded", nth=2, times=None)
        assert [fault["times"] for fault in emulator.faults.unused()] == [None]
        assert [api.get("files").status_code for _ in range(4)] == [200, 503, 503, 503]
        assert emulator.faults.unused() == []
        emulator.faults.clear()
        assert api.get("files").status_code == 200
