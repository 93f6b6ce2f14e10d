from __future__ import annotations

from time import tzset

import pytest

from airflow_provider_gemini_files.common.times import epoch_of


@pytest.mark.parametrize(
    ("time", "epoch"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T00:01:00.5Z", 60.5),
        # The service writes up to nine digits.
        ("1970-01-01T01:01:00.000000001+01:00", 60.0),
        ("1970-01-01T00:01:00", 60.0),
        ("1970-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+05:00", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_time_is_read_alike_in_every_time_zone_of_a_worker(time, epoch, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    tzset()
    try:
        assert epoch_of(time) == epoch
    finally:
        monkeypatch.undo()
        tzset()
