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
    Yield a running, empty emulator; it is gone when the test ends.

    A fault that the test added and that did not happen fails the test.
    """
    from airflow_provider_gemini_files.emulator import GeminiEmulator

    with GeminiEmulator() as emulator:
        yield emulator
        if unused := emulator.faults.unused():
            pytest.fail(f"faults that did not happen: {unused}", pytrace=False)
