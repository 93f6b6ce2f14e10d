"""The driver of an upload session against the emulator, where its fake clock would hide real time."""

from __future__ import annotations

import time

import pytest
from support import API_KEY, FakeClock

from airflow_provider_gemini_files.exceptions import GeminiServiceError
from airflow_provider_gemini_files.transfer import uploader
from airflow_provider_gemini_files.transfer.session import UploadSession
from airflow_provider_gemini_files.transfer.source import bytes_source
from airflow_provider_gemini_files.transfer.uploader import Uploaded

#: Seconds; the emulator's drops come much faster, so that the client's own timeout never passes.
TIMEOUT = 0.3
SOURCE = bytes_source(b"0123456789", "a.txt")


def send(emulator, max_failures: int) -> Uploaded:
    session = UploadSession(
        start_url=f"{emulator.base_url}/upload/v1beta/files",
        api_key=API_KEY,
        metadata={"displayName": "a.txt"},
        mime_type="text/plain",
        size=SOURCE.size,
        max_failures=max_failures,
        clock=FakeClock(),
    )
    ignore = {"on_url": lambda _: None, "on_progress": lambda _: None, "on_failure": lambda *_: None}
    with uploader.new_client(TIMEOUT, 1) as client:
        return uploader.send(client, session, SOURCE, **ignore)


def test_response_that_arrives_byte_by_byte_fails_after_the_timeout(emulator):
    # The File resource takes more than ten seconds then, in the response to the last byte and to the query.
    emulator.faults.add("finalize", "drip", seconds=0.05)
    emulator.faults.add("query", "drip", seconds=0.05)
    began = time.monotonic()

    with pytest.raises(GeminiServiceError, match=r"the response did not end within 0\.3 s"):
        send(emulator, max_failures=1)

    assert time.monotonic() - began < 5


def test_upload_recovers_from_a_response_that_arrives_byte_by_byte(emulator):
    emulator.faults.add("finalize", "drip", seconds=0.05)

    uploaded = send(emulator, max_failures=3)

    # The file existed already; asking the session was enough.
    assert uploaded.resource["sizeBytes"] == "10"
    assert [entry["call"] for entry in emulator.journal] == ["start", "finalize", "query"]
