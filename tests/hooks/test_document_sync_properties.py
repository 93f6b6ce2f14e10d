"""Whatever interrupts a sync, the next one brings the store in step, and no question is ever without a document."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from support import API_KEY, FakeClock

from airflow_provider_gemini_files.common.concurrency import map_outcomes
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.stores import ACTIVE, Document, Store
from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.file_search import GeminiSyncFileSearchStoreOperator

JOB_SECONDS = 20
NAMES = st.sampled_from(["a.md", "b.md", "c.md"])
#: The place of a request among those of a sync.
PLACES = st.integers(1, 8)


class Killed(BaseException):
    """The worker's process has ended."""


class TaskInstance:
    """The part of a task instance that a sync uses."""

    dag_id, run_id, map_index, try_number = "a_dag", "manual__1", -1, 1

    def __init__(self, task_id: str = "sync") -> None:
        self.task_id = task_id

    def xcom_push(self, key: str, value: object) -> None:
        json.dumps(value)


class Syncs(RuleBasedStateMachine):
    """A folder that changes, and syncs of it that are disturbed."""

    emulator: GeminiEmulator
    transport: Transport
    deferrable: bool

    def __init__(self) -> None:
        super().__init__()
        self.emulator.reset()
        self.clock = FakeClock(self.emulator)
        GeminiOperator.clock = self.clock
        self.folder = Path(tempfile.mkdtemp(prefix="gemini-files-sync-"))
        self.texts: dict[str, str] = {}
        self.versions = 0
        self.covered: set[str] = set()
        self.transport.after = lambda: None
        self.store = GeminiFilesHook(clock=self.clock).create_file_search_store("Handbook").name
        self.transport.after = self.observe
        self.write("a.md")
        self.sync(task_id="another")
        self.others = set(self.documents("another"))

    # --- what is there ---------------------------------------------------------------------------------------------

    def documents(self, task_id: str = "sync") -> dict[str, tuple[str, Document]]:
        """Return the documents of a task, by name, each with the name of its source."""
        stores = self.emulator.emulator.projects[API_KEY].resources(Store)
        [store] = stores.values()
        found = {}
        for document in store.existing(self.emulator.clock.now()).values():
            metadata = document.metadata()
            if str(metadata["airflow_owner"]).endswith(f"/{task_id}"):
                found[document.name] = os.path.basename(str(metadata["airflow_source"])), document
        return found

    def observe(self) -> None:
        """Require that no source which had an ACTIVE document, and is still there, has lost the last one."""
        now = self.emulator.clock.now()
        active = {source for source, document in self.documents().values() if document.state(now) == ACTIVE}
        assert self.covered & self.texts.keys() <= active
        self.covered = active & self.texts.keys()

    # --- what happens to the folder --------------------------------------------------------------------------------

    @rule(name=NAMES)
    def write(self, name: str) -> None:
        self.versions += 1
        self.texts[name] = f"version {self.versions} of {name}"
        (self.folder / name).write_text(self.texts[name])
        os.utime(self.folder / name, ns=(0, self.versions))

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        self.texts.pop(name, None)
        self.covered.discard(name)
        (self.folder / name).unlink(missing_ok=True)

    @rule(seconds=st.sampled_from([1, JOB_SECONDS, 400]))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    # --- what happens to a sync ------------------------------------------------------------------------------------

    def sync(self, task_id: str = "sync") -> dict[str, int]:
        operator = GeminiSyncFileSearchStoreOperator(
            task_id=task_id,
            store=self.store,
            source=str(self.folder),
            allow_empty=True,
            deferrable=self.deferrable,
        )
        context = {"ti": TaskInstance(task_id)}
        run: Callable[[dict[str, Any]], dict[str, int]] = operator.execute
        while True:
            try:
                return run(context)
            except TaskDeferred as deferred:
                event = asyncio.run(_first_event(deferred))
                run = functools.partial(getattr(operator, deferred.method_name), event=event)

    def disturbed(self, is_last: bool) -> None:
        """Sync once; and once more undisturbed if this disturbance is the last one for now."""
        try:
            self.sync()
        except (GeminiFilesError, Killed):
            pass
        finally:
            self.transport.forget()
            self.emulator.faults.clear()
            for thread in threading.enumerate():
                if thread.name.startswith("gemini-document"):
                    thread.join()
        if is_last:
            self.undisturbed()

    @rule(changed=NAMES, place=PLACES, is_done=st.booleans(), is_last=st.booleans())
    def killed(self, changed: str, place: int, is_done: bool, is_last: bool) -> None:
        self.write(changed)
        self.transport.kill_at(place, is_done=is_done)
        self.disturbed(is_last)

    @rule(
        changed=NAMES,
        method=st.sampled_from(["list_documents", "start_document", "finalize", "delete_document", "get_document"]),
        action=st.sampled_from(["reset", "lose_answer", "overloaded", "internal", "rate_limit"]),
        nth=st.integers(1, 3),
        times=st.sampled_from([1, 2, 5]),
        is_last=st.booleans(),
    )
    def failing_service(self, changed: str, method: str, action: str, nth: int, times: int, is_last: bool) -> None:
        self.write(changed)
        self.emulator.faults.add(method, action, nth=nth, times=times)
        self.disturbed(is_last)

    @rule(
        changed=NAMES,
        action=st.sampled_from(["document_failed", "operation_error"]),
        seconds=st.sampled_from([None, 110, 290, 500]),
        nth=st.integers(1, 2),
        place=st.none() | PLACES,
        is_last=st.booleans(),
    )
    def failing_document(
        self, changed: str, action: str, seconds: int | None, nth: int, place: int | None, is_last: bool
    ) -> None:
        self.write(changed)
        given = {} if action == "operation_error" else {"seconds": seconds}
        self.emulator.faults.add("start_document", action, nth=nth, **given)
        if place:
            self.transport.kill_at(place, is_done=True)
        self.disturbed(is_last)

    @rule(changed=NAMES, place=PLACES, killed_at=st.none() | PLACES, is_last=st.booleans())
    def second_sync_at_once(self, changed: str, place: int, killed_at: int | None, is_last: bool) -> None:
        self.write(changed)

        def second() -> None:
            if killed_at:
                self.transport.kill_at(killed_at, is_done=True)
            try:
                self.sync()
            except Killed:
                self.transport.forget()

        self.transport.call_at(place, second)
        self.disturbed(is_last)

    @rule()
    def undisturbed(self) -> None:
        self.sync()

        now = self.emulator.clock.now()
        documents = self.documents().values()
        assert Counter(source for source, _ in documents) == Counter(list(self.texts))
        assert {source: document.content.decode() for source, document in documents} == self.texts
        assert {document.state(now) for _, document in documents} <= {ACTIVE}
        assert set(self.documents("another")) == self.others

    def teardown(self) -> None:
        if hasattr(self, "others"):
            self.undisturbed()
        self.transport.forget()
        shutil.rmtree(self.folder)


async def _first_event(deferred: TaskDeferred) -> Any:
    return json.loads(json.dumps((await anext(deferred.trigger.run())).payload))


class Transport:
    """Stands before each blocking request; requests of the event loop pass."""

    def __init__(self, send: Callable[..., httpx.Response]) -> None:
        self._send = send
        self.after: Callable[[], None] = lambda: None
        self.forget()

    def forget(self) -> None:
        """Disturb nothing any more."""
        self._left = 0
        self._is_done = False
        self._call: Callable[[], None] | None = None
        self._is_dead = False

    def kill_at(self, place: int, *, is_done: bool) -> None:
        """Kill the process at a request, before it is sent or after it was carried out."""
        self._left, self._is_done, self._call, self._is_dead = place, is_done, None, False

    def call_at(self, place: int, call: Callable[[], None]) -> None:
        """Call a function before a request."""
        self._left, self._is_done, self._call, self._is_dead = place, False, call, False

    def send(self, client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request."""
        self._left -= 1
        is_due = self._left == 0
        if is_due and self._call:
            self._call()
        elif self._is_dead or (is_due and not self._is_done):
            self._is_dead = True
            raise Killed
        try:
            response = self._send(client, request, **options)
        finally:
            self.after()
        if is_due and self._is_done:
            response.close()
            self._is_dead = True
            raise Killed
        return response


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> Iterator[Transport]:
    transport = Transport(httpx.Client.send)
    monkeypatch.setattr(httpx.Client, "send", lambda client, request, **given: transport.send(client, request, **given))
    for module in ("document_sync", "polling"):
        # One after the other, so that an example happens again in the same way.
        one_by_one = functools.partial(_one_by_one, map_outcomes)
        monkeypatch.setattr(f"airflow_provider_gemini_files.hooks.{module}.map_outcomes", one_by_one)
    monkeypatch.setattr(GeminiOperator, "clock", GeminiOperator.clock)
    return transport


def _one_by_one(function: Callable[..., Any], work: Any, items: Any, **options: Any) -> Any:
    return function(work, items, **{**options, "concurrency": 1})


def machine_of(emulator: GeminiEmulator, transport: Transport, deferrable: bool = False) -> type[Syncs]:
    emulator.settings.job_seconds = JOB_SECONDS
    fields = {"emulator": emulator, "transport": transport, "deferrable": deferrable}
    return type("Syncs", (Syncs,), fields)


@pytest.mark.parametrize(("deferrable", "examples"), [(False, 20), (True, 8)], ids=["in the worker", "deferred"])
def test_store_is_in_step_after_one_undisturbed_sync_and_never_without_a_document(
    emulator, transport, deferrable, examples
):
    bounds = settings(
        max_examples=examples,
        stateful_step_count=6,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    run_state_machine_as_test(machine_of(emulator, transport, deferrable), settings=bounds)


Step = Callable[[Syncs], object]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(
            [lambda it: it.failing_document("a.md", "operation_error", None, 1, 3, False)],
            id="document that vanishes after a kill",
        ),
        pytest.param(
            [
                lambda it: it.failing_document("a.md", "document_failed", 500, 1, 3, False),
                lambda it: it.killed("a.md", 3, True, False),
            ],
            id="document that recovers after its source has changed",
        ),
        pytest.param(
            [lambda it: it.second_sync_at_once("a.md", 2, 3, False)],
            id="two syncs that both add a document, one of them killed",
        ),
        pytest.param(
            [lambda it: it.undisturbed(), lambda it: it.second_sync_at_once("a.md", 4, None, False)],
            id="second sync while the first one waits to replace a document",
        ),
        pytest.param(
            [lambda it: it.undisturbed(), lambda it: it.remove("a.md")],
            id="last source that is removed",
        ),
        pytest.param(
            [
                lambda it: it.write("b.md"),
                lambda it: it.failing_service("a.md", "start_document", "rate_limit", 1, 5, False),
            ],
            id="rate limit of the first of several uploads",
        ),
    ],
)
def test_store_is_in_step_after(emulator, transport, steps: list[Step]):
    machine = machine_of(emulator, transport)()

    for step in steps:
        step(machine)

    machine.teardown()
