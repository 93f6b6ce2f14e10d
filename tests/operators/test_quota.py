"""Uploading into a full store: what waits, what makes room, and what cannot fit."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from support import counting, seed

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator
from airflow_provider_gemini_files.operators.storage import GeminiCleanupFilesOperator
from airflow_provider_gemini_files.triggers import storage

QUOTA = 1000
RUNS = {"done": "success", "live": "running"}


@pytest.fixture(autouse=True)
def quota(emulator, connect):
    emulator.settings.quota_bytes = QUOTA
    connect(host=emulator.base_url, extra={"max_retries": 1, "quota_bytes": QUOTA})


@pytest.fixture
def context(ti):
    """Return the context of a task whose Airflow knows the runs above."""
    ti.get_dr_count = counting(RUNS)
    return {"ti": ti}


def file(name: str, run: str | None, size: int, **fields: object) -> dict[str, object]:
    label = display_name_for(name, Owner("dag", run, "task") if run else None)
    return {"name": f"files/{name}", "display_name": label, "size": size, "age": 60, **fields}


def upload(source, **options) -> GeminiUploadFileOperator:
    quick = {"poll_interval": 0.1, "max_poll_interval": 0.2, "quota_timeout": 20}
    return GeminiUploadFileOperator(task_id="upload", source=source, **{**quick, **options})


def source_of(tmp_path, size: int, name: str = "new.txt") -> str:
    path = tmp_path / name
    path.write_bytes(b"x" * size)
    return str(path)


def names(emulator) -> set[str]:
    return {one.id for project in emulator.emulator.projects.values() for one in project.files()}


def later(seconds: float, work) -> threading.Timer:
    timer = threading.Timer(seconds, work)
    timer.start()
    return timer


def test_it_fails_where_it_is_not_told_to_wait(emulator, context, tmp_path):
    seed(emulator.base_url, file("done", "done", 900))

    with pytest.raises(e.GeminiStorageFullError, match="on_quota='wait'"):
        upload(source_of(tmp_path, 200)).execute(context)
    assert names(emulator) == {"done"}


def test_it_waits_in_the_worker_until_there_is_room(emulator, context, hook, tmp_path):
    seed(emulator.base_url, file("done", "done", 900))
    timer = later(1, lambda: hook.delete_file("files/done"))

    name = upload(source_of(tmp_path, 200), on_quota="wait").execute(context)

    timer.join()
    assert names(emulator) == {name.removeprefix("files/")}


def test_a_wait_ends_at_its_deadline_and_says_so(emulator, context, tmp_path):
    seed(emulator.base_url, file("live", "live", 900))

    with pytest.raises(e.GeminiStorageFullError, match="quota_timeout") as full:
        upload(source_of(tmp_path, 200), on_quota="wait", quota_timeout=0.5).execute(context)
    assert "900 B of 1000 B" in str(full.value)
    assert names(emulator) == {"live"}


@pytest.mark.parametrize("on_quota", ["wait", "evict"])
def test_what_can_never_fit_fails_at_once(emulator, context, tmp_path, on_quota):
    one, two = source_of(tmp_path, 600, "a.txt"), source_of(tmp_path, 600, "b.txt")

    with pytest.raises(e.GeminiInputError, match="more than the whole storage"):
        upload(source_of(tmp_path, 1001), on_quota=on_quota).execute(context)
    with pytest.raises(e.GeminiInputError, match="The 2 sources have"):
        upload([one, two], on_quota=on_quota).execute(context)
    assert emulator.usage()["files"] == 0


def test_on_quota_is_checked_when_the_dag_is_parsed():
    with pytest.raises(e.GeminiInputError, match="on_quota is one of fail, wait, evict"):
        upload("a.txt", on_quota="evicted")


def run_trigger(deferred: TaskDeferred) -> dict:
    """Run the trigger of a deferral as a triggerer does, after a trip through its database; return the event."""
    path, arguments = deferred.trigger.serialize()
    assert path.endswith("GeminiStorageCapacityTrigger")
    trigger = type(deferred.trigger)(**json.loads(json.dumps(arguments)))

    async def first() -> dict:
        return (await anext(trigger.run())).payload

    return asyncio.run(first())


@pytest.mark.parametrize("reuse", ["run", "never", "project"])
def test_a_deferred_upload_sends_only_what_is_missing(emulator, context, hook, tmp_path, reuse, monkeypatch):
    # No supervisor here that would have to see the deferral.
    monkeypatch.setattr(storage, "SETTLE_SECONDS", 0)
    seed(emulator.base_url, file("done", "done", 500))
    sources = [source_of(tmp_path, 300, "a.txt"), source_of(tmp_path, 310, "b.txt")]
    operator = upload(sources, on_quota="wait", deferrable=True, reuse=reuse)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    assert emulator.usage()["files"] == 2
    timer = later(1, lambda: hook.delete_file("files/done"))

    event = run_trigger(deferred.value)
    kept = json.loads(json.dumps(deferred.value.kwargs))
    found = operator.execute_with_room(context, event=event, **kept)

    timer.join()
    assert len(found) == 2
    assert names(emulator) == {name.removeprefix("files/") for name in found}
    assert sum(entry["status"] == 200 for entry in emulator.journal if entry["call"] == "finalize") == 2


def test_a_deferred_wait_that_ends_in_vain_is_a_full_storage(emulator, context, tmp_path):
    seed(emulator.base_url, file("live", "live", 900))
    operator = upload(source_of(tmp_path, 200), on_quota="wait", deferrable=True, quota_timeout=1)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)

    event = run_trigger(deferred.value)

    with pytest.raises(e.GeminiStorageFullError, match="quota_timeout"):
        operator.execute_with_room(context, event=event, **deferred.value.kwargs)


def test_eviction_deletes_no_more_than_needed_and_only_of_runs_that_have_ended(emulator, context, tmp_path):
    seed(
        emulator.base_url,
        file("foreign", None, 100),
        {"name": "files/shared", "display_name": display_name_for("s", None, shared=True), "size": 100, "age": 90_000},
        file("live", "live", 100),
        file("new", "done", 200, age=10),
        file("old", "done", 200, age=1000),
        file("bad", "done", 200, failed=True),
        file("orphan", "deleted", 100, age=2000),
    )

    name = upload(source_of(tmp_path, 300), on_quota="evict").execute(context)

    assert names(emulator) == {"foreign", "shared", "live", "new", "old", name.removeprefix("files/")}


def test_eviction_waits_where_there_is_nothing_to_evict(emulator, context, hook, tmp_path):
    seed(emulator.base_url, file("live", "live", 900))
    timer = later(1, lambda: RUNS.update(live="success"))

    try:
        name = upload(source_of(tmp_path, 200), on_quota="evict").execute(context)
    finally:
        timer.join()
        RUNS["live"] = "running"

    assert names(emulator) == {name.removeprefix("files/")}


def test_deleted_bytes_that_still_count_are_waited_for_and_nothing_more_is_evicted(emulator, context, tmp_path):
    emulator.settings.freed_seconds = 1.5
    seed(emulator.base_url, file("a", "done", 500, age=20), file("b", "done", 500, age=10))

    name = upload(source_of(tmp_path, 400), on_quota="evict").execute(context)

    assert names(emulator) == {"b", name.removeprefix("files/")}


@pytest.mark.parametrize(("on_quota", "count", "size"), [("wait", 40, 10 * 1024**2), ("evict", 15, 100)])
def test_many_uploads_of_twice_the_quota_all_get_in(emulator, connect, ti, tmp_path, on_quota, count, size):
    """Each run ends soon after its upload; its file may go from then on."""
    quota = emulator.settings.quota_bytes = count * size // 2
    connect(host=emulator.base_url, extra={"quota_bytes": quota})
    service = Service(emulator)
    source = source_of(tmp_path, size)

    def one(number: int) -> str:
        own = type(ti)(run_id=f"r{number}")
        own.get_dr_count = service.count
        service.states[own.run_id] = "running"
        patient = {"poll_interval": 0.5, "max_poll_interval": 1, "quota_timeout": 120, "deferrable": False}
        name = upload(source, on_quota=on_quota, **patient).execute({"ti": own})
        # The run works with its file for a while; nobody may take it away.
        for _ in range(3):
            time.sleep(0.05)
            service.look_for(name)
        service.states[own.run_id] = "success"
        return name

    with service.sweeping(on_quota == "wait", ti), ThreadPoolExecutor(count) as executor:
        found = list(executor.map(one, range(count)))

    assert len(set(found)) == count
    assert service.lost == []
    assert quota * 0.8 < service.peak <= quota


class Service:
    """The runs that there are, a Dag that sweeps, and what is seen of the storage meanwhile."""

    def __init__(self, emulator) -> None:
        self._emulator = emulator
        self.states: dict[str, str] = {}
        self.lost: list[str] = []
        self.peak = 0

    def count(self, *, dag_id: str, run_ids: list[str], **only: list[str]) -> int:
        """Count runs as Airflow does."""
        wanted = only.get("states", ["success", "running"])
        return sum(self.states.get(run_id) in wanted for run_id in run_ids)

    def look_for(self, name: str) -> None:
        self.peak = max(self.peak, self._emulator.usage()["bytes"])
        if name.removeprefix("files/") not in names(self._emulator):
            self.lost.append(name)

    @contextmanager
    def sweeping(self, wanted: bool, ti):
        done = threading.Event()
        own = type(ti)("sweep")
        own.get_dr_count = self.count

        def sweep() -> None:
            policy = RetentionPolicy(grace=timedelta())
            while wanted and not done.wait(0.5):
                GeminiCleanupFilesOperator(task_id="sweep", policy=policy).execute({"ti": own})

        sweeper = threading.Thread(target=sweep)
        sweeper.start()
        try:
            yield
        finally:
            done.set()
            sweeper.join()
