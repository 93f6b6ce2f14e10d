"""
Measure how requests, memory and database rows grow with files, connections and mapped tasks; see docs/scale.md.

Run ``python benchmarks/scale.py [PART ...]``, where a part is one of the functions of ``PARTS``. Requests and rows are
exact. Times are CPU of this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import importlib
import io
import json
import os
import resource
import sqlite3
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

# First, because it sets up Airflow's environment.
import upload as uploading

# Airflow logs each XCom that a task looks for and does not find as an error, in dag.test() only.
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "CRITICAL"

KIB, MIB = 1024, 1024**2
FEW, MANY = 1_000, 10_000
#: Files of one run, as of one run with mapped tasks.
FILES_OF_A_RUN = 100
FILES_OF_A_WAIT = 10
CONNECTIONS = 50
#: Names in one request of the page.
OF_A_REQUEST = 50
ROUNDS = 2
#: Sources of two runs; the difference is what one more source costs.
SOURCES = (5, 25)
_IMPORTS = """
from airflow.sdk import dag
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator
"""
#: An upload and a request to a model for each source, and one upload task for all.
_DAGS = {
    "mapped": """
@dag(schedule=None)
def {name}():
    files = GeminiUploadFileOperator.partial(task_id="upload").expand(source={sources})
    GeminiGenerateContentOperator.partial(task_id="ask", prompt="What is it?").expand(files=files.output)
""",
    "in_one_task": """
@dag(schedule=None)
def {name}():
    GeminiUploadFileOperator(task_id="upload", source={sources})
""",
}


def name_of(number: int) -> str:
    """Return the name of a file, as long as those of this package."""
    return f"files/{hashlib.sha256(str(number).encode()).hexdigest()[:40]}"


class Service:
    """The emulator, as these measurements use it."""

    def __init__(self, port: int) -> None:
        import httpx

        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=f"{self.url}/__emulator", timeout=120)

    def seed(self, count: int, key: str = uploading.KEY) -> None:
        """Create files of runs in the project of a key."""
        from airflow_provider_gemini_files.files.naming import Owner, display_name_for

        resources = [
            {
                "name": name_of(number),
                "size": 1_000_000,
                "age": 7200,
                "display_name": display_name_for(
                    "clip.mp4", Owner("dag", f"run_{number // FILES_OF_A_RUN}", "upload", deployment="bench")
                ),
            }
            for number in range(count)
        ]
        self._client.post("/seed", json={"api_key": key, "resources": resources}).raise_for_status()

    def reset(self) -> None:
        """Delete everything."""
        self._client.post("/reset").raise_for_status()

    @contextmanager
    def requests(self) -> Iterator[Counter[str]]:
        """Count the requests of a block by method, once it has ended."""
        # The journal keeps the last 10,000.
        self._client.delete("/journal").raise_for_status()
        counted: Counter[str] = Counter()
        yield counted
        counted.update(entry["call"] for entry in self._client.get("/journal").json()["requests"])

    def connect(self, conn_id: str = "gemini_default", key: str = uploading.KEY) -> None:
        """Make a connection to the project of a key."""
        fields = {"conn_type": "gemini", "host": self.url, "password": key}
        os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(fields)


def hook_of(service: Service, conn_id: str = "gemini_default") -> Any:
    """Return a hook that has made its client."""
    from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

    service.connect(conn_id)
    hook = GeminiFilesHook(conn_id)
    hook.delete_file("files/none")
    return hook


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of CPU that some work takes in this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def kept_memory(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the result of some work, the MiB that are held after it, and those at the peak."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = work()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return result, (after - before) / MIB, (peak - before) / MIB


# --- files ---------------------------------------------------------------------------------------------------------


def listing(service: Service) -> None:
    """List all files, and compare with the SDK at the same size of a page."""
    for count in (FEW, MANY):
        service.reset()
        service.seed(count)
        ways = ways_to_list(hook_of(service))
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        with service.requests() as sent:
            # Alternate, so that other load on the machine affects both alike.
            for _ in range(ROUNDS):
                for name, way in ways.items():
                    seconds[name].append(timed(way))
        held = {name: kept_memory(way)[1] for name, way in ways.items()}
        ratio = min(seconds["ours"]) / min(seconds["SDK"])
        print(
            f"  {count:6} files: {sent['list'] // (2 * ROUNDS)} requests; the list holds {held['ours']:.1f} MiB, the "
            f"SDK's {held['SDK']:.1f} MiB; {ratio:.2f} of the SDK's CPU"
        )


def ways_to_list(hook: Any) -> dict[str, Callable[[], list[Any]]]:
    """Return functions that list all files."""
    return {"ours": hook.list_files, "SDK": lambda: list(hook.client.files.list(config={"page_size": 100}))}


class CountingTaskInstance:
    """Answers for Airflow's API server that each tenth run is running, and counts how often it was asked."""

    asked = 0

    def get_dr_count(self, *, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> int:
        """Return the number of the runs that exist, or that have ended if there are states."""
        del dag_id
        self.asked += 1
        return sum(not (states and run_id.endswith("0")) for run_id in run_ids)


def cleanup(service: Service) -> None:
    """Plan a cleanup of files of which a tenth is in use, and carry it out."""
    for count in (FEW, MANY):
        service.reset()
        service.seed(count)
        hook = hook_of(service)
        for dry_run in (True, False):
            ti = CountingTaskInstance()
            with service.requests() as sent:
                seconds = timed(partial(clean_up, hook, ti, dry_run=dry_run))
            print(
                f"  {count:6} files of {count // FILES_OF_A_RUN} runs, {'planned' if dry_run else 'deleted':7}: "
                f"{sent['list']} list, {sent['list_batches']} list of jobs, {sent['delete']} delete; {ti.asked} "
                f"requests to Airflow; {seconds / count * 1000:.2f} ms of CPU per file"
            )
        service.seed(count)
        _, _, peak = kept_memory(partial(clean_up, hook, CountingTaskInstance(), dry_run=True))
        print(f"  {count:6} files: a plan takes {peak:.1f} MiB at its peak")


def clean_up(hook: Any, ti: CountingTaskInstance, *, dry_run: bool) -> None:
    """Delete the files of all runs that have ended, or only plan it."""
    from airflow_provider_gemini_files.files.policy import RetentionPolicy
    from airflow_provider_gemini_files.runs import task_lookup

    policy = RetentionPolicy(max_age_finished=timedelta(), grace=timedelta())
    hook.cleanup(policy, task_lookup(ti), dry_run=dry_run)


def page(service: Service) -> None:
    """List the files as the page does, for one connection and for many."""
    from airflow_provider_gemini_files.ui import actions
    from airflow_provider_gemini_files.ui.actions import CleanupRequest
    from airflow_provider_gemini_files.ui.batches import JobListing
    from airflow_provider_gemini_files.ui.files import FileListing
    from airflow_provider_gemini_files.ui.listings import ListingCache
    from airflow_provider_gemini_files.ui.overview import summary_of

    for count in (FEW, MANY):
        service.reset()
        service.seed(count)
        hook = hook_of(service)
        with service.requests() as sent:
            read, held, _ = kept_memory(partial(FileListing.read, hook, time.time(), None))
        began = time.process_time()
        parts = responses(read.rows)
        seconds = time.process_time() - began
        print(
            f"  {count:6} files: {sent['list']} requests; a listing holds {held:.1f} MiB; its {len(parts)} responses "
            f"have {sum(map(len, parts)) / KIB:.0f} KiB ({sum(len(gzip.compress(part)) for part in parts) / KIB:.0f} "
            f"compressed), encoded in {seconds * 1000:.0f} ms"
        )
        request = CleanupRequest(
            policy={"max_age_finished": 1, "include_foreign": True},
            names=[file.name for file in read.files[:OF_A_REQUEST]],
        )
        began = time.process_time()
        with service.requests() as sent:
            actions.cleanup("gemini_default", read, request, "bench")
        seconds = time.process_time() - began
        print(
            f"  {count:6} files, cleanup of {OF_A_REQUEST} of them in one request: {sent['delete']} delete, "
            f"{sent['list_batches']} list of jobs, {seconds:.2f} s of CPU"
        )

    service.reset()
    ids = connect_many(service, MANY // CONNECTIONS)
    files, jobs = ListingCache("files", FileListing.read), ListingCache("batch jobs", JobListing.read)

    async def overview() -> None:
        for conn_id in ids:
            summary_of(*await asyncio.gather(files.snapshot(conn_id), jobs.snapshot(conn_id)))

    with service.requests() as sent:
        _, held, _ = kept_memory(lambda: asyncio.run(overview()))
    print(
        f"  {CONNECTIONS} connections of {MANY // CONNECTIONS} files each on the overview: {sent.total()} requests "
        f"({sent['list']} list, {sent['list_batches']} list of jobs); {held:.1f} MiB held"
    )


def responses(rows: Any) -> list[bytes]:
    """Return the parts in which the browser asks for the rows of a listing."""
    parts = [rows.part()]
    while parts[-1].next is not None:
        parts.append(rows.part(parts[-1].next))
    return [part.owners + part.rows for part in parts]


def connect_many(service: Service, files: int) -> list[str]:
    """Make connections, each with a key and a project of its own; return their ids."""
    ids = [f"gemini_{number}" for number in range(CONNECTIONS)]
    for conn_id in ids:
        service.connect(conn_id, key=f"key-of-{conn_id}")
        service.seed(files, key=f"key-of-{conn_id}")
    return ids


# --- waits ---------------------------------------------------------------------------------------------------------


def waits(service: Service) -> None:
    """Wait for files in one event loop, as a triggerer does: one poll over one connection, and over many."""
    from airflow_provider_gemini_files.common.waiting import Schedule

    service.reset()
    service.seed(MANY)
    service.connect()
    # What the first poll imports does not count.
    poll_of(service, ["gemini_default"], 1)
    print(f"  {poll_of(service, ['gemini_default'], MANY)}")
    service.reset()
    ids = connect_many(service, MANY // CONNECTIONS)
    print(f"  {poll_of(service, ids, MANY // CONNECTIONS)}")

    schedule, now, polls = Schedule(began=0.0), 0.0, 0
    while now < 3600:
        now, polls = schedule.next_poll(now), polls + 1
    print(
        f"  a wait of an hour takes {polls} polls, which are {schedule.poll_interval:.0f} to "
        f"{schedule.max_poll_interval:.0f} seconds apart"
    )


def poll_of(service: Service, conn_ids: list[str], files: int) -> str:
    """
    Wait for ACTIVE files, so that one poll ends all waits; return what it took.

    :param files: of each connection; a wait is for ten of them.
    """
    from airflow_provider_gemini_files.common.waiting import Schedule
    from airflow_provider_gemini_files.files.state import FileWait
    from airflow_provider_gemini_files.hooks.requests import FILES
    from airflow_provider_gemini_files.triggers import poller

    names = [name_of(number) for number in range(files)]
    pollers: list[int] = []
    busy: list[float] = []

    async def watch() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            busy.append(time.thread_time() - before)
            pollers.append(len(poller._pollers))
            await asyncio.sleep(0.001)

    async def all_waits() -> None:
        watching = asyncio.create_task(watch())
        await asyncio.gather(
            *(
                poller.wait_until_ready(
                    FILES, conn_id, FileWait(names[at : at + FILES_OF_A_WAIT], Schedule(time.time()))
                )
                for conn_id in conn_ids
                for at in range(0, files, FILES_OF_A_WAIT)
            )
        )
        watching.cancel()

    before = resource.getrusage(resource.RUSAGE_SELF)
    with service.requests() as sent:
        asyncio.run(all_waits())
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (
        f"{len(conn_ids):2} connections, {len(conn_ids) * files // FILES_OF_A_WAIT} waits for "
        f"{len(conn_ids) * files} files: {max(pollers)} pollers, {sent['list']} list and {sent['get']} get requests, "
        f"{cpu:.1f} s of CPU, the event loop blocked for at most {max(busy) * 1000:.0f} ms, "
        f"+{(after.ru_maxrss - before.ru_maxrss) / KIB:.0f} MiB"
    )


# --- the database --------------------------------------------------------------------------------------------------


def database(service: Service) -> None:
    """Run uploads and requests to a model, and count what they leave in Airflow's database."""
    service.reset()
    service.connect()
    folder = Path(os.environ["AIRFLOW_HOME"]) / "dags_of_bench"
    folder.mkdir()
    bundle = {
        "name": "bench",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps([bundle])
    os.environ.pop("AIRFLOW__GEMINI_FILES__DEPLOYMENT", None)
    sys.path.insert(0, str(folder))
    variables = tables()["variable"][0]

    print("  each mapped upload and its request to a model:")
    print_slope(*(left_by(service, folder, "mapped", sources) for sources in SOURCES))
    print("  each further source of one upload task:")
    print_slope(*(left_by(service, folder, "in_one_task", sources) for sources in SOURCES))
    print(f"  Variables, however many tasks there are: {tables()['variable'][0] - variables}")
    print(f"  a deferred task: 1 row in trigger, of {trigger_bytes(1)} bytes for 1 file, {trigger_bytes(100)} for 100")


def left_by(service: Service, folder: Path, kind: str, sources: int) -> dict[str, tuple[float, float]]:
    """Run a Dag, and return the rows and bytes that it has left in each table, and the requests to the service."""
    before = tables()
    with service.requests() as sent:
        run_dag(folder, kind, sources)
    left = {name: minus(size, before.get(name, (0, 0))) for name, size in tables().items()}
    return left | {f"{name} requests": (count, 0) for name, count in sent.items()}


def print_slope(few: dict[str, tuple[float, float]], many: dict[str, tuple[float, float]]) -> None:
    """Print by how much more sources leave more."""
    more = SOURCES[1] - SOURCES[0]
    slopes = {name: minus(size, few[name]) for name, size in many.items()}
    each = {name: (rows / more, size / more) for name, (rows, size) in slopes.items()}
    sent = {name: count for name, (count, _) in each.items() if name.endswith("requests")}
    # The sources stand in the Dags of this benchmark, and so in the tables of Dags, with less than 100 bytes each.
    left = {name: size for name, size in each.items() if name not in sent and (size[0] > 0.5 or size[1] >= 100)}
    together = sum(count for count, _ in left.values()), sum(size for _, size in left.values())
    for name, (count, size) in {**left, "together, without indexes": together}.items():
        print(f"    {name:30} {count:5.2f} rows {size:6.0f} bytes")
    print(f"    {', '.join(f'{count:.2f} {name}' for name, count in sent.items())}")


def run_dag(folder: Path, kind: str, sources: int) -> None:
    """Run a Dag with so many sources."""
    name = f"{kind}_{sources}"
    paths = [folder / f"{name}_{number:03}.txt" for number in range(sources)]
    for path in paths:
        path.write_text(f"words of {path.name}")
    text = _IMPORTS + _DAGS[kind].format(name=name, sources=[str(path) for path in paths])
    (folder / f"module_{name}.py").write_text(f"{text}\n\n{name}()\n")
    run = importlib.import_module(f"module_{name}").__dict__[name]().test()
    if str(run.state) != "success":
        raise RuntimeError(f"the run of {name} has ended as {run.state}")


def tables() -> dict[str, tuple[int, int]]:
    """Return the rows of each table of Airflow's database, and the bytes of their values."""
    with sqlite3.connect(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db") as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: size_of(database, name) for name in sorted(names)}


def size_of(database: sqlite3.Connection, table: str) -> tuple[int, int]:
    """Return the rows of a table, and the bytes of their values."""
    columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
    sums = " + ".join(f'COALESCE(LENGTH(CAST("{column}" AS BLOB)), 0)' for column in columns)
    rows, size = database.execute(f'SELECT COUNT(*), COALESCE(SUM({sums}), 0) FROM "{table}"').fetchone()
    return rows, size


def minus(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Return the difference of two sizes."""
    return one[0] - other[0], one[1] - other[1]


def trigger_bytes(files: int) -> int:
    """Return the size of the row of a deferred wait, as Airflow encrypts its arguments."""
    from airflow.models.trigger import Trigger

    from airflow_provider_gemini_files.triggers.files import GeminiFileStateTrigger

    now = time.time()
    names = [f"files/{number:040}" for number in range(files)]
    waiting = GeminiFileStateTrigger(gemini_conn_id="gemini_default", file_names=names, began=now, deadline=now + 3600)
    path, arguments = waiting.serialize()
    return len(path) + len(Trigger.encrypt_kwargs(arguments))


PARTS = {part.__name__: part for part in (listing, cleanup, page, waits, database)}


def main() -> None:
    """Run the parts that were asked for, or all."""
    from cryptography.fernet import Fernet

    os.environ |= {
        "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
        "AIRFLOW__GEMINI_FILES__DEPLOYMENT": "bench",
    }
    names = sys.argv[1:] or list(PARTS)
    if {"page", "database"} & set(names):
        from airflow.utils.db import initdb

        with contextlib.redirect_stdout(io.StringIO()):
            initdb()
    with uploading.emulator() as port:
        service = Service(port)
        for name in names:
            seconds = time.perf_counter()
            print(f"{name}: {PARTS[name].__doc__}")
            PARTS[name](service)
            print(f"  ({time.perf_counter() - seconds:.0f} s)")


if __name__ == "__main__":
    main()
