"""What the tests share that is no fixture."""

from __future__ import annotations

from pathlib import Path

API_KEY = "test-key-that-nobody-may-see"
EXAMPLE_DAGS = Path(__file__).parent.parent / "example_dags"
