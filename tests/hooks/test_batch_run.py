"""One batch of a task: each job is submitted once, whatever fails, and its answers are written in order."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support import API_KEY, logged_by
from transfer_store import Store

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.batches.requests import BatchRequests, Words, from_files, from_list
from airflow_provider_gemini_files.batches.results import Results
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks import batch_input
from airflow_provider_gemini_files.hooks.batch_input import BatchSpec
from airflow_provider_gemini_files.hooks.batch_run import LIST_LAG_SECONDS, BatchRun
from airflow_provider_gemini_files.hooks.batches import BatchCalls
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.transfer.output import Output

HOUR = 3600.0
JOB_SECONDS = 600
MODEL = "gemini-2.5-flash"
OWNER = Owner("dag", "run", "ask", deployment="here")
#: An answer of the list in which a new job is missing.
EMPTY_LIST = {"action": "status", "status": 200, "body": {}}


@pytest.fixture
def emulator(emulator: GeminiEmulator) -> GeminiEmulator:
    emulator.settings.job_seconds = JOB_SECONDS
    return emulator


@pytest.fixture
def hook(emulator, clock) -> GeminiFilesHook:
    return GeminiFilesHook(clock=clock)


@pytest.fixture
def store() -> Store:
    return Store()


def spec_of(*requests: Any, words: dict[str, Any] | None = None, **fields: Any) -> BatchSpec:
    """Return what is asked: by default, two prompts."""
    asked = BatchRequests(from_list(requests or ["one", "two"]), Words(**{"model": MODEL, **(words or {})}))
    return BatchSpec(
        **{"requests": asked, "owner": OWNER, "model": MODEL, "label": "ask", "timeout": 49 * HOUR, **fields}
    )


@pytest.fixture
def new_run(emulator, clock):
    """Return a function that begins an attempt, as a process of its own."""

    def begin(*requests: Any, **fields: Any) -> BatchRun:
        return GeminiFilesHook(clock=clock).batch_run(spec_of(*requests, **fields))

    return begin


@pytest.fixture
def attempt(new_run):
    """Return a function that submits all jobs of a batch in one attempt."""

    def submit(*requests: Any, **fields: Any) -> list[BatchJob]:
        run = new_run(*requests, **fields)
        return [run.submit(plan) for plan in run.plan()]

    return submit


def calls(emulator: GeminiEmulator, *wanted: str) -> list[str]:
    return [entry["call"] for entry in emulator.journal if not wanted or entry["call"] in wanted]


def jobs(hook: GeminiFilesHook) -> list[str]:
    """Return the names of all jobs that were ever submitted; each would be paid for."""
    return [job.name for job in hook.list_batches()]


def inputs(emulator: GeminiEmulator) -> list[str]:
    return [
        entry["body"]["batch"]["inputConfig"]["fileName"]
        for entry in emulator.journal
        if entry["call"] == "create_batch"
    ]


def owned_file(hook: GeminiFilesHook, path: Path, owner: Owner | None = OWNER) -> GeminiFile:
    path.write_text(path.name)
    return hook.upload_file(path, owner=owner)


def rows_of(hook: GeminiFilesHook, submitted: list[BatchJob]) -> list[dict[str, Any]]:
    """Return the lines of the result files of jobs that have ended, as the service has written them."""
    lines = []
    for job in submitted:
        into = io.BytesIO()
        hook.batches.download_results(hook.get_batch(job.name), into)
        lines += [json.loads(line) for line in into.getvalue().splitlines()]
    return lines


class TestFirstAttempt:
    def test_job_is_submitted_once_without_a_pause(self, attempt, hook, emulator, clock, store):
        [job] = attempt(store=store)

        assert jobs(hook) == [job.name]
        assert job.state == "PENDING"
        assert clock.slept == []
        # The list is read once more after the upload, which can take long; the last call is the test's own.
        looks = ["list_batches", "list_batches"]
        assert calls(emulator, "create_batch", "list_batches") == [*looks, "create_batch", "list_batches"]

    def test_display_name_says_what_the_job_is(self, attempt, new_run):
        [job] = attempt()
        [plan] = new_run().plan()
        mark = BatchMark.parse(job.display_name)

        assert job.display_name.startswith("ask (2 requests) [batch ")
        assert (mark.fingerprint, mark.owner, mark.files) == (plan.fingerprint, OWNER, ())

    def test_requests_are_uploaded_as_a_file_of_the_task(self, attempt, hook):
        [job] = attempt()

        file = hook.get_file(BatchMark.parse(job.display_name).input)
        assert (file.mime_type, file.state, file.owner) == ("application/jsonl", "ACTIVE", OWNER)

    def test_job_is_remembered(self, attempt, store):
        [job] = attempt(store=store)

        [record] = store.kept.values()
        assert json.loads(record)["name"] == job.name

    def test_requests_are_split_into_jobs(self, attempt, hook, clock):
        first, second, third = submitted = attempt(*"abcde", max_requests=2)

        assert [job.counts["total"] for job in submitted] == [2, 2, 1]
        assert sorted(jobs(hook)) == sorted([first.name, second.name, third.name])
        assert clock.slept == []

    def test_submission_is_counted_and_logged(self, new_run, mocker):
        incr = mocker.patch("airflow_provider_gemini_files.hooks.batch_run.Stats.incr")
        run = new_run("one", "two", "three")
        info = mocker.spy(run._log, "info")

        [plan] = run.plan()
        job = run.submit(plan)

        assert [call.args for call in incr.call_args_list if "batch" in call.args[0]] == [
            ("gemini_files.batch.jobs",),
            ("gemini_files.batch.requests", 3),
        ]
        assert f"Submitted {job.name}: 3 requests to {MODEL}" in logged_by(info)


class TestFingerprint:
    def fingerprint(self, new_run, *requests: Any, again: int = 0, **fields: Any) -> str:
        [plan] = new_run(*requests, **fields).plan(again=again)
        return plan.fingerprint

    def test_same_batch_has_the_same_fingerprint_at_each_attempt(self, new_run, store):
        first = self.fingerprint(new_run)

        assert self.fingerprint(new_run, is_retry=True, store=store, label="other", timeout=1.0, since=5.0) == first

    @pytest.mark.parametrize(
        "fields",
        [
            {"owner": Owner("other", "run", "ask", deployment="here")},
            {"owner": Owner("dag", "other", "ask", deployment="here")},
            {"owner": Owner("dag", "run", "other", deployment="here")},
            {"owner": Owner("dag", "run", "ask", 0, "here")},
            {"owner": Owner("dag", "run", "ask", deployment="elsewhere")},
            {"model": "gemini-2.5-pro"},
            {"again": 1},
            {"words": {"prompt": "?", "system_instruction": "Be brief."}},
        ],
    )
    def test_fingerprint_changes_with_the_task_and_what_it_asks(self, new_run, fields):
        assert self.fingerprint(new_run, **fields) != self.fingerprint(new_run)

    def test_fingerprint_changes_with_the_connection(self, new_run, clock, monkeypatch, emulator):
        uri = json.dumps({"conn_type": "gemini", "password": "k", "host": emulator.base_url})
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", uri)
        [plan] = GeminiFilesHook("other", clock=clock).batch_run(spec_of()).plan()

        assert plan.fingerprint != self.fingerprint(new_run)

    def test_model_of_the_connection_is_the_default(self, new_run, connect, emulator):
        connect(host=emulator.base_url, extra={"model": MODEL})

        assert new_run(model=None).model == MODEL
        assert self.fingerprint(new_run, model=None) == self.fingerprint(new_run, model=f"models/{MODEL}")

    def test_planning_sends_nothing(self, new_run, emulator):
        new_run("one", {"files": "files/unknown", "prompt": "x"}).plan()

        assert calls(emulator) == []

    def test_configuration_that_cannot_be_sent_is_refused_before_anything_is_sent(self, new_run, emulator):
        with pytest.raises(e.GeminiInputError, match=r"Request 'b': generation_config is not valid: temperature"):
            new_run("x", {"key": "b", "prompt": "x", "generation_config": {"temperature": "hot"}}).plan()

        assert calls(emulator) == []


class TestLostAnswer:
    @pytest.mark.parametrize("action", ["lose_answer", "created_then_internal"])
    def test_job_whose_answer_was_lost_is_found(self, attempt, hook, emulator, clock, store, action):
        emulator.faults.add("create_batch", action)

        [job] = attempt(store=store)

        assert jobs(hook) == [job.name]
        assert clock.slept == []
        assert attempt(store=store) == [job]

    def test_list_may_show_a_new_job_only_later(self, attempt, hook, emulator, clock):
        emulator.faults.add("create_batch", "lose_answer")
        emulator.faults.add("list_batches", **EMPTY_LIST, nth=3)

        [job] = attempt()

        assert jobs(hook) == [job.name]
        assert clock.slept == [LIST_LAG_SECONDS]

    def test_request_that_created_no_job_fails_the_attempt(self, attempt, hook, emulator, clock, store):
        emulator.faults.add("create_batch", "internal")

        with pytest.raises(e.GeminiServiceError, match=f"Cannot submit a batch job to {MODEL}"):
            attempt(store=store)

        assert jobs(hook) == []
        assert calls(emulator, "create_batch") == ["create_batch"]
        assert clock.slept == [LIST_LAG_SECONDS]

    def test_next_attempt_submits_what_was_never_created(self, attempt, hook, emulator, clock, store):
        emulator.faults.add("create_batch", "internal")
        with pytest.raises(e.GeminiServiceError):
            attempt(store=store)

        [job] = attempt(store=store, is_retry=True)

        assert jobs(hook) == [job.name]
        assert clock.slept == [LIST_LAG_SECONDS] * 2

    @pytest.mark.parametrize("with_store", [True, False])
    def test_next_attempt_finds_a_job_that_appears_after_the_failure(self, attempt, hook, emulator, with_store):
        store = Store() if with_store else None
        emulator.faults.add("create_batch", "lose_answer")
        for nth in (3, 4):
            emulator.faults.add("list_batches", **EMPTY_LIST, nth=nth)
        with pytest.raises(e.GeminiServiceError):
            attempt(store=store)

        [job] = attempt(store=store, is_retry=True)

        assert jobs(hook) == [job.name]


class TestKilledAttempt:
    def intent(self, new_run, store: Store) -> None:
        """Leave what an attempt leaves that was killed right before its request, or right after."""
        [plan] = new_run().plan()
        store.set(f"gemini_batch_{plan.fingerprint}", {"version": 1, "submitted": 1_700_000_000})

    def test_attempt_that_was_killed_before_its_request_is_repeated_after_a_second_look(
        self, new_run, attempt, hook, clock, store, emulator
    ):
        self.intent(new_run, store)

        [job] = attempt(store=store)

        assert jobs(hook) == [job.name]
        assert clock.slept == [LIST_LAG_SECONDS]
        looks = ["list_batches"] * 3
        assert calls(emulator, "create_batch", "list_batches")[:4] == [*looks, "create_batch"]

    def test_job_of_an_attempt_that_was_killed_after_its_request_is_found(self, new_run, attempt, hook, clock, store):
        [job] = attempt()
        self.intent(new_run, store)

        assert attempt(store=store) == [job]
        assert jobs(hook) == [job.name]
        assert clock.slept == []
        assert json.loads(next(iter(store.kept.values())))["name"] == job.name

    def test_job_that_appears_in_the_list_late_is_found(self, new_run, attempt, hook, clock, store, emulator):
        [job] = attempt()
        self.intent(new_run, store)
        emulator.faults.add("list_batches", **EMPTY_LIST)

        assert [found.name for found in attempt(store=store)] == [job.name]
        assert jobs(hook) == [job.name]
        assert clock.slept == [LIST_LAG_SECONDS]

    def test_requests_that_were_uploaded_are_not_uploaded_again(self, attempt, emulator, store):
        emulator.faults.add("create_batch", "internal")
        with pytest.raises(e.GeminiServiceError):
            attempt(store=store)
        emulator.clear_journal()

        [job] = attempt(store=store, is_retry=True)

        assert calls(emulator, "start") == []
        assert BatchMark.parse(job.display_name).input == inputs(emulator)[0]

    @pytest.mark.parametrize("is_retry", [True, False])
    def test_store_that_cannot_be_used_never_leads_to_a_second_job(self, attempt, hook, clock, is_retry):
        [job] = attempt(store=Store(broken=True))
        assert clock.slept == [LIST_LAG_SECONDS]

        assert attempt(store=Store(broken=True), is_retry=is_retry) == [job]
        assert jobs(hook) == [job.name]

    def test_without_a_store_the_list_tells_the_next_attempt(self, attempt, hook, clock):
        [job] = attempt()

        assert attempt(is_retry=True) == [job]
        assert jobs(hook) == [job.name]
        assert clock.slept == []

    def test_without_a_store_a_retry_looks_again_before_it_submits(self, attempt, clock):
        attempt(is_retry=True)

        assert clock.slept == [LIST_LAG_SECONDS]

    def test_one_second_look_is_enough_for_all_jobs_of_a_retry(self, attempt, hook, clock):
        submitted = attempt(*"abcdef", max_requests=2, is_retry=True)

        assert len(submitted) == len(jobs(hook)) == 3
        assert clock.slept == [LIST_LAG_SECONDS]

    def test_attempt_that_was_killed_between_two_jobs_goes_on(self, new_run, attempt, hook, store):
        run = new_run(*"abcd", max_requests=2, store=store)
        first = run.submit(run.plan()[0])

        submitted = attempt(*"abcd", max_requests=2, store=store, is_retry=True)

        assert submitted[0].name == first.name
        assert sorted(jobs(hook)) == sorted(job.name for job in submitted)

    def test_list_that_cannot_be_read_submits_nothing(self, attempt, emulator, store):
        emulator.faults.add("list_batches", "internal", times=2)

        with pytest.raises(e.GeminiServiceError, match="Cannot list batches"):
            attempt(store=store, is_retry=True)

        assert calls(emulator, "create_batch") == []


class TestAdoption:
    @pytest.mark.parametrize("seconds", [0, JOB_SECONDS * 0.75, JOB_SECONDS, 47 * HOUR])
    @pytest.mark.parametrize("remembered", [True, False])
    def test_job_that_runs_or_has_results_is_used(self, attempt, hook, clock, emulator, store, seconds, remembered):
        [job] = attempt(store=store)
        clock.advance(seconds)
        emulator.clear_journal()

        [found] = attempt(store=store if remembered else None, is_retry=True)

        assert found.name == job.name
        assert jobs(hook) == [job.name]
        assert calls(emulator, "start", "create_batch") == []

    def test_remembered_job_is_found_without_the_list(self, attempt, emulator, store):
        attempt(store=store)
        emulator.clear_journal()

        attempt(store=store, is_retry=True)

        assert calls(emulator) == ["get_batch"]

    def test_use_of_an_earlier_job_is_logged(self, attempt, new_run, mocker):
        [job] = attempt()
        run = new_run(is_retry=True)
        info = mocker.spy(run._log, "info")

        run.submit(run.plan()[0])

        assert logged_by(info) == [f"{job.name} has been submitted before ({job.progress()}): it is used."]

    @pytest.mark.parametrize("action", ["batch_failed", "batch_expired", "cancel"])
    @pytest.mark.parametrize("remembered", [True, False])
    def test_job_that_has_ended_without_results_is_replaced(
        self, attempt, hook, clock, emulator, store, action, remembered
    ):
        if action != "cancel":
            emulator.faults.add("create_batch", action)
        [job] = attempt(store=store)
        if action == "cancel":
            hook.cancel_batch(job.name)
        clock.advance(JOB_SECONDS)

        [other] = attempt(store=store if remembered else None, is_retry=True)

        assert jobs(hook) == [other.name, job.name]
        assert attempt(store=store if remembered else None, is_retry=True) == [other]

    @pytest.mark.parametrize("remembered", [True, False])
    def test_job_that_is_gone_is_replaced(self, attempt, hook, clock, store, remembered):
        [job] = attempt(store=store)
        clock.advance(JOB_SECONDS)
        hook.delete_batch(job.name)

        [other] = attempt(store=store if remembered else None, is_retry=True)

        assert jobs(hook) == [other.name]

    @pytest.mark.parametrize("remembered", [True, False])
    def test_job_that_has_not_ended_in_its_time_is_cancelled_and_replaced(
        self, attempt, hook, clock, emulator, store, remembered
    ):
        emulator.faults.add("create_batch", "batch_stuck")
        [job] = attempt(store=store, timeout=HOUR)
        clock.advance(HOUR + 1)

        [other] = attempt(store=store if remembered else None, timeout=HOUR, is_retry=True)

        assert jobs(hook) == [other.name, job.name]
        assert hook.get_batch(job.name).state == "CANCELLED"

    def test_job_that_ends_before_it_is_cancelled_is_used(self, attempt, hook, clock, emulator, mocker):
        emulator.settings.job_seconds = int(HOUR)
        [job] = attempt(timeout=HOUR)
        # Its time is seen to be over up to a minute early.
        clock.advance(HOUR - 1)
        list_batches = hook.batches.list_batches

        def then_it_ends(**given: Any) -> list[BatchJob]:
            found = list_batches(**given)
            clock.advance(1)
            return found

        mocker.patch.object(hook.batches, "list_batches", side_effect=then_it_ends)
        run = hook.batch_run(spec_of(timeout=HOUR, is_retry=True))

        found = run.submit(run.plan()[0])

        assert (found.name, found.state) == (job.name, "SUCCEEDED")
        assert calls(emulator, "cancel_batch") == []

    def test_job_that_cannot_be_cancelled_leads_to_no_second_job(self, attempt, hook, clock, emulator):
        emulator.faults.add("create_batch", "batch_stuck")
        [job] = attempt(timeout=HOUR)
        clock.advance(HOUR + 1)
        emulator.faults.add("cancel_batch", "internal", times=2)

        with pytest.raises(e.GeminiServiceError, match=f"Cannot cancel {job.name}"):
            attempt(timeout=HOUR, is_retry=True)

        assert jobs(hook) == [job.name]

    @pytest.mark.parametrize("remembered", [True, False])
    def test_job_that_has_succeeded_without_results_is_replaced_after_an_hour(
        self, attempt, hook, clock, emulator, store, remembered
    ):
        emulator.faults.add("create_batch", "batch_output_late", seconds=1e6)
        [job] = attempt(store=store)
        again = {"store": store if remembered else None, "is_retry": True}
        clock.advance(JOB_SECONDS + HOUR - 1)
        assert [found.name for found in attempt(**again)] == [job.name]
        clock.advance(2)

        [other] = attempt(**again)

        assert jobs(hook) == [other.name, job.name]

    def test_job_past_its_timeout_is_used_if_jobs_are_not_given_up(self, attempt, clock, emulator):
        emulator.faults.add("create_batch", "batch_stuck")
        [job] = attempt(timeout=HOUR)
        clock.advance(2 * HOUR)

        assert attempt(timeout=HOUR, gives_up=False, is_retry=True) == [job]

    def test_job_that_ended_after_its_timeout_is_used(self, attempt, clock):
        [job] = attempt(timeout=60.0)
        clock.advance(JOB_SECONDS)

        assert [found.name for found in attempt(timeout=60.0, is_retry=True)] == [job.name]

    @pytest.mark.parametrize("remembered", [True, False])
    def test_requests_whose_results_are_gone_are_submitted_again(
        self, attempt, hook, clock, store, remembered, emulator
    ):
        [job] = attempt(store=store)
        clock.advance(JOB_SECONDS + 48 * HOUR + 1)

        [other] = attempt(store=store if remembered else None, is_retry=True)

        assert jobs(hook) == [other.name, job.name]

    @pytest.mark.parametrize("remembered", [True, False])
    def test_requests_whose_results_are_gone_early_are_submitted_again_at_once(
        self, attempt, hook, clock, store, remembered, mocker
    ):
        [job] = attempt(store=store)
        clock.advance(JOB_SECONDS)
        mocker.patch.object(BatchCalls, "result_file", side_effect=e.GeminiFileGoneError("It is gone."))

        [other] = attempt(store=store if remembered else None, is_retry=True)

        assert jobs(hook) == [other.name, job.name]

    def test_results_that_outlive_the_48_hours_are_used(self, attempt, hook, clock, emulator):
        [job] = attempt()
        clock.advance(JOB_SECONDS + 48 * HOUR + 1)
        output = hook.get_batch(job.name).output_file
        resource = {"name": output, "state": "ACTIVE"}
        emulator.faults.add("get", "status", status=200, body=resource)

        assert [found.name for found in attempt(is_retry=True)] == [job.name]

    def test_of_several_jobs_for_the_same_requests_one_that_has_ended_is_used(
        self, attempt, new_run, clock, hook, mocker
    ):
        [first] = attempt()
        clock.advance(JOB_SECONDS / 2)
        second = hook.batches.submit(MODEL, first.display_name, BatchMark.parse(first.display_name).input)
        assert [job.name for job in attempt(is_retry=True)] == [first.name]
        clock.advance(JOB_SECONDS / 2)
        run = new_run(is_retry=True)
        warning = mocker.spy(run._log, "warning")

        assert run.submit(run.plan()[0]).name == first.name

        [line] = logged_by(warning)
        assert line.startswith("There are 2 jobs for these requests")
        assert second.name in line

    def test_jobs_of_other_tasks_and_tools_are_left_alone(self, attempt, hook):
        [theirs] = attempt(owner=Owner("dag", "another run", "ask", deployment="here"))
        hook.batches.submit(MODEL, "ask (2 requests)", BatchMark.parse(theirs.display_name).input)

        [job] = attempt()

        assert len(jobs(hook)) == 3
        assert job.name == jobs(hook)[0]

    def test_list_is_read_again_for_each_job(self, attempt, emulator):
        # Another attempt may submit any of them meanwhile.
        attempt(*"abcd", max_requests=2)

        one = ["list_batches", "list_batches", "create_batch"]
        assert calls(emulator, "list_batches", "create_batch") == one * 2


class TestAttemptsAtOnce:
    """Two attempts of a task can be alive: a worker that was cut off works on after Airflow has given it up."""

    @pytest.mark.parametrize("step", ["_lasting_files", "_write_requests", "_upload"])
    def test_job_that_another_attempt_submits_while_the_requests_are_uploaded_is_used(
        self, attempt, new_run, hook, monkeypatch, step
    ):
        run, others = new_run(), []
        real = getattr(run._input, step)

        def meanwhile(*arguments: Any) -> Any:
            result = real(*arguments)
            others.extend(attempt(is_retry=True))
            return result

        monkeypatch.setattr(run._input, step, meanwhile)

        job = run.submit(run.plan()[0])

        assert jobs(hook) == [job.name] == [other.name for other in others]
        assert run.adopted == {job.name}

    def test_job_that_another_attempt_submits_while_this_one_is_refused_is_used(self, attempt, new_run, hook, emulator):
        emulator.faults.add("create_batch", "batches_full")
        run = new_run()
        [plan] = run.plan()
        with pytest.raises(e.GeminiRateLimitError):
            run.submit(plan)

        [other] = attempt()

        assert run.submit(plan).name == other.name
        assert jobs(hook) == [other.name]

    def test_job_whose_repeated_request_was_refused_is_used(self, new_run, hook, monkeypatch):
        # A gateway can send a request twice, and report the refusal of the second.
        submit, run = hook.batches.submit, hook.batch_run(spec_of())
        [plan] = run.plan()

        def refused(*arguments: Any) -> BatchJob:
            submit(*arguments)
            raise e.GeminiRateLimitError("There are too many jobs.")

        monkeypatch.setattr(hook.batches, "submit", refused)
        with pytest.raises(e.GeminiRateLimitError):
            run.submit(plan)

        assert jobs(hook) == [run.submit(plan).name]

    def test_only_jobs_of_an_earlier_attempt_are_adopted(self, new_run, attempt):
        run = new_run(*"abcd", max_requests=2)
        first = run.submit(run.plan()[0])
        assert run.adopted == set()

        later = new_run(*"abcd", max_requests=2, is_retry=True)
        for plan in later.plan():
            later.submit(plan)

        assert later.adopted == {first.name}


class TestFindingInTheList:
    @pytest.mark.parametrize("length", [72, 80, 128])
    def test_job_whose_display_name_was_shortened_is_found(self, attempt, hook, monkeypatch, length):
        submit = BatchCalls.submit
        monkeypatch.setattr(
            BatchCalls, "submit", lambda self, model, name, file: submit(self, model, name[:length], file)
        )
        [job] = attempt(label="a label of more than forty characters, which are kept")
        assert len(job.display_name) == length

        assert attempt(label="a label of more than forty characters, which are kept", is_retry=True) == [job]
        assert jobs(hook) == [job.name]

    @pytest.mark.parametrize("ahead", [0, 0.5, 3, 20])
    def test_job_of_a_run_that_is_planned_for_later_is_found(self, attempt, hook, clock, emulator, ahead):
        since = clock.now() + ahead * HOUR
        [job] = attempt(since=since)
        # So many newer jobs that the first page of the list is full of them.
        emulator.settings.max_batches = 1000
        for _ in range(101):
            hook.batches.submit(MODEL, "theirs", BatchMark.parse(job.display_name).input)

        assert attempt(since=since, is_retry=True) == [job]

    def test_pages_of_jobs_from_before_the_run_are_not_read(self, attempt, hook, clock, emulator):
        emulator.settings.max_batches = 1000
        [job] = attempt(owner=Owner("dag", "another run", "ask", deployment="here"))
        for _ in range(150):
            hook.batches.submit(MODEL, "theirs", BatchMark.parse(job.display_name).input)
        clock.advance(25 * HOUR)
        emulator.clear_journal()

        attempt(since=clock.now())

        assert calls(emulator, "list_batches") == ["list_batches"] * 2


class TestIntent:
    """What is recorded before anything is uploaded, so that a killed attempt leaves a trace."""

    def test_attempt_that_is_killed_while_it_uploads_leaves_a_trace(self, attempt, clock, store, mocker):
        class Killed(BaseException):
            pass

        upload = mocker.patch.object(batch_input.BatchInput, "_upload", side_effect=Killed)
        with pytest.raises(Killed):
            attempt(store=store)
        mocker.stop(upload)

        [job] = attempt(store=store)

        assert clock.slept == [LIST_LAG_SECONDS]
        assert json.loads(next(iter(store.kept.values())))["name"] == job.name

    @pytest.mark.parametrize("fault", [("start", "forbidden"), ("finalize", "forbidden")])
    def test_failed_upload_leaves_no_trace(self, attempt, clock, store, emulator, fault):
        emulator.faults.add(*fault, times=None)
        with pytest.raises(e.GeminiFilesError):
            attempt(store=store)
        emulator.faults.clear()

        assert not any(key.startswith("gemini_batch_") for key in store.kept)

    def test_file_that_is_gone_leaves_no_trace(self, attempt, store):
        with pytest.raises(e.GeminiFileGoneError):
            attempt({"files": "files/unknown", "prompt": "x"}, store=store)

        assert store.kept == {}

    def test_trace_of_an_earlier_attempt_outlives_a_failed_upload(self, attempt, new_run, store, emulator):
        [plan] = new_run({"files": "files/unknown", "prompt": "x"}).plan()
        key = f"gemini_batch_{plan.fingerprint}"
        store.set(key, {"version": 1, "submitted": 1_700_000_000})

        with pytest.raises(e.GeminiFileGoneError):
            attempt({"files": "files/unknown", "prompt": "x"}, store=store)

        assert key in store.kept

    def test_second_look_of_an_earlier_part_of_the_attempt_is_enough(self, new_run, clock):
        run = new_run(is_retry=True)
        run.has_looked_later = True

        run.submit(run.plan()[0])

        assert clock.slept == []


class TestFormerRequests:
    def test_job_that_goes_on_with_other_requests_is_named_in_the_log(self, attempt, new_run, mocker):
        [former] = attempt("former")
        run = new_run("other")
        warning = mocker.spy(run._log, "warning")

        run.submit(run.plan()[0])

        [line] = logged_by(warning)
        assert line.startswith(f"{former.name} still works on other requests of this task. If they are not needed")

    @pytest.mark.parametrize("fields", [{}, {"owner": Owner("dag", "another run", "ask", deployment="here")}])
    def test_other_jobs_are_not_named(self, attempt, new_run, clock, mocker, fields):
        attempt("former", **fields)
        if not fields:
            clock.advance(JOB_SECONDS)
        run = new_run(*"abcd", max_requests=2)
        warning = mocker.spy(run._log, "warning")

        for plan in run.plan():
            run.submit(plan)

        assert logged_by(warning) == []


class TestRefusedJob:
    @pytest.mark.parametrize("action", ["batches_full", "enqueued_full"])
    def test_job_that_the_service_does_not_take_now_is_submitted_later(
        self, attempt, hook, emulator, clock, store, action
    ):
        emulator.faults.add("create_batch", action)
        with pytest.raises(e.GeminiRateLimitError):
            attempt(store=store)
        assert store.kept == {}

        [job] = attempt(store=store)

        assert jobs(hook) == [job.name]
        # It is known that there is no job, so nothing is looked for.
        assert clock.slept == []
        assert len(set(inputs(emulator))) == 1

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ({"action": "no_batches"}, e.GeminiAuthError),
            ({"action": "forbidden"}, e.GeminiAuthError),
            ({"action": "gone"}, e.GeminiFileGoneError),
            (
                {
                    "action": "status",
                    "status": 400,
                    "body": {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}},
                },
                e.GeminiInputError,
            ),
        ],
        ids=["no batches", "forbidden", "gone", "invalid"],
    )
    def test_refusal_for_good_leaves_neither_requests_nor_a_record(self, attempt, hook, emulator, store, fault, error):
        emulator.faults.add("create_batch", **fault)

        with pytest.raises(error):
            attempt(store=store)

        assert hook.list_files() == []
        assert store.kept == {}

    def test_unknown_model_is_an_input_error(self, attempt, hook):
        with pytest.raises(e.GeminiInputError, match="Cannot submit a batch job to no-such-model"):
            attempt(model="no-such-model")

        assert hook.list_files() == []

    def test_requests_that_are_not_active_yet_are_submitted_later(self, attempt, hook, emulator, store):
        emulator.faults.add("create_batch", "not_active")
        with pytest.raises(e.GeminiFileNotActiveError):
            attempt(store=store)

        assert store.kept == {}
        assert len(attempt(store=store)) == len(jobs(hook)) == 1


class TestFiles:
    @pytest.fixture
    def asked(self, hook, tmp_path) -> GeminiFile:
        return owned_file(hook, tmp_path / "a.txt")

    def test_files_of_the_run_are_marked_as_such(self, attempt, asked):
        [job] = attempt({"files": asked.name, "prompt": "x"})

        assert BatchMark.parse(job.display_name).of_run

    @pytest.mark.parametrize(
        "owner",
        [
            None,
            Owner("dag", "other", "up", deployment="here"),
            Owner("dag", "run", "up", deployment="elsewhere"),
            Owner("dag", "run", "up"),
        ],
    )
    def test_other_files_are_listed(self, attempt, hook, asked, tmp_path, owner):
        other = owned_file(hook, tmp_path / "b.txt", owner)

        [job] = attempt({"files": [asked.name, other.name], "prompt": "x"})

        mark = BatchMark.parse(job.display_name)
        assert (mark.of_run, mark.files) == (False, (asked.name, other.name))

    def test_files_are_protected_from_the_moment_of_the_submission(self, attempt, hook, asked):
        [job] = attempt({"files": asked.name, "prompt": "x"})

        in_use = hook.batches.files_in_use()
        assert in_use.is_certain(hook.get_file(asked.name))
        assert in_use.is_certain(hook.get_file(BatchMark.parse(job.display_name).input))

    def test_file_that_is_gone_fails_before_a_job_is_submitted(self, attempt, emulator):
        with pytest.raises(e.GeminiFileGoneError, match=r"Upload it again, or set reupload_expired=True"):
            attempt({"files": "files/unknown", "prompt": "x"})

        assert calls(emulator, "start", "create_batch") == []

    def test_file_that_expires_too_soon_fails_before_a_job_is_submitted(self, attempt, asked, clock, emulator):
        clock.advance(23 * HOUR)
        emulator.clear_journal()

        with pytest.raises(e.GeminiInputError, match=r"expires at .* \(min_remaining_ttl is 26 hours\)"):
            attempt({"files": asked.name, "prompt": "x"})

        assert calls(emulator, "start", "create_batch") == []

    def test_file_that_lives_long_enough_is_asked_about(self, attempt, asked, clock):
        clock.advance(23 * HOUR)

        assert attempt({"files": asked.name, "prompt": "x"}, min_remaining_ttl=24 * HOUR)

    def test_expiring_file_is_uploaded_again_and_left_alone(self, attempt, hook, asked, clock):
        clock.advance(23 * HOUR)

        [job] = attempt({"files": asked.name, "prompt": "x"}, find_upload={asked.name: asked}.get)

        new = next(file for file in hook.list_files() if file.name != asked.name and file.mime_type == "text/plain")
        assert new.owner == OWNER
        assert hook.get_file(asked.name)
        assert BatchMark.parse(job.display_name).of_run
        clock.advance(JOB_SECONDS)
        assert rows_of(hook, [job])[0]["response"]["candidates"][0]["content"]["parts"][0]["text"].count(new.name) == 1

    def test_file_that_is_gone_is_uploaded_again(self, attempt, hook, asked):
        hook.delete_file(asked.name)

        [job] = attempt({"files": asked.name, "prompt": "x"}, find_upload={asked.name: asked}.get)

        assert job.state == "PENDING"
        assert sum(file.mime_type == "text/plain" for file in hook.list_files()) == 1

    def test_file_whose_source_is_not_known_fails_before_a_job_is_submitted(self, attempt, asked, hook, emulator):
        hook.delete_file(asked.name)
        emulator.clear_journal()

        with pytest.raises(e.GeminiFileGoneError, match="No upload task of this run has recorded where it came from"):
            attempt({"files": asked.name, "prompt": "x"}, find_upload={}.get)

        assert calls(emulator, "start", "create_batch") == []

    def test_replaced_file_keeps_the_fingerprint(self, attempt, hook, asked):
        [job] = attempt({"files": asked.name, "prompt": "x"})
        hook.delete_file(asked.name)

        assert attempt({"files": asked.name, "prompt": "x"}, is_retry=True) == [job]

    def test_file_that_is_still_processed_is_not_asked_about(self, attempt, hook, video_file, emulator):
        emulator.settings.video_seconds = 600
        video = hook.upload_file(video_file)

        with pytest.raises(e.GeminiFileNotActiveError):
            attempt({"files": video.name, "prompt": "x"})

        assert calls(emulator, "create_batch") == []


class TestInput:
    def test_requests_beyond_the_limit_of_a_file_are_refused(self, attempt, emulator, monkeypatch):
        monkeypatch.setattr(batch_input, "MAX_FILE_BYTES", 300)

        with pytest.raises(
            e.GeminiInputError, match=r"The 20 requests of one job have more than 300 B.* set max_requests"
        ):
            attempt(*map(str, range(20)))

        assert calls(emulator, "start", "create_batch") == []
        assert len(attempt(*map(str, range(20)), max_requests=2)) == 10

    def test_requests_beyond_the_storage_of_the_project_are_refused(self, attempt, connect, emulator):
        connect(host=emulator.base_url, extra={"quota_bytes": 100})

        with pytest.raises(
            e.GeminiInputError, match=r"more than the whole storage of the project \(100 B; quota_bytes"
        ):
            attempt()

        assert calls(emulator, "start", "create_batch") == []

    def test_requests_that_change_while_they_are_read_are_not_submitted(self, hook, emulator):
        prompts = ["one", "two"]
        run = hook.batch_run(spec_of(requests=BatchRequests(lambda: from_list(prompts)())))
        [plan] = run.plan()
        prompts[1] = "three"

        with pytest.raises(e.GeminiIntegrityError, match="The requests have changed while they were read"):
            run.submit(plan)

        assert calls(emulator, "start", "create_batch") == []

    def test_text_that_cannot_be_sent_is_refused_with_its_key(self, attempt, emulator):
        with pytest.raises(e.GeminiInputError, match=r"Request 'b' has half of a character"):
            attempt("x", {"key": "b", "prompt": "\ud800"})

        assert calls(emulator, "start", "create_batch") == []

    def test_requests_can_each_have_a_configuration_of_their_own(self, attempt):
        asked = [{"prompt": "x", "generation_config": {"seed": number}} for number in range(150)]

        [job] = attempt(*asked)

        assert job.counts["total"] == 150

    def test_each_request_is_sent_with_its_configuration(self, attempt, hook, clock):
        [job] = attempt(
            "one",
            {"key": "b", "prompt": "two", "system_instruction": "Be brief."},
            {"key": "c", "contents": ["Grüße 🎬"]},
            words={"prompt": None, "model": MODEL},
        )
        clock.advance(JOB_SECONDS)

        rows = rows_of(hook, [job])

        assert [row["key"] for row in rows] == ["0", "b", "c"]
        texts = [row["response"]["candidates"][0]["content"]["parts"][0]["text"] for row in rows]
        assert ["one" in texts[0], "Be brief." in texts[1], "Grüße 🎬" in texts[2]] == [True] * 3


class TestOutput:
    @pytest.fixture
    def land(self, hook, clock, tmp_path) -> Callable[..., list[dict[str, Any]]]:
        """Return a function that writes the answers of jobs, and returns the rows."""

        def write(run: BatchRun, *submitted: BatchJob, known: bool = True) -> list[dict[str, Any]]:
            clock.advance(JOB_SECONDS)
            results = Results()
            with ExitStack() as opened:
                run.collect([hook.get_batch(job.name) for job in submitted], results, opened)
                tally = run.write(results, Output(tmp_path / "out.jsonl"), known=known)
            rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
            assert tally.total == len(rows)
            return rows

        return write

    def test_rows_are_in_the_order_of_the_requests_over_all_jobs(self, attempt, new_run, land, emulator):
        emulator.faults.add("create_batch", "rows_shuffled", times=3)
        asked = [{"key": key, "prompt": "x"} for key in "edcba"]
        submitted = attempt(*asked, max_requests=2)

        rows = land(new_run(*asked, max_requests=2), *submitted)

        assert [row["key"] for row in rows] == list("edcba")
        assert all(row["error"] is None for row in rows)

    def test_rows_of_a_further_job_replace_those_that_failed(self, attempt, new_run, land, emulator):
        emulator.faults.add("create_batch", "rows_failed", keys=["1"])
        [first] = attempt("a", "b", "c")
        run = new_run("a", "b", "c")
        [plan] = run.plan(["1"], again=1)
        assert plan.part.count == 1
        second = run.submit(plan)

        rows = land(run, first, second)

        assert [row["error"] for row in rows] == [None] * 3

    def test_further_job_is_found_like_the_first(self, attempt, new_run, hook):
        attempt("a", "b")
        run = new_run("a", "b", is_retry=True)
        submitted = run.submit(run.plan(["1"], again=1)[0])

        later = new_run("a", "b", is_retry=True)

        assert later.submit(later.plan(["1"], again=1)[0]) == submitted
        assert len(jobs(hook)) == 2

    def test_missing_rows_and_failed_rows_are_told_apart(self, attempt, new_run, land, emulator):
        emulator.faults.add("create_batch", "rows_missing", keys=["1"])
        submitted = attempt("a", "b")

        assert [row["error"] and row["error"]["kind"] for row in land(new_run("a", "b"), *submitted)] == [
            None,
            "missing",
        ]

    def test_requests_that_have_changed_come_in_the_order_of_the_results(self, attempt, new_run, land):
        schema = {"type": "object", "properties": {"a": {"type": "string"}}}
        words = {"response_schema": schema, "model": MODEL}
        submitted = attempt({"key": "x", "prompt": "?"}, {"key": "y", "prompt": "?"}, words=words)

        rows = land(new_run("other", words=words), *submitted, known=False)

        assert [row["key"] for row in rows] == ["x", "y"]
        assert all(isinstance(row["value"], dict) for row in rows)

    def test_results_that_expire_before_they_are_read_are_worth_a_retry(self, attempt, new_run, hook, clock):
        [job] = attempt()
        clock.advance(JOB_SECONDS)
        ended = hook.get_batch(job.name)
        clock.advance(49 * HOUR)

        with ExitStack() as opened, pytest.raises(e.GeminiBatchInterruptedError, match="A retry submits the requests"):
            new_run().collect([ended], Results(), opened)

    def test_key_in_the_error_of_a_row_is_hidden(self, attempt, new_run, land, emulator):
        message = f"key {API_KEY} is suspended"
        emulator.faults.add("create_batch", "rows_failed", error={"code": 403, "message": message})

        rows = land(new_run(), *attempt())

        assert {row["error"]["message"] for row in rows} == {"key *** is suspended"}

    def test_rows_of_files_have_the_names_of_their_sources(self, attempt, new_run, land, hook, tmp_path):
        names = [owned_file(hook, tmp_path / name).name for name in ("b  b.txt", "a.txt")]

        def asked(labels: dict[str, str]) -> BatchRequests:
            return BatchRequests(from_files(names, labels.get), Words(prompt="x", model=MODEL))

        # The names were not known yet, or are not any more, when the job was submitted.
        submitted = attempt(requests=asked({}))
        later = new_run(requests=asked(dict(zip(names, ["b  b.txt", "a.txt"], strict=True))), is_retry=True)
        assert later.submit(later.plan()[0]).name == submitted[0].name

        rows = land(later, *submitted)

        assert [(row["key"], row["files"], row["error"]) for row in rows] == [
            ("b  b.txt", [names[0]], None), ("a.txt", [names[1]], None),
        ]  # fmt: skip

    def test_odd_lines_are_logged(self, attempt, new_run, land, mocker, hook, clock):
        [job] = attempt()
        run = new_run()
        warning = mocker.spy(run._log, "warning")

        def write_odd_lines(_: BatchJob, into: Any) -> int:
            return into.write(b'?\n{"key": "0", "error": {}}\n{"key": "0", "error": {}}\n')

        mocker.patch.object(run._batches, "download_results", side_effect=write_odd_lines)

        land(run, job)

        assert logged_by(warning) == ["2 lines of the results are no results, or repeat a key."]

    def test_rows_are_counted_by_kind(self, attempt, new_run, land, mocker):
        submitted = attempt("a", "b")
        incr = mocker.patch("airflow_provider_gemini_files.hooks.batch_run.Stats.incr")

        land(new_run("a", "b", "c"), *submitted)

        counted = {call.kwargs["tags"]["kind"]: call.args[1] for call in incr.call_args_list}
        assert counted == {"success": 2, "missing": 1, "error": 0, "invalid": 0, "blocked": 0, "cut": 0}
