from __future__ import annotations

import pytest

from airflow_provider_gemini_files.common.units import human_bytes


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**2, "5.0 MiB"), (20 * 1024**3, "20.0 GiB")],
)
def test_sizes_as_people_read_them(count, text):
    assert human_bytes(count) == text
