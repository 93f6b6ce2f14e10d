from __future__ import annotations

import pytest

from airflow_provider_gemini_files.common.times import epoch_of


@pytest.mark.parametrize(
    ("time", "epoch"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T00:01:00.5Z", 60.5),
        # The service writes up to nine digits.
        ("1970-01-01T01:00:00.000000001+01:00", 0.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_time_is_read_in_seconds_since_the_epoch(time, epoch):
    assert epoch_of(time) == epoch
