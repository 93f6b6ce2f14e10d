"""Command line, environment and library."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

import httpx
import pytest
from emulator.api import Api, http_client

from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.__main__ import read_options

COMMAND = [sys.executable, "-m", "airflow_provider_gemini_files.emulator"]


class TestOptions:
    def test_defaults(self):
        assert read_options([], {}) == {
            "host": "127.0.0.1",
            "port": 8085,
            "allow_remote": False,
            "api_keys": (),
            "quota_bytes": 20 * 1024**3,
            "granularity": 8 * 1024**2,
            "keep_partial": True,
            "video_seconds": 2.0,
            "large_seconds": 1.0,
            "job_seconds": 1.0,
            "freed_seconds": 0.0,
            "max_batches": 100,
            "batch_tokens": None,
            "batch_expiry_seconds": 48 * 3600,
            "cancel_seconds": 0.0,
            "delete_stops_batch": True,
            "store_bytes": None,
            "ranges": False,
            "redirect_downloads": False,
            "forbidden_buckets": (),
        }

    @pytest.mark.parametrize(
        ("flags", "variable", "text", "name", "value"),
        [
            (["--host", "::1"], "HOST", "::1", "host", "::1"),
            (["--port", "0"], "PORT", "0", "port", 0),
            (["--allow-remote"], "ALLOW_REMOTE", "true", "allow_remote", True),
            (["--api-key", "a", "--api-key", "b"], "API_KEY", "a, b", "api_keys", ("a", "b")),
            (["--quota-bytes", "5"], "QUOTA_BYTES", "5", "quota_bytes", 5),
            (["--granularity", "256"], "GRANULARITY", "256", "granularity", 256),
            (["--no-keep-partial"], "KEEP_PARTIAL", "off", "keep_partial", False),
            (["--video-seconds", "0.5"], "VIDEO_SECONDS", "0.5", "video_seconds", 0.5),
            (["--large-seconds", "3"], "LARGE_SECONDS", "3", "large_seconds", 3.0),
            (["--job-seconds", "4"], "JOB_SECONDS", "4", "job_seconds", 4.0),
            (["--max-batches", "3"], "MAX_BATCHES", "3", "max_batches", 3),
            (["--batch-tokens", "500"], "BATCH_TOKENS", "500", "batch_tokens", 500),
            (["--batch-expiry-seconds", "9"], "BATCH_EXPIRY_SECONDS", "9", "batch_expiry_seconds", 9.0),
            (["--store-bytes", "7"], "STORE_BYTES", "7", "store_bytes", 7),
            (["--cancel-seconds", "5"], "CANCEL_SECONDS", "5", "cancel_seconds", 5.0),
            (["--no-delete-stops-batch"], "DELETE_STOPS_BATCH", "off", "delete_stops_batch", False),
            (["--ranges"], "RANGES", "on", "ranges", True),
            (["--redirect-downloads"], "REDIRECT_DOWNLOADS", "on", "redirect_downloads", True),
            (["--forbidden-buckets", "a,b"], "FORBIDDEN_BUCKETS", "a, b", "forbidden_buckets", ("a", "b")),
        ],
    )
    def test_flag_and_variable_set_the_same_option(self, flags, variable, text, name, value):
        assert read_options(flags, {})[name] == value
        assert read_options([], {f"GEMINI_EMULATOR_{variable}": text})[name] == value

    def test_flag_wins_over_variable(self):
        assert read_options(["--port", "1"], {"GEMINI_EMULATOR_PORT": "2"})["port"] == 1

    @pytest.mark.parametrize(("name", "text"), [("PORT", "many"), ("KEEP_PARTIAL", "perhaps")])
    def test_error_names_the_invalid_variable(self, capsys, name, text):
        with pytest.raises(SystemExit):
            read_options([], {f"GEMINI_EMULATOR_{name}": text})
        assert f"GEMINI_EMULATOR_{name}" in capsys.readouterr().err


class TestCommand:
    def test_serves_until_interrupted(self):
        environment = os.environ | {"GEMINI_EMULATOR_API_KEY": "right"}
        with subprocess.Popen([*COMMAND, "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True) as process:
            try:
                url = process.stderr.readline().split(" on ")[1].split()[0]
                assert Api(url, key="right").file()["state"] == "ACTIVE"
                assert Api(url, key="wrong").get("files").status_code == 400
            finally:
                process.send_signal(signal.SIGINT)
            assert process.wait(10) in (0, -signal.SIGINT)

    def test_refuses_an_address_that_others_can_reach(self):
        done = subprocess.run([*COMMAND, "--host", "0.0.0.0"], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode != 0
        assert "can be reached by others" in done.stderr


class TestLibrary:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.com", "192.0.2.1"])
    def test_refuses_addresses_other_than_loopback(self, host):
        with pytest.raises(ValueError, match="can be reached by others"):
            GeminiEmulator(host=host)

    def test_allow_remote_listens_on_all_addresses(self):
        with GeminiEmulator(host="0.0.0.0", allow_remote=True) as emulator:
            port = emulator.base_url.rpartition(":")[2]
            assert Api(f"http://127.0.0.1:{port}").get("files").status_code == 200

    @pytest.mark.parametrize(
        "settings",
        [
            {"granularity": 0},
            {"quota_bytes": -1},
            {"video_seconds": -1},
            {"job_seconds": -1},
            {"cancel_seconds": -1},
            {"max_batches": -1},
            {"store_bytes": -1},
            {"batch_tokens": -1},
            {"video_seconds": float("nan")},
            {"port": 65_536},
            {"port": -1},
        ],
    )
    def test_invalid_settings_are_refused(self, settings):
        with pytest.raises(ValueError, match=r"seconds|bytes|batches|port"):
            GeminiEmulator(**settings)

    def test_stops_while_a_request_is_stalled(self):
        with GeminiEmulator() as emulator:
            emulator.faults.add("list", "stall", seconds=60)
            waiting = threading.Thread(target=self._list, args=(emulator.base_url,), daemon=True)
            waiting.start()
            while not emulator.faults.used():
                pass
        waiting.join(10)
        assert not waiting.is_alive()

    @staticmethod
    def _list(url):
        # The server may still respond while it stops.
        with contextlib.suppress(httpx.TransportError):
            Api(url).get("files")

    def test_health_usage_and_reset(self, emulator, api):
        control = http_client(base_url=f"{emulator.base_url}/__emulator")
        assert control.get("/health").json() == {"status": "ok"}
        api.file(b"hello")
        url = api.session(5)
        api.post("fileSearchStores")
        assert control.get("/usage").json() == emulator.usage() == {"files": 1, "bytes": 5}
        assert control.post("/reset").json() == {}
        assert control.get("/usage").json() == {"files": 0, "bytes": 0}
        assert control.get("/journal").json() == {"requests": []}
        assert api.command(url, "query").status_code == 404
        assert api.get("fileSearchStores").json() == {}

    def test_journal_lists_calls_in_order(self, emulator, api):
        name = api.file(b"hello")["name"]
        api.get(name)
        api.get("files/none")
        calls = [(entry["call"], entry["method"], entry["status"]) for entry in emulator.journal]
        assert calls == [("start", "POST", 200), ("finalize", "POST", 200), ("get", "GET", 200), ("get", "GET", 403)]
        assert emulator.journal[1]["command"] == "upload, finalize"
        assert emulator.journal == api.http.get("/__emulator/journal").json()["requests"]

    def test_seed_creates_all_resources_or_none(self, emulator, api):
        wanted = [
            {"name": "files/film", "mime_type": "video/mp4", "content": "aGk=", "generated": True},
            "files/plain",
            {"name": "files/old", "display_name": "old", "size": 5000, "age": 3600, "failed": True},
            "fileSearchStores/s/documents/d",
            "cachedContents/c",
            {"name": "batches/b", "from_file": True},
        ]
        body = {"api_key": "k", "resources": wanted}
        assert api.http.post("/__emulator/seed", json=body).status_code == 200
        assert api.http.get("/v1beta/files/film:download?alt=media").content == b"hi"
        for name in ("files/plain", "fileSearchStores/s/documents/d", "cachedContents/c", "batches/b"):
            assert api.get(name).json()["name"] == name
        assert api.get("files/batch-b").json()["source"] == "GENERATED"
        old = api.get("files/old").json()
        assert (old["displayName"], old["sizeBytes"], old["state"], old["error"]["code"]) == (
            "old",
            "5000",
            "FAILED",
            3,
        )
        assert old["createTime"] < api.get("files/plain").json()["createTime"]
        for bad in ({"name": "models/m"}, {"name": "files/x", "what": 1}, "files/"):
            body = {"api_key": "k", "resources": ["files/other", bad]}
            assert api.http.post("/__emulator/seed", json=body).status_code == 400
        assert api.get("files/other").status_code == 403


def test_imports_neither_the_provider_nor_airflow():
    """The emulator must not inherit mistakes of the provider."""
    script = (
        "import sys, airflow_provider_gemini_files.emulator.__main__\n"
        "name = 'airflow_provider_gemini_files'\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('airflow', 'google') or m.startswith(name + '.')\n"
        "       and not m.startswith(name + '.emulator')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
