"""One batch of a task: each job is submitted once, whatever fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from batch_attempts import (
    MODEL,
    OWNER,
    calls,
    inputs,
    jobs,
    spec_of,
)
from support import logged_by
from transfer_store import Store

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.hooks import batch_input
from airflow_provider_gemini_files.hooks.batch_run import LIST_LAG_SECONDS
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

#: An answer of the list in which a new job is missing.
EMPTY_LIST = {"action": "status", "status": 200, "body": {}}


pytestmark = pytest.mark.usefixtures("slow_jobs")


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

    def test_refusal_without_a_reason_names_what_could_be_the_cause(self, attempt, emulator):
        error = {"code": 400, "status": "INVALID_ARGUMENT", "message": "Request contains an invalid argument."}
        emulator.faults.add("create_batch", "status", status=400, body={"error": error})

        with pytest.raises(
            e.GeminiInputError, match=r"could be the cause: model gemini-.*, or one of the \d+ requests"
        ):
            attempt()

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
