"""What the tests share besides fixtures."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pendulum
import psutil

from airflow_provider_gemini_files.common.clock import Clock
from airflow_provider_gemini_files.emulator import GeminiEmulator

if TYPE_CHECKING:
    from airflow_provider_gemini_files.batches.job import BatchJob
    from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

T = TypeVar("T")
API_KEY = "test-key-that-nobody-may-see"
EXAMPLE_DAGS = Path(__file__).parent.parent / "example_dags"
LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"


class FakeClock(Clock):
    """
    A clock that passes only when somebody sleeps, and then at once; sleeps of an event loop end in their order.

    :param emulator: its clock is moved along, and gives the time to begin with.
    :param now: seconds since the epoch to begin with, if there is no emulator.
    """

    def __init__(self, emulator: GeminiEmulator | None = None, now: float = 1_800_000_000.0) -> None:
        self._emulator = emulator
        self._began = self._time = emulator.clock.now() if emulator else now
        self._lock = threading.RLock()
        self._sleepers: dict[object, float] = {}
        self._actions: list[tuple[float, Callable[[], object]]] = []
        #: The seconds of each sleep, in the order in which they began.
        self.slept: list[float] = []

    @property
    def passed(self) -> float:
        """Return the seconds since the clock was created."""
        return self._time - self._began

    def now(self) -> float:
        return self._time

    def monotonic(self) -> float:
        return self._time

    def uniform(self, low: float, high: float) -> float:
        return high

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    async def sleep_async(self, seconds: float) -> None:
        self.slept.append(seconds)
        sleeper = object()
        self._sleepers[sleeper] = self._time + seconds
        try:
            await asyncio.sleep(0)
            while min(self._sleepers, key=self._sleepers.__getitem__) is not sleeper:
                await asyncio.sleep(0)
            self.advance(self._sleepers[sleeper] - self._time)
        finally:
            del self._sleepers[sleeper]

    def advance(self, seconds: float) -> None:
        """Let some seconds pass, and the actions of that time happen."""
        with self._lock:
            until = self._time + max(seconds, 0)
            while due := [one for one in self._actions if one[0] <= until]:
                first = min(due, key=lambda one: one[0])
                self._actions.remove(first)
                self._move_to(first[0])
                first[1]()
            self._move_to(until)

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Call a function once some seconds have passed."""
        self._actions.append((self._time + seconds, action))

    def _move_to(self, moment: float) -> None:
        if moment > self._time:
            if self._emulator:
                self._emulator.clock.advance(moment - self._time)
            self._time = moment


class Variables:
    """The Airflow Variables of a test."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.error: Exception | None = None
        #: How often one was written.
        self.writes = 0

    def get(self, key: str, default: str | None = None) -> str | None:
        if self.error:
            raise self.error
        return self.kept.get(key, default)

    def set(self, key: str, value: str, description: str | None = None) -> None:
        self.writes += 1
        self.kept[key] = value


def upload_videos(base_url: str, count: int) -> list[str]:
    """Upload small files of type video/mp4 without the provider; return their names."""
    headers = {
        "x-goog-api-key": API_KEY,
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-header-content-type": "video/mp4",
    }
    names = []
    with httpx.Client(base_url=base_url, headers=headers) as client:
        for number in range(count):
            start = client.post("/upload/v1beta/files", headers={"x-goog-upload-command": "start"})
            done = client.post(
                start.headers["x-goog-upload-url"],
                headers={"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"},
                content=b"video %d" % number,
            )
            names.append(done.json()["file"]["name"])
    return names


def create_files(base_url: str, count: int) -> None:
    """Create files of metadata only, to fill a list."""
    with httpx.Client(base_url=base_url, headers={"x-goog-api-key": API_KEY}) as client:
        for _ in range(count):
            client.post("/v1beta/files", json={"file": {}}).raise_for_status()


def submit_job(hook: GeminiFilesHook, display_name: str = "films", keys: Iterable[str] = "ab") -> BatchJob:
    """Submit a batch job with a prompt for each key."""
    lines = [{"key": key, "request": {"contents": [{"parts": [{"text": f"what is {key}?"}]}]}} for key in keys]
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    requests = hook.upload_bytes(data, "requests.jsonl", mime_type="application/jsonl")
    return hook.batches.submit("gemini-2.5-flash", display_name, requests.name)


def until(condition: Callable[[], T], seconds: float = 120) -> T:
    """Wait for something to become true; return it."""
    deadline = time.monotonic() + seconds
    while not (reached := condition()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.5)
    return reached


def seed(base_url: str, *files: dict[str, object]) -> None:
    """Create files under names of the test's choice; see the emulator's ``Seed`` for their other fields."""
    body = {"api_key": API_KEY, "resources": list(files)}
    httpx.post(f"{base_url}/__emulator/seed", json=body, timeout=60).raise_for_status()


def add_runs(*states: str) -> str:
    """Add a run for each state, named like the state, to Airflow's database; return the id of their Dag."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    dag_id = f"dag-{uuid.uuid4()}"
    with create_session() as session:
        for state in states:
            now = pendulum.now("UTC")
            run = DagRun(dag_id=dag_id, run_id=state, run_type=DagRunType.MANUAL, run_after=now, state=state)
            session.add(run)
    return dag_id


def add_xcom(
    dag_id: str,
    value: Any,
    *,
    key: str = "response",
    task_id: str = "ask",
    at: datetime,
    state: str = "success",
    map_index: int = -1,
) -> None:
    """Add an entry of a new task instance, of the run "success" that :func:`add_runs` adds, to Airflow's database."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import insert, select

    place = {"dag_id": dag_id, "run_id": "success", "task_id": task_id, "map_index": map_index}
    with create_session() as session:
        run = session.scalar(select(DagRun.id).where(DagRun.dag_id == dag_id))
        session.execute(insert(TaskInstance).values(**place, state=state, pool="default_pool", max_tries=0))
        session.execute(insert(XComModel).values(**place, dag_run_id=run, key=key, value=value, timestamp=at))


def counting(runs: dict[str, str]) -> Callable[..., int]:
    """Return a stand-in for a task's ``get_dr_count``, for an Airflow that knows these runs with their states."""

    def count(*, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> int:
        found = [runs[run_id] for run_id in run_ids if run_id in runs]
        return sum(states is None or state in states for state in found)

    return count


def sent_to_models(emulator: GeminiEmulator, call: str = "generate") -> list[dict[str, Any]]:
    """Return the bodies of the requests to models, spelled as the service documents them; the SDK's versions differ."""
    return [_camel_case(entry["body"]) for entry in emulator.journal if entry["call"] == call]


def _camel_case(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    # The keys of a schema are those of its author.
    return {
        re.sub("_([a-z])", lambda found: found[1].upper(), key): item if "chema" in key else _camel_case(item)
        for key, item in value.items()
    }


@cache
def numbered_lines(size: int) -> bytes:
    """Return text of a size, a multiple of 16, in which no two lines are equal."""
    return b"".join(b"%015d\n" % number for number in range(size // 16))


def peak_growth(action: Callable[[], object]) -> int:
    """Return by how many bytes the memory of this process was larger during an action than before it, at most."""
    # Resets the peak that the kernel keeps.
    Path("/proc/self/clear_refs").write_text("5")
    before = psutil.Process().memory_info().rss
    action()
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024 - before


def logged_by(spy: Any) -> list[str]:
    """Return the lines that a spied method of a logger has logged."""
    lines = [call.args for call in spy.call_args_list]
    return [text % values if values else text for text, *rest in lines for values in [tuple(rest)]]
