"""The control API: who may call it, and the clock."""

from __future__ import annotations

import socket
from email.utils import parsedate_to_datetime

import pytest
from emulator.api import Api, http_client

from airflow_provider_gemini_files.emulator import GeminiEmulator

DAY = 86400


@pytest.fixture
def control(emulator):
    with http_client(base_url=emulator.base_url) as client:
        yield client


def port_of(emulator):
    return emulator.base_url.rpartition(":")[2]


class TestHost:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "127.0.0.2"])
    def test_loopback_is_accepted(self, emulator, control, host):
        for given in (host, f"{host}:{port_of(emulator)}"):
            assert control.get("/__emulator/health", headers={"host": given}).status_code == 200

    @pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.0.2.1", "[", "", "a@localhost.x"])
    def test_other_hosts_are_refused(self, emulator, api, control, host):
        api.file()
        for verb, path in (("GET", "journal"), ("POST", "reset"), ("DELETE", "faults"), ("GET", "unknown")):
            response = control.request(verb, f"/__emulator/{path}", headers={"host": host})
            assert (response.status_code, response.text.count("Host")) == (403, 1)
        assert emulator.usage()["files"] == 1

    def test_request_without_host_is_refused(self, emulator):
        with socket.create_connection(("127.0.0.1", int(port_of(emulator))), timeout=10) as connection:
            connection.sendall(b"GET /__emulator/health HTTP/1.0\r\n\r\n")
            assert b" 403 " in connection.recv(4096)

    def test_service_itself_accepts_any_host(self, api):
        assert api.get("files", headers={"host": "evil.example"}).status_code == 200

    def test_address_that_it_listens_on_is_accepted(self):
        with GeminiEmulator(host="0.0.0.0", allow_remote=True) as emulator:
            url = f"http://127.0.0.1:{port_of(emulator)}/__emulator/health"
            with http_client() as client:
                assert client.get(url, headers={"host": "0.0.0.0"}).status_code == 200
                assert client.get(url, headers={"host": "192.0.2.1"}).status_code == 403


class TestOrigin:
    def test_own_origin_is_accepted(self, emulator, control):
        response = control.post("/__emulator/reset", headers={"origin": emulator.base_url})
        assert response.status_code == 200

    @pytest.mark.parametrize(
        "origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1", "http://127.0.0.1:1", ""]
    )
    def test_other_origins_are_refused(self, emulator, api, control, origin):
        api.file()
        response = control.post("/__emulator/reset", headers={"origin": origin})
        assert (response.status_code, "origin" in response.text) == (403, True)
        assert emulator.usage()["files"] == 1


class TestClock:
    @pytest.mark.parametrize("seconds", ["NaN", "Infinity", "-Infinity", "1e999", "-1", "1e300", '"soon"', "null"])
    def test_impossible_times_are_refused_in_a_sentence(self, emulator, api, control, seconds):
        before = emulator.clock.now()
        response = control.post("/__emulator/clock", content=f'{{"advance": {seconds}}}')
        assert response.status_code == 400
        assert response.text.startswith('expected {"advance": seconds}: ')
        assert before <= emulator.clock.now() < before + 60
        assert api.file()["state"] == "ACTIVE"

    @pytest.mark.parametrize("body", [b"", b"[1]", b"{}", b"1"])
    def test_other_bodies_are_refused(self, control, body):
        assert control.post("/__emulator/clock", content=body).status_code == 400

    @pytest.mark.parametrize("path", ["clock", "faults", "answers", "seed"])
    @pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff", b"{", b'{"api_key": "k", "resources": [{"name": 5}]}'])
    def test_bodies_that_cannot_be_read_are_refused(self, control, path, body):
        assert control.post(f"/__emulator/{path}", content=body).status_code == 400

    @pytest.mark.parametrize("size", [-1, 1.5, "1", True])
    def test_impossible_sizes_of_files_are_refused(self, control, size):
        body = {"api_key": "k", "resources": [{"name": "files/a", "size": size}]}
        assert control.post("/__emulator/seed", json=body).status_code == 400

    @pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -0.1])
    def test_library_refuses_them_too(self, emulator, seconds):
        with pytest.raises(ValueError, match="only moves forward by a finite number"):
            emulator.clock.advance(seconds)


class TestDate:
    def dates(self, response):
        return [value for name, value in response.headers.multi_items() if name.lower() == "date"]

    def test_every_response_has_one_date_of_the_emulators_clock(self):
        with GeminiEmulator() as emulator:
            api = Api(emulator.base_url)
            emulator.clock.advance(30 * DAY)
            emulator.faults.add("list", "overloaded")
            stream = "models/gemini-3.8-flash:streamGenerateContent?alt=sse"
            responses = [
                api.get("files"),
                api.get("files"),
                api.upload(b"hello"),
                api.get("files/none"),
                api.get("nothing-here"),
                api.post(stream, {"contents": [{"parts": [{"text": "?"}]}]}),
                api.http.get("/__emulator/health"),
            ]
            now = emulator.clock.now()
            for response in responses:
                (date,) = self.dates(response)
                assert now - 60 < parsedate_to_datetime(date).timestamp() <= now

    def test_scripted_date_is_the_only_one(self, emulator, api):
        date = "Thu, 01 Jan 1970 00:00:00 GMT"
        emulator.faults.add("list", "status", status=503, headers={"Date": date})
        assert self.dates(api.get("files")) == [date]
