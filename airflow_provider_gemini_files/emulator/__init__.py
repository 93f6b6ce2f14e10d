"""
A local Gemini Files API, for demos and tests without a key and without the internet.

As a library::

    with GeminiEmulator() as emulator:
        client = genai.Client(api_key="any", http_options={"base_url": emulator.base_url})

As a command: ``python -m airflow_provider_gemini_files.emulator --port 8085``.
It imports nothing of the provider and is not imported by it, so neither can inherit the other's mistakes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_gemini_files.emulator.server import GeminiEmulator

__all__ = ["GeminiEmulator"]


def __getattr__(name: str) -> Any:
    # Lazy, so that the pytest plugin costs nothing in tests without an emulator.
    if name == "GeminiEmulator":
        from airflow_provider_gemini_files.emulator.server import GeminiEmulator

        return GeminiEmulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
