from __future__ import annotations

import pytest

from airflow_provider_gemini_files.exceptions import GeminiServiceError
from airflow_provider_gemini_files.transfer import progress

MIB = 1024**2


@pytest.fixture
def clock(mocker):
    return mocker.patch.object(progress.time, "monotonic", autospec=True, return_value=0.0)


def lines_of(clock, moves: list[tuple[float, int]]) -> list[str]:
    lines: list[str] = []
    upload = progress.Progress(lambda text, *values: lines.append(text % values), "a.mp4", 100 * MIB)
    for now, count in moves:
        clock.return_value = now
        upload.moved(count)
    return lines


def test_slow_upload_logs_every_few_seconds(clock):
    assert lines_of(clock, [(1.0, MIB), (5.0, MIB), (9.0, MIB), (10.0, MIB)]) == [
        "a.mp4: 2.0 MiB of 100.0 MiB (2 %, 409.6 KiB/s)",
        "a.mp4: 4.0 MiB of 100.0 MiB (4 %, 409.6 KiB/s)",
    ]


def test_fast_upload_logs_every_five_percent_but_at_most_once_a_second(clock):
    assert lines_of(clock, [(0.5, 20 * MIB), (1.0, 4 * MIB), (1.5, 4 * MIB), (1.9, 60 * MIB)]) == [
        "a.mp4: 24.0 MiB of 100.0 MiB (24 %, 24.0 MiB/s)",
    ]


def test_interruption_is_logged_at_once_and_counted(clock):
    lines: list[str] = []
    upload = progress.Progress(lambda text, *values: lines.append(text % values), "2 files", 100 * MIB)

    upload.interrupted(GeminiServiceError("Cannot upload 'b.mp4': no reason given (HTTP 503)."), 0.75)
    clock.return_value = 5.0
    upload.moved(50 * MIB)

    assert lines == [
        "Cannot upload 'b.mp4': no reason given (HTTP 503). [GF203] The upload resumes in 0.8 s.",
        "2 files: 50.0 MiB of 100.0 MiB (50 %, 10.0 MiB/s, interruptions: 1)",
    ]
