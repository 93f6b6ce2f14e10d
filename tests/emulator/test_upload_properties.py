"""The stored hash is right after any sequence of breaks, errors and retries."""

from __future__ import annotations

import base64
import hashlib
import random
import socket
import struct
import time
from urllib.parse import urlsplit

import httpx
import pytest
from emulator.api import Api
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from airflow_provider_gemini_files.emulator import GeminiEmulator

GRANULARITY = 256
CHUNKS = st.integers(1, 6).map(lambda n: n * GRANULARITY)
BYTES = st.integers(0, 2000)


class Uploads(RuleBasedStateMachine):
    """A client that is interrupted at random, queries the received size, and continues."""

    emulator: GeminiEmulator

    def __init__(self) -> None:
        super().__init__()
        self.emulator.reset()
        self.api = Api(self.emulator.base_url)

    @initialize(size=st.integers(0, 8 * GRANULARITY), declared=st.booleans())
    def first(self, size: int, declared: bool) -> None:
        # Hypothesis would draw mostly short contents; this way, all sizes are equally likely and all chunks differ.
        self.begin(random.Random(size).randbytes(size), declared)

    def begin(self, content: bytes, declared: bool) -> None:
        self.content = content
        self.declared = declared
        self.safe = 0
        self.url = self.api.session(len(content) if declared else None)

    def ask(self) -> int:
        response = self.api.command(self.url, "query")
        assert response.headers["x-goog-upload-status"] == "active"
        received = int(response.headers["x-goog-upload-size-received"])
        # Received bytes are never lost, and they grow by whole chunks only.
        assert self.safe <= received <= len(self.content)
        assert received % GRANULARITY == 0 or received == len(self.content)
        self.safe = received
        return received

    def send(self, command: str, length: int, verb: str = "POST") -> httpx.Response:
        at = self.ask()
        return self.api.command(self.url, command, self.content[at : at + length], at, verb)

    def left(self) -> int:
        return len(self.content) - self.ask()

    @rule(length=CHUNKS, verb=st.sampled_from(["POST", "PUT"]))
    def chunk(self, length: int, verb: str) -> None:
        if length <= self.left():
            assert self.send("upload", length, verb).headers["x-goog-upload-status"] == "active"

    @rule(length=BYTES)
    def chunk_of_any_length(self, length: int) -> None:
        length = min(length, self.left())
        expected = 200 if (self.safe + length) % GRANULARITY == 0 else 400
        assert self.send("upload", length).status_code == expected

    @rule(sent=BYTES, last=st.booleans(), rude=st.booleans())
    def broken_connection(self, sent: int, last: bool, rude: bool) -> None:
        at = self.ask()
        parts, length = urlsplit(self.url), len(self.content) - at
        if not length:
            return
        head = (
            f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {length}\r\n"
            f"X-Goog-Upload-Command: {'upload, finalize' if last else 'upload'}\r\nX-Goog-Upload-Offset: {at}\r\n\r\n"
        )
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
            connection.sendall(head.encode() + self.content[at : at + min(sent, length - 1)])
            if rude:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Wait until the server has noticed, so that the next steps are deterministic.
        while self.emulator.journal[-1]["call"] == "query" or self.emulator.journal[-1]["status"] is None:
            time.sleep(0.001)

    @precondition(lambda self: len(self.content) > 0)
    @rule(after=BYTES)
    def reset_by_the_server(self, after: int) -> None:
        self.emulator.faults.add("upload", "reset", after_bytes=after)
        with pytest.raises(httpx.TransportError):
            self.send("upload, finalize", len(self.content))

    @rule(length=CHUNKS)
    def lost_response(self, length: int) -> None:
        if length <= self.left():
            self.emulator.faults.add("upload", "lose_answer")
            with pytest.raises(httpx.TransportError):
                self.send("upload", length)

    @rule(after=BYTES, action=st.sampled_from(["overloaded", "outage", "rate_limit"]))
    def server_error(self, after: int, action: str) -> None:
        self.emulator.faults.add("upload", action, after_bytes=after)
        assert self.send("upload, finalize", len(self.content)).status_code in (429, 503)

    @rule(by=st.integers(-300, 300).filter(lambda by: by % GRANULARITY))
    def wrong_offset(self, by: int) -> None:
        at = self.ask()
        response = self.api.command(self.url, "upload, finalize", self.content[at:], at + by)
        assert response.status_code == 400

    @rule()
    def cancelled_and_started_again(self) -> None:
        assert self.api.command(self.url, "cancel").headers["x-goog-upload-status"] == "cancelled"
        assert self.api.command(self.url, "query").status_code == 410
        self.begin(self.content, self.declared)

    @rule(bare=st.booleans(), lost=st.booleans())
    def finished(self, bare: bool, lost: bool) -> None:
        if bare and self.left() % GRANULARITY == 0:
            assert self.send("upload", self.left()).status_code == 200
        command = "finalize" if bare and self.left() == 0 else "upload, finalize"
        if lost:
            self.emulator.faults.add("finalize", "lose_answer")
            with pytest.raises(httpx.TransportError):
                self.send(command, len(self.content))
        else:
            assert self.send(command, len(self.content)).headers["x-goog-upload-status"] == "final"
        response = self.api.command(self.url, "query")
        assert response.headers["x-goog-upload-status"] == "final"
        file = response.json()["file"]
        assert file["sizeBytes"] == str(len(self.content))
        assert base64.b64decode(file["sha256Hash"]).decode() == hashlib.sha256(self.content).hexdigest()
        assert self.api.get(file["name"]).json() == file
        assert self.emulator.faults.unused() == []
        self.begin(self.content[::-1], self.declared)

    def teardown(self) -> None:
        if hasattr(self, "url"):
            self.finished(bare=False, lost=False)
        self.api.http.close()


@pytest.mark.parametrize("keep_partial", [True, False])
def test_stored_hash_matches_the_sent_bytes(keep_partial):
    with GeminiEmulator(granularity=GRANULARITY, keep_partial=keep_partial) as emulator:
        machine = type("Uploads", (Uploads,), {"emulator": emulator})
        bounds = settings(
            max_examples=40,
            stateful_step_count=12,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(machine, settings=bounds)
