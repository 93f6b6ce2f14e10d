"""
Measure many deferred waits in Airflow's TriggerRunner: requests, event loop lag, and how late each wait ends.

Run ``python benchmarks/waiting.py [WAITS]``; the default is 1,000. A second part runs 5,000 waits against a service
that is simulated in the same event loop.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 20
INTERVAL = 2.0
SIMULATED = 5_000
KEY = "bench-key"
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="gemini-files-bench-"))
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

import httpx  # noqa: E402
from airflow.executors import workloads  # noqa: E402
from airflow.jobs.triggerer_job_runner import TriggerRunner  # noqa: E402
from airflow.models.trigger import Trigger  # noqa: E402

from airflow_provider_gemini_files.common.waiting import Schedule  # noqa: E402
from airflow_provider_gemini_files.files.reference import GeminiFile  # noqa: E402
from airflow_provider_gemini_files.files.state import FileWait  # noqa: E402
from airflow_provider_gemini_files.hooks.connection import GeminiConnection  # noqa: E402
from airflow_provider_gemini_files.hooks.requests import FILES, Listing  # noqa: E402
from airflow_provider_gemini_files.hooks.service import GeminiService  # noqa: E402
from airflow_provider_gemini_files.triggers import poller  # noqa: E402
from airflow_provider_gemini_files.triggers.files import GeminiFileStateTrigger  # noqa: E402


@contextmanager
def emulator() -> Iterator[httpx.Client]:
    """Run an emulator in its own process; yield a client for it."""
    command = [sys.executable, "-m", "airflow_provider_gemini_files.emulator", "--port", "18201"]
    process = subprocess.Popen([*command, "--video-seconds", "100000"], stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url="http://127.0.0.1:18201", headers={"x-goog-api-key": KEY}, timeout=60) as client:
            for _ in range(200):
                try:
                    client.get("/__emulator/health")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=20)


def upload_videos(client: httpx.Client, count: int) -> list[str]:
    """Create files that are PROCESSING; return their names."""
    names = []
    headers = {"x-goog-upload-protocol": "resumable", "x-goog-upload-header-content-type": "video/mp4"}
    for _ in range(count):
        start = client.post("/upload/v1beta/files", headers=headers | {"x-goog-upload-command": "start"})
        end = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
        names.append(client.post(start.headers["x-goog-upload-url"], headers=end, content=b"v").json()["file"]["name"])
    return names


async def lag(lags: list[float]) -> None:
    """Record how late the event loop resumes a coroutine that sleeps for 10 ms."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.01)
        lags.append(time.perf_counter() - before - 0.01)


async def measured(work: Awaitable[Any]) -> list[float]:
    """Await ``work``; return the event loop's lags meanwhile."""
    lags: list[float] = []
    # A full garbage collection of everything that Airflow imports takes 120 ms, and is not caused by us.
    gc.freeze()
    watching = asyncio.create_task(lag(lags))
    await work
    watching.cancel()
    return lags


def report(title: str, waits: int, requests: float, lags: list[float], late: list[float]) -> None:
    """Print one row."""
    p99 = statistics.quantiles(lags, n=100)[98]
    print(
        f"{title:34} {waits:6} waits  {requests:6.1f} requests per interval (one by one: {waits}, "
        f"ratio {requests / waits:.4f})  loop lag p99 {p99 * 1000:5.1f} ms, max {max(lags) * 1000:5.1f} ms  "
        f"resumed {statistics.median(late):.2f} s after ACTIVE (median), {max(late):.2f} s (max)"
    )


def in_trigger_runner(waits: int) -> None:
    """Run triggers in Airflow's TriggerRunner against the emulator."""
    with emulator() as client:
        fields = {"conn_type": "gemini", "password": KEY, "host": str(client.base_url)}
        os.environ["AIRFLOW_CONN_GEMINI_DEFAULT"] = json.dumps(fields)
        names = upload_videos(client, waits)
        before = len(client.get("/__emulator/journal").json()["requests"])
        late: list[float] = []
        lags = asyncio.run(measured(_run_triggers(client, names, late)))
        calls = len(client.get("/__emulator/journal").json()["requests"]) - before
    intervals = SECONDS / INTERVAL + 1
    report("Airflow's TriggerRunner", waits, calls / intervals, lags, late)


async def _run_triggers(client: httpx.Client, names: list[str], late: list[float]) -> None:
    logging.disable(logging.CRITICAL)
    runner = TriggerRunner()
    now = time.time()
    for number, name in enumerate(names):
        path, arguments = GeminiFileStateTrigger(
            gemini_conn_id="gemini_default",
            file_names=[name],
            began=now,
            deadline=now + 300,
            poll_interval=INTERVAL,
            max_poll_interval=INTERVAL,
        ).serialize()
        encrypted = Trigger.encrypt_kwargs(arguments)
        runner.to_create.append(workloads.RunTrigger(id=number, ti=None, classpath=path, encrypted_kwargs=encrypted))
    await runner.create_triggers()
    await asyncio.sleep(SECONDS)
    await asyncio.to_thread(client.post, "/__emulator/clock", json={"advance": 100_000})
    active = time.time()
    resumed = 0
    while resumed < len(names) and time.time() < active + 60:
        await asyncio.sleep(0.01)
        late += [time.time() - active] * (len(runner.events) - resumed)
        resumed = len(runner.events)


class SimulatedClient:
    """
    A service that takes 20 ms for a request, and whose files become ACTIVE at the same time.

    :param active: when the files become ACTIVE, in seconds since the epoch.
    """

    def __init__(self, names: list[str], active: float) -> None:
        self.connection = GeminiConnection(conn_id="simulated", api_key="simulated")
        self.requests = 0
        self._names = names
        self._active = active

    async def get(self, resource: Any, name: str) -> GeminiFile:
        """Return a file."""
        await self._respond()
        return GeminiFile(name, state=self._state())

    async def read_page(self, listing: Listing[GeminiFile]) -> list[GeminiFile]:
        """Return the wanted files of the next 100."""
        request = listing.next_request()
        await self._respond()
        start = int(request.query.get("pageToken", 0)) if request else 0
        end = start + 100
        state = self._state()
        resources = [{"name": name, "state": state} for name in self._names[start:end]]
        return listing.read({"files": resources, "nextPageToken": str(end) if end < len(self._names) else ""})

    async def _respond(self) -> None:
        self.requests += 1
        await asyncio.sleep(0.02)

    def _state(self) -> str:
        return "ACTIVE" if time.time() >= self._active else "PROCESSING"


class SimulatedService(GeminiService):
    """A connection to the simulated service."""

    simulated: SimulatedClient

    async def connect_async(self) -> Any:
        """Return the simulated client."""
        return self.simulated


def simulated(waits: int) -> None:
    """Run waits against a simulated service."""
    poller.GeminiService = SimulatedService  # type: ignore[misc]
    began = time.time()
    names = [f"files/f{number}" for number in range(waits)]
    client = SimulatedService.simulated = SimulatedClient(names, began + SECONDS)
    late: list[float] = []

    async def one(name: str) -> None:
        schedule = Schedule(began, poll_interval=INTERVAL, max_poll_interval=INTERVAL)
        await poller.wait_until_ready(FILES, "simulated", FileWait([name], schedule))
        late.append(time.time() - began - SECONDS)

    async def all_waits() -> None:
        await asyncio.gather(*(one(name) for name in names))

    lags = asyncio.run(measured(all_waits()))
    report("a simulated service", waits, client.requests / (SECONDS / INTERVAL + 1), lags, late)


def main() -> None:
    """Run both measurements."""
    waits = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    in_trigger_runner(waits)
    simulated(SIMULATED)


if __name__ == "__main__":
    main()
