"""Many deferred waits."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
from cluster.deployment import TRIGGERERS, Cluster
from scenario import API_KEY, PATIENCE, Services, all_in_one, triggers
from support import until

from airflow_provider_gemini_files.emulator import GeminiEmulator

WAITS = 300
PAGES = 3
SECONDS = 30


def test_many_waits(cluster: Cluster, services: Services, figures: Callable[[str], None]):
    """300 deferred waits in both triggerers, compared with one triggerer:"""
    service = services.start("gemini_waits", video_seconds=100_000)
    upload_videos(service)
    run_id = cluster.trigger("waits")
    until(lambda: sum(triggers(cluster).values()) == WAITS, PATIENCE)
    shares = sorted(triggers(cluster).values())

    both = lists_within(service, SECONDS)
    cluster.supervisor.kill(TRIGGERERS[1])
    until(lambda: all_in_one(cluster, WAITS), PATIENCE)
    time.sleep(10)
    one = lists_within(service, SECONDS)

    gets = sum(entry["call"] == "get" for entry in service.journal)
    figures(
        f"waits by triggerer {shares}: {both} list requests in {SECONDS} s, {both / one:.1f} times the {one} of one "
        f"triggerer; {gets} requests for single files"
    )
    # A round more or less falls into the time.
    assert 0 < one <= both + PAGES
    assert both <= 2 * (one + PAGES)
    cluster.api("PATCH", f"/dags/waits/dagRuns/{run_id}", json={"state": "success"})


def upload_videos(service: GeminiEmulator) -> None:
    """Upload a file for each wait without the provider."""
    start = {
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-type": "video/mp4",
    }
    finish = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
    with httpx.Client(base_url=service.base_url, headers={"x-goog-api-key": API_KEY}, timeout=60) as client:
        for number in range(WAITS):
            named = {"file": {"name": f"files/wait{number}"}}
            url = client.post("/upload/v1beta/files", json=named, headers=start).headers["x-goog-upload-url"]
            client.post(url, content=b"video", headers=finish).raise_for_status()


def lists_within(service: GeminiEmulator, seconds: float) -> int:
    before = sum(entry["call"] == "list" for entry in service.journal)
    time.sleep(seconds)
    return sum(entry["call"] == "list" for entry in service.journal) - before
