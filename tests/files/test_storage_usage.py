from __future__ import annotations

import json

from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.storage_usage import StorageUsage


def test_it_adds_up_what_counts():
    usage = StorageUsage.of(
        [
            GeminiFile("files/a", size_bytes=100, state="ACTIVE", expiration_time="2026-01-03T00:00:00Z"),
            GeminiFile("files/b", size_bytes=50, state="FAILED", expiration_time="2026-01-02T00:00:00Z"),
            GeminiFile("files/c", size_bytes=1000, state="ACTIVE", source="REGISTERED"),
            GeminiFile("files/d", state="ACTIVE"),
        ],
        quota_bytes=200,
    )

    assert usage.to_dict() == {
        "used_bytes": 150,
        "quota_bytes": 200,
        "files": 4,
        "by_state": {"ACTIVE": 3, "FAILED": 1},
        "next_expiry": "2026-01-02T00:00:00Z",
        "share": 0.75,
        "free_bytes": 50,
    }
    assert json.loads(json.dumps(usage.to_dict())) == usage.to_dict()
    assert str(usage) == "4 files, 150 B of 200 B (75.0 %), next expiry 2026-01-02T00:00:00Z"


def test_an_empty_store_and_one_over_its_quota():
    assert StorageUsage.of([], 100).share == 0
    over = StorageUsage.of([GeminiFile("files/a", size_bytes=300)], 100)
    assert over.share == 3
    assert over.free_bytes == 0
