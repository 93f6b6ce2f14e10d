"""One emulator for the tests of a module; it is reset for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from emulator.api import Api

from airflow_provider_gemini_files.emulator import GeminiEmulator

GRANULARITY = 1024


@pytest.fixture(scope="module")
def shared_emulator() -> Iterator[GeminiEmulator]:
    with GeminiEmulator(granularity=GRANULARITY, video_seconds=60, job_seconds=60) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared_emulator: GeminiEmulator) -> Iterator[GeminiEmulator]:
    """Yield an empty emulator; an unused fault fails the test."""
    shared_emulator.reset()
    yield shared_emulator
    assert shared_emulator.faults.unused() == []


@pytest.fixture
def api(emulator: GeminiEmulator) -> Iterator[Api]:
    api = Api(emulator.base_url)
    with api.http:
        yield api
