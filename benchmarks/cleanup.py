"""
A sweep of 10,000 files at a round trip of 20 ms, side by side with a loop over the SDK that deletes one by one.

``python benchmarks/cleanup.py [FILES]``. The loop is run on a sample before and after the sweep, and counted up. Then a
sweep is killed in the middle, and another must end in the same state.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

# First, as it sets up Airflow's environment.
import upload as uploading

from airflow_provider_gemini_files.files.naming import Owner, display_name_for

ROUND_TRIP_MS = 20
SAMPLE = 150
LIVE_SHARE = 0.1
KILLED = 1_000
ENDED, RUNNING = "ended", "running"


def seed(port: int, count: int) -> None:
    """Replace all files by so many, a tenth of them of a running Dag."""
    import httpx

    live = round(count * LIVE_SHARE)
    resources = [
        {
            "name": f"files/f{number:06}",
            "size": 1_000_000,
            "age": 7200,
            "display_name": display_name_for("clip.mp4", Owner("dag", RUNNING if number < live else ENDED, "upload")),
        }
        for number in range(count)
    ]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        client.post("/__emulator/reset").raise_for_status()
        body = {"api_key": uploading.KEY, "resources": resources}
        client.post("/__emulator/seed", json=body).raise_for_status()


def control(port: int, what: str) -> Any:
    """Ask the emulator."""
    import httpx

    return httpx.get(f"http://127.0.0.1:{port}/__emulator/{what}", timeout=60).json()


def lookup(owners: Any) -> dict[tuple[str, str], Any]:
    """Say what the run's name says, as Airflow would after one question."""
    from airflow_provider_gemini_files.files.policy import RunState

    states = {ENDED: RunState.FINISHED, RUNNING: RunState.RUNNING}
    return {(owner.dag_id, owner.run_id): states[owner.run_id] for owner in owners}


def sweep(port: int) -> Any:
    """Sweep, and return the report."""
    from airflow_provider_gemini_files.files.policy import RetentionPolicy

    return uploading.hook_for(port).sweep(RetentionPolicy(grace=timedelta()), lookup)


def one_by_one(port: int, count: int) -> float:
    """Delete some files as a loop over the SDK does; return the seconds for each."""
    client = uploading.hook_for(port).client
    began = time.perf_counter()
    for _, file in zip(range(count), client.files.list(), strict=False):
        client.files.delete(name=file.name)
    return (time.perf_counter() - began) / count


def megabytes() -> float:
    """Return the most memory this process has used so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(port: int, through: int, count: int) -> None:
    """Print how a sweep compares with the loop."""
    seed(port, 2 * SAMPLE)
    before_loop = one_by_one(through, SAMPLE)
    seed(port, count // 10)
    sweep(through)
    small = megabytes()
    seed(port, count)
    began = time.perf_counter()
    report = sweep(through)
    seconds = time.perf_counter() - began
    large = megabytes()
    calls = [entry["call"] for entry in control(port, "journal")["requests"]]
    left = control(port, "usage")["files"]
    seed(port, 2 * SAMPLE)
    each = (before_loop + one_by_one(through, SAMPLE)) / 2
    alone = each * report.deleted_files
    print(
        f"{count} files, {ROUND_TRIP_MS} ms: {report.deleted_files} deleted, {left} left, {calls.count('list')} list "
        f"calls, {seconds:.1f} s; one by one {alone:.1f} s (counted up from {2 * SAMPLE}); ratio "
        f"{alone / seconds:.1f}; most memory {small:.0f} MB at {count // 10} files, {large:.0f} MB at {count}"
    )


def killed(port: int, through: int) -> None:
    """Kill a sweep in the middle, and let another end it."""
    seed(port, KILLED)
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import cleanup; cleanup.sweep({through})"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 60
        while control(port, "usage")["files"] > KILLED * 0.6 and time.monotonic() < deadline:
            time.sleep(0.02)
        running.kill()
    middle = control(port, "usage")["files"]
    report = sweep(through)
    left = control(port, "usage")["files"]
    print(
        f"killed with {middle} of {KILLED} files left; the next sweep deleted {report.deleted_files}, {left} are left, "
        f"as are without a kill: {left == round(KILLED * LIVE_SHARE)}"
    )


def main() -> None:
    """Print both."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    os.environ.pop("GEMINI_API_KEY", None)
    with uploading.emulator() as port, uploading.line(port, ROUND_TRIP_MS) as line:
        compare(port, line.port, count)
        killed(port, line.port)


if __name__ == "__main__":
    main()
