"""Uploading into a full storage: what waits, what is evicted, and what cannot fit."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from support import FakeClock, counting, seed

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files import usage_history
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator
from airflow_provider_gemini_files.operators.storage import GeminiCleanupFilesOperator

QUOTA = 1000
HOUR = 3600


@pytest.fixture(autouse=True)
def quota(emulator, connect):
    emulator.settings.quota_bytes = QUOTA
    connect(host=emulator.base_url, extra={"max_retries": 1, "quota_bytes": QUOTA})


@pytest.fixture(autouse=True)
def clock(emulator, monkeypatch) -> FakeClock:
    """Return the clock of all operators; the emulator's follows it."""
    clock = FakeClock(emulator)
    monkeypatch.setattr(GeminiOperator, "clock", clock)
    return clock


@pytest.fixture
def runs(ti) -> dict[str, str]:
    """Return the states of the runs that Airflow knows, by their ids; a test may change them."""
    runs = {"done": "success", "live": "running"}
    ti.get_dr_count = counting(runs)
    return runs


@pytest.fixture
def context(ti, runs) -> dict[str, Any]:
    return {"ti": ti}


def file(name: str, run: str | None, size: int, **fields: object) -> dict[str, object]:
    """Return a file to seed, an hour old."""
    owner = Owner("dag", run, "task", deployment="tests") if run else None
    return {"name": f"files/{name}", "display_name": display_name_for(name, owner), "size": size, "age": HOUR, **fields}


def upload(source: object, **options: object) -> GeminiUploadFileOperator:
    return GeminiUploadFileOperator(task_id="upload", source=source, **options)


def source_of(tmp_path, size: int, name: str = "new.txt") -> str:
    path = tmp_path / name
    path.write_bytes(b"x" * size)
    return str(path)


def names() -> set[str]:
    return {one.name for one in GeminiFilesHook().list_files()}


def starts(emulator) -> int:
    return sum(entry["call"] == "start" for entry in emulator.journal)


def deferral(operator: GeminiUploadFileOperator, context: dict[str, Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    return deferred.value


def run_trigger(deferred: TaskDeferred, clock: FakeClock) -> dict[str, Any]:
    """Run the trigger of a deferral as a triggerer does; it and its event pass through Airflow's database."""
    path, arguments = deferred.trigger.serialize()
    assert path.endswith("GeminiStorageCapacityTrigger")
    trigger = type(deferred.trigger)(**json.loads(json.dumps(arguments)), clock=clock)

    async def first() -> Any:
        return (await anext(trigger.run())).payload

    return json.loads(json.dumps(asyncio.run(first())))


# --- fail ----------------------------------------------------------------------------------------------------------


def test_an_upload_fails_at_full_storage_by_default(emulator, context, clock, tmp_path):
    seed(emulator.base_url, file("done", "done", 900))

    with pytest.raises(e.GeminiStorageFullError, match="on_quota='wait'") as full:
        upload(source_of(tmp_path, 200)).execute(context)

    assert full.value.missing_bytes == 200
    assert clock.slept == []
    assert names() == {"files/done"}


@pytest.mark.parametrize("on_quota", ["wait", "evict"])
def test_sources_that_can_never_fit_fail_at_once(emulator, context, tmp_path, on_quota):
    one, two = source_of(tmp_path, 600, "a.txt"), source_of(tmp_path, 600, "b.txt")

    with pytest.raises(e.GeminiInputError, match="more than the whole storage"):
        upload(source_of(tmp_path, 1001), on_quota=on_quota).execute(context)
    with pytest.raises(e.GeminiInputError, match="The 2 sources have"):
        upload([one, two], on_quota=on_quota).execute(context)
    assert emulator.journal == []


def test_shared_sources_of_the_same_bytes_can_fit_together(emulator, context, tmp_path):
    one, two = source_of(tmp_path, 600, "a.txt"), source_of(tmp_path, 600, "b.txt")

    uploaded = upload([one, two], on_quota="wait", reuse="project").execute(context)

    assert set(uploaded) == names()


# --- wait ----------------------------------------------------------------------------------------------------------


def test_an_upload_waits_in_the_worker_until_there_is_free_space(emulator, context, hook, clock, tmp_path):
    seed(emulator.base_url, file("done", "done", 900))
    clock.after(120, lambda: hook.delete_file("files/done"))

    name = upload(source_of(tmp_path, 200), on_quota="wait").execute(context)

    assert names() == {name}
    assert 120 <= clock.passed < 180
    # The list showed that there was no space, so nothing was sent in vain meanwhile.
    assert starts(emulator) == 2


def test_a_wait_ends_at_its_deadline(emulator, context, clock, tmp_path):
    seed(emulator.base_url, file("live", "live", 900))

    with pytest.raises(e.GeminiStorageFullError, match="quota_timeout has passed") as full:
        upload(source_of(tmp_path, 200), on_quota="wait", quota_timeout=timedelta(minutes=5)).execute(context)

    assert "900 B of 1000 B" in str(full.value)
    assert 300 <= clock.passed < 310
    assert names() == {"files/live"}


def test_a_wait_ends_with_the_tasks_execution_timeout(emulator, context, clock, tmp_path):
    seed(emulator.base_url, file("live", "live", 900))

    with pytest.raises(e.GeminiStorageFullError):
        upload(source_of(tmp_path, 200), on_quota="wait", execution_timeout=timedelta(minutes=5)).execute(context)

    assert 300 <= clock.passed < 310


def test_pauses_grow_while_the_service_refuses_what_the_list_shows_as_free(emulator, context, clock, tmp_path):
    emulator.faults.add("start", "storage_full", times=4)

    upload(source_of(tmp_path, 200), on_quota="wait").execute(context)

    assert [pause for pause in clock.slept if pause] == [5, 10, 20, 30]


# --- wait in the triggerer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reuse", ["run", "never", "project"])
def test_a_deferred_upload_sends_only_the_rest(emulator, context, hook, clock, tmp_path, reuse):
    seed(emulator.base_url, file("done", "done", 500))
    sources = [source_of(tmp_path, 300, "a.txt"), source_of(tmp_path, 310, "b.txt")]
    operator = upload(sources, on_quota="wait", deferrable=True, reuse=reuse)
    deferred = deferral(operator, context)
    assert emulator.usage()["files"] == 2
    clock.after(60, lambda: hook.delete_file("files/done"))

    event = run_trigger(deferred, clock)
    uploaded = operator.execute_with_free_space(context, event)

    assert len(uploaded) == 2
    assert names() == set(uploaded)
    assert sum(entry["status"] == 200 for entry in emulator.journal if entry["call"] == "finalize") == 2


def test_a_wait_in_the_triggerer_ends_at_the_deadline_of_the_first_attempt(emulator, context, clock, tmp_path):
    seed(emulator.base_url, file("live", "live", 900))
    operator = upload(source_of(tmp_path, 200), on_quota="wait", deferrable=True, quota_timeout=300)
    deferred = deferral(operator, context)
    clock.advance(200)

    event = run_trigger(deferred, clock)

    with pytest.raises(e.GeminiStorageFullError, match="quota_timeout"):
        operator.execute_with_free_space(context, event)
    assert 300 <= clock.passed < 310


def test_attempts_and_evicted_bytes_are_counted_over_deferrals(emulator, context, hook, clock, tmp_path):
    seed(emulator.base_url, file("done", "done", 900))
    operator = upload(source_of(tmp_path, 200), on_quota="wait", deferrable=True)
    emulator.faults.add("start", "storage_full", times=2)
    resumes = []
    deferred = deferral(operator, context)
    hook.delete_file("files/done")
    event = run_trigger(deferred, clock)
    resumes.append(event["resume"])
    with pytest.raises(TaskDeferred) as again:
        operator.execute_with_free_space(context, event)
    event = run_trigger(again.value, clock)
    resumes.append(event["resume"])
    operator.execute_with_free_space(context, event)

    assert [resume["tries"] for resume in resumes] == [1, 2]
    assert resumes[0]["deadline"] == resumes[1]["deadline"]


class TestDeferredByVersion1:
    """Tasks that were deferred before an upgrade of this package end with it."""

    def arguments(self, clock: FakeClock, source: str) -> dict[str, Any]:
        names = {source: "files/an0123"}
        return {"began": clock.now() - 60, "deadline": clock.now() + 60, "tries": 3, "evicted_bytes": 0, "names": names}

    def test_the_upload_continues_under_the_name_that_it_had(self, emulator, context, clock, tmp_path):
        source = source_of(tmp_path, 200)
        event = {"usage": {"files": 0, "used_bytes": 0, "quota_bytes": QUOTA, "next_expiry": None}}

        operator = upload(source, on_quota="wait", deferrable=True, reuse="never")

        assert operator.execute_with_room(context, event, **self.arguments(clock, source)) == "files/an0123"

    def test_the_error_of_the_wait_is_a_full_storage(self, emulator, context, clock, tmp_path):
        source = source_of(tmp_path, 200)
        event = {"error": "GeminiWaitTimeoutError", "message": "the deadline has passed"}

        with pytest.raises(e.GeminiStorageFullError, match="at each of 3 attempts"):
            upload(source, on_quota="wait").execute_with_room(context, event, **self.arguments(clock, source))


# --- evict ---------------------------------------------------------------------------------------------------------


def test_eviction_deletes_no_more_than_needed_and_only_of_ended_runs_of_this_deployment(emulator, context, tmp_path):
    staging = Owner("dag", "done", "task", deployment="staging")
    seed(
        emulator.base_url,
        file("foreign", None, 50),
        file("staging", None, 50) | {"display_name": display_name_for("s", staging)},
        file("old-mark", None, 50) | {"display_name": display_name_for("o", Owner("dag", "done", "task"))},
        file("shared", None, 50) | {"display_name": display_name_for("s", None, shared=True, deployment="tests")},
        file("live", "live", 100),
        file("new", "done", 200, age=1 * HOUR),
        file("old", "done", 200, age=10 * HOUR),
        file("bad", "done", 200, failed=True),
        file("orphan", "deleted", 50, age=20 * HOUR),
    )

    name = upload(source_of(tmp_path, 300), on_quota="evict").execute(context)

    kept = {"files/foreign", "files/staging", "files/old-mark", "files/shared", "files/live", "files/new"}
    assert kept <= names()
    assert "files/bad" not in names()
    assert name in names()
    assert emulator.usage()["bytes"] <= QUOTA


def test_eviction_waits_for_a_run_to_end(emulator, context, runs, clock, tmp_path):
    seed(emulator.base_url, file("live", "live", 900))
    clock.after(600, lambda: runs.update(live="success"))

    name = upload(source_of(tmp_path, 200), on_quota="evict").execute(context)

    assert names() == {name}
    assert 600 <= clock.passed < 700


def test_nothing_more_is_evicted_while_deleted_bytes_still_count(emulator, context, clock, tmp_path):
    emulator.settings.freed_seconds = 90
    seed(emulator.base_url, file("a", "done", 500, age=20 * HOUR), file("b", "done", 500, age=10 * HOUR))

    name = upload(source_of(tmp_path, 400), on_quota="evict").execute(context)

    assert names() == {"files/b", name}
    assert clock.passed >= 90


def test_eviction_is_recorded_with_the_usage_that_it_has_met(emulator, context, variables, tmp_path):
    seed(emulator.base_url, file("live", "live", 300), file("old", "done", 400, age=10 * HOUR), file("x", None, 300))

    upload(source_of(tmp_path, 200), on_quota="evict").execute(context)

    history = usage_history.of_task.load("gemini_default")
    [sample] = history.samples
    assert (sample.files, sample.by_kind) == (3, (300, 400, 0, 0, 0, 300))
    assert [(one.files, one.bytes) for one in history.evictions] == [(1, 400)]
    assert history.cleanups == ()


# --- many at once --------------------------------------------------------------------------------------------------


class BusyClock(FakeClock):
    """A clock on which many threads sleep: what one of them does for a moment takes no time of the others' pauses."""

    def monotonic(self) -> float:
        return time.monotonic()


class Airflow:
    """The runs that there are, and what they see of the storage while they use their files."""

    def __init__(self, emulator) -> None:
        self._emulator = emulator
        self.states: dict[str, str] = {}
        self.lost: list[str] = []
        self.peak = 0

    def task_of(self, ti: Any, run_id: str) -> Any:
        own = type(ti)(run_id=run_id)
        own.get_dr_count = counting(self.states)
        return own

    def use(self, name: str) -> None:
        self.peak = max(self.peak, self._emulator.usage()["bytes"])
        if name not in names():
            self.lost.append(name)


@pytest.mark.parametrize("on_quota", ["wait", "evict"])
def test_uploads_of_twice_the_quota_all_succeed_and_no_run_loses_its_file(
    emulator, ti, tmp_path, on_quota, monkeypatch
):
    """Each run ends soon after its upload; its file may be deleted from then on."""
    clock = BusyClock(emulator)
    monkeypatch.setattr(GeminiOperator, "clock", clock)
    count, size = 16, 2 * QUOTA // 16
    airflow, source = Airflow(emulator), source_of(tmp_path, size)
    patient = {"poll_interval": 1, "max_poll_interval": 5, "quota_timeout": 24 * HOUR, "deferrable": False}
    policy = RetentionPolicy(max_age_finished=timedelta(), grace=timedelta())

    def run(number: int) -> str:
        own = airflow.task_of(ti, f"r{number}")
        airflow.states[own.run_id] = "running"
        name = upload(source, on_quota=on_quota, **patient).execute({"ti": own})
        for _ in range(3):
            clock.sleep(10)
            airflow.use(name)
        airflow.states[own.run_id] = "success"
        if on_quota == "wait":
            GeminiCleanupFilesOperator(task_id="cleanup", policy=policy).execute({"ti": own})
        return name

    with ThreadPoolExecutor(count) as executor:
        uploaded = list(executor.map(run, range(count)))

    assert len(set(uploaded)) == count
    assert airflow.lost == []
    assert QUOTA // 2 <= airflow.peak <= QUOTA
