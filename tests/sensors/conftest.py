from __future__ import annotations

import pytest
from support import FakeClock


@pytest.fixture(autouse=True)
def clock(emulator, monkeypatch) -> FakeClock:
    """Let the pauses of Airflow's own loop of pokes pass at once, for the emulator, too."""
    clock = FakeClock(emulator)
    monkeypatch.setattr("airflow.sdk.bases.sensor.time", clock)
    return clock
