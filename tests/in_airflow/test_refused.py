"""A retry that begins when the service asks for it."""

from __future__ import annotations

import pytest
from local_airflow import LocalAirflow

from airflow_provider_gemini_files.emulator import GeminiEmulator

pytestmark = pytest.mark.airflow

ATTEMPTS_OF_A_CALL = 5


def test_next_attempt_begins_when_the_service_asks_for_it(airflow: LocalAirflow, service: GeminiEmulator):
    if airflow.version < (3, 3):
        pytest.skip("Airflow knows retry policies from 3.3 on")
    service.faults.add("generate", "rate_limit", seconds=1, times=ATTEMPTS_OF_A_CALL)

    run_id = airflow.trigger("refused")

    assert airflow.wait("refused", run_id, seconds=120) == "success"
    assert [task["try_number"] for task in airflow.tasks("refused", run_id)] == [2]
    assert service.faults.unused() == []
