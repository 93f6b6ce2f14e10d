"""
Compare a cleanup of 10,000 files with an SDK loop that deletes one file at a time, at a round trip of 20 ms.

Run ``python benchmarks/cleanup.py [FILES]``. The loop runs on a sample before and after the cleanup, and its time is
extrapolated. Then a cleanup is killed midway, and the next one must reach the same state.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

# First, because it sets up Airflow's environment.
import upload as uploading

from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.policy import RetentionPolicy, RunState

ROUND_TRIP_MS = 20
SAMPLE = 150
LIVE_SHARE = 0.1
KILLED = 1_000
ENDED, RUNNING = "ended", "running"


def seed(port: int, count: int) -> None:
    """Replace all files with ``count`` new ones, a tenth of which belong to a running Dag."""
    import httpx

    live = round(count * LIVE_SHARE)
    resources = [
        {
            "name": f"files/f{number:06}",
            "size": 1_000_000,
            "age": 7200,
            "display_name": display_name_for("clip.mp4", owner(RUNNING if number < live else ENDED)),
        }
        for number in range(count)
    ]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        client.post("/__emulator/reset").raise_for_status()
        body = {"api_key": uploading.KEY, "resources": resources}
        client.post("/__emulator/seed", json=body).raise_for_status()


def control(port: int, path: str) -> Any:
    """Return the response of one of the emulator's control paths."""
    import httpx

    return httpx.get(f"http://127.0.0.1:{port}/__emulator/{path}", timeout=60).json()


def owner(run_id: str) -> Owner:
    """Return a task of this deployment."""
    return Owner("dag", run_id, "upload", deployment=RunStates.deployment)


class RunStates:
    """Knows the state of each run, as Airflow would."""

    deployment = "bench"

    def __call__(self, owners: Iterable[Owner], /) -> dict[tuple[str, str], RunState]:
        """Return the state of each run, which its id says."""
        states = {ENDED: RunState.FINISHED, RUNNING: RunState.RUNNING}
        return {owner.run: states[owner.run_id] for owner in owners}


def clean_up(port: int) -> Any:
    """Delete the files of all runs that have ended; return the report."""
    policy = RetentionPolicy(max_age_finished=timedelta(), grace=timedelta())
    return uploading.hook_for(port).cleanup(policy, RunStates())


def one_by_one(port: int, count: int) -> float:
    """Delete ``count`` files in a loop over the SDK; return the seconds per file."""
    client = uploading.hook_for(port).client
    began = time.perf_counter()
    for _, file in zip(range(count), client.files.list(), strict=False):
        client.files.delete(name=file.name)
    return (time.perf_counter() - began) / count


def peak_memory() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(port: int, relay_port: int, count: int) -> None:
    """Print how a cleanup compares with the loop."""
    seed(port, 2 * SAMPLE)
    before_loop = one_by_one(relay_port, SAMPLE)
    seed(port, count // 10)
    clean_up(relay_port)
    small = peak_memory()
    seed(port, count)
    began = time.perf_counter()
    report = clean_up(relay_port)
    seconds = time.perf_counter() - began
    large = peak_memory()
    calls = [entry["call"] for entry in control(port, "journal")["requests"]]
    left = control(port, "usage")["files"]
    seed(port, 2 * SAMPLE)
    each = (before_loop + one_by_one(relay_port, SAMPLE)) / 2
    alone = each * report.deleted_files
    print(
        f"{count} files, {ROUND_TRIP_MS} ms: {report.deleted_files} deleted, {left} left, {calls.count('list')} list "
        f"calls, {seconds:.1f} s; one by one {alone:.1f} s (extrapolated from {2 * SAMPLE}); "
        f"ratio {alone / seconds:.1f}; peak memory {small:.0f} MiB at {count // 10} files, {large:.0f} MiB at {count}"
    )


def killed(port: int, relay_port: int) -> None:
    """Kill a cleanup midway, and let the next one finish."""
    seed(port, KILLED)
    folder = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {folder!r}); import cleanup; cleanup.clean_up({relay_port})"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 60
        while control(port, "usage")["files"] > KILLED * 0.6 and time.monotonic() < deadline:
            time.sleep(0.02)
        running.kill()
    middle = control(port, "usage")["files"]
    report = clean_up(relay_port)
    left = control(port, "usage")["files"]
    print(
        f"killed with {middle} of {KILLED} files left; the next cleanup deleted {report.deleted_files} and left "
        f"{left}, as many as without a kill: {left == round(KILLED * LIVE_SHARE)}"
    )


def main() -> None:
    """Run both measurements."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    os.environ.pop("GEMINI_API_KEY", None)
    with uploading.emulator() as port, uploading.relay_to(port, ROUND_TRIP_MS) as relay:
        compare(port, relay.port, count)
        killed(port, relay.port)


if __name__ == "__main__":
    main()
