"""The pytest fixture ``gemini_emulator``, for the tests of anyone who installs the provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_gemini_files.emulator import GeminiEmulator


@pytest.fixture
def gemini_emulator() -> Iterator[GeminiEmulator]:
    """
    Yield a running, empty emulator for one test.

    The test fails if a fault that it added did not happen.
    """
    from airflow_provider_gemini_files.emulator import GeminiEmulator

    with GeminiEmulator() as emulator:
        yield emulator
        if unused := emulator.faults.unused():
            pytest.fail(f"faults that did not happen: {unused}", pytrace=False)
