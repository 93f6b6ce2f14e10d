from __future__ import annotations

from airflow_provider_gemini_files.transfer import progress


def test_it_speaks_every_few_seconds_with_bytes_percent_and_rate(mocker):
    clock = mocker.patch.object(progress.time, "monotonic", autospec=True, return_value=0.0)
    lines: list[str] = []
    said = progress.Progress(lambda text, *values: lines.append(text % values), "a.mp4", 4 * 1024**2)

    for now, sent in ((1, 1), (5, 1024**2), (6, 1024**2), (10, 2 * 1024**2)):
        clock.return_value = float(now)
        said.at(sent)

    assert lines == [
        "a.mp4: 1.0 MiB of 4.0 MiB sent (25 %, 204.8 KiB/s)",
        "a.mp4: 2.0 MiB of 4.0 MiB sent (50 %, 204.8 KiB/s)",
    ]
