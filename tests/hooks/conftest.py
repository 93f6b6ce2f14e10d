from __future__ import annotations

import pytest
from support import FakeClock

from airflow_provider_gemini_files.emulator import GeminiEmulator


@pytest.fixture
def clock(emulator: GeminiEmulator) -> FakeClock:
    """Return a clock that passes only when somebody sleeps; the emulator's clock follows it."""
    return FakeClock(emulator)
