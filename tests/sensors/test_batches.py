"""The sensor for batch jobs, in a worker and in the triggerer."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from support import FakeClock, logged_by, seed, submit_job

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.events import batches_event
from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.events import error_event
from airflow_provider_gemini_files.sensors import base
from airflow_provider_gemini_files.sensors.batches import GeminiBatchSensor
from airflow_provider_gemini_files.triggers.batches import GeminiBatchTrigger

JOB_SECONDS = 600


@pytest.fixture
def emulator(emulator: GeminiEmulator) -> GeminiEmulator:
    emulator.settings.job_seconds = JOB_SECONDS
    return emulator


@pytest.fixture(autouse=True)
def same_clock(clock, monkeypatch) -> None:
    """Let the sensor and its hook live in the time of Airflow's loop of pokes."""
    monkeypatch.setattr(base, "SYSTEM_CLOCK", clock)
    monkeypatch.setattr(base, "GeminiFilesHook", partial(base.GeminiFilesHook, clock=clock))


def sensor(batch_name: Any, **arguments: Any) -> GeminiBatchSensor:
    return GeminiBatchSensor(task_id="wait", batch_name=batch_name, **arguments)


def deferred_by(one: GeminiBatchSensor, context: dict[str, object]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        one.execute(context)
    return deferred.value


def event_of(deferred: TaskDeferred, clock: FakeClock) -> dict[str, Any]:
    """Run a trigger as a triggerer does, from its row."""
    _, row = deferred.trigger.serialize()

    async def first() -> dict[str, Any]:
        trigger = GeminiBatchTrigger(**json.loads(json.dumps(row)), clock=clock)
        return (await anext(trigger.run())).payload

    return json.loads(json.dumps(asyncio.run(first())))


class TestInTheWorker:
    def test_job_is_waited_for(self, hook, context, clock):
        job = submit_job(hook)

        assert sensor(job.name).execute(context) == job.name
        assert clock.passed >= JOB_SECONDS

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_job_that_has_ended_is_returned_at_once(self, hook, context, clock, deferrable):
        job = submit_job(hook)
        clock.advance(JOB_SECONDS)

        assert sensor(job.name, deferrable=deferrable).execute(context) == job.name
        assert sensor([job.name], deferrable=deferrable).execute(context) == [job.name]

    @pytest.mark.parametrize("form", [lambda name: name.removeprefix("batches/"), lambda name: {"name": name}])
    def test_every_form_of_a_name_is_accepted(self, hook, context, clock, form):
        job = submit_job(hook)
        clock.advance(JOB_SECONDS)

        assert sensor(form(job.name)).execute(context) == job.name

    def test_list_of_jobs_is_waited_for_in_order_without_duplicates(self, hook, context):
        first, second = submit_job(hook).name, submit_job(hook).name

        assert sensor([second, {"name": first}, second]).execute(context) == [second, first]

    def test_job_that_has_succeeded_is_waited_for_until_its_file_is_there(self, hook, context, clock, emulator):
        emulator.faults.add("create_batch", "batch_output_late", seconds=600)
        job = submit_job(hook)

        sensor(job.name).execute(context)

        assert clock.passed >= JOB_SECONDS + 600

    def test_poke_tells_whether_all_jobs_have_ended(self, hook, context, clock):
        job = submit_job(hook)
        one = sensor(job.name)

        assert not one.poke(context).is_done
        clock.advance(JOB_SECONDS)
        assert (one.poke(context).is_done, one.poke(context).xcom_value) == (True, job.name)

    def test_poke_of_a_new_process_goes_on_as_in_mode_reschedule(self, hook, context, clock):
        job = submit_job(hook)
        context["ti"].get_first_reschedule_date = lambda _: None

        polled = []
        for _ in range(4):
            polled.append(sensor(job.name, mode="reschedule").poke(context).is_done)
            clock.advance(JOB_SECONDS / 3 + 1)

        assert polled == [False, False, False, True]

    def test_job_that_has_ended_is_not_polled_again(self, hook, context, clock, emulator):
        first = submit_job(hook)
        clock.advance(JOB_SECONDS / 2)
        second = submit_job(hook)
        clock.advance(JOB_SECONDS / 2)
        one = sensor([first.name, second.name])
        assert not one.poke(context).is_done
        emulator.clear_journal()

        one.poke(context)

        assert [entry["path"].rpartition("/v1beta/")[2] for entry in emulator.journal] == [second.name]

    def test_poke_logs_the_progress(self, hook, context, clock, mocker):
        job = submit_job(hook, keys="abcd")
        clock.advance(JOB_SECONDS * 0.75)
        one = sensor(job.name)
        info = mocker.spy(one.log, "info")

        one.poke(context)

        assert f"{job.name} (RUNNING, 2 of 4 requests done) to end" in logged_by(info)[-1]

    def test_poke_tolerates_a_failing_service_as_the_triggerer_does(self, hook, context, emulator, connect):
        connect(host=emulator.base_url, extra={"max_retries": 0})
        job = submit_job(hook)
        emulator.faults.add("get_batch", "internal", times=5)
        one = sensor(job.name)

        for _ in range(4):
            assert not one.poke(context).is_done
        with pytest.raises(e.GeminiServiceError, match="5 polls failed in a row"):
            one.poke(context)

    def test_timeout_is_a_sensor_timeout(self, hook, context, emulator):
        emulator.faults.add("create_batch", "batch_stuck")
        job = submit_job(hook)

        with pytest.raises(AirflowSensorTimeout):
            sensor(job.name, timeout=3600).execute(context)


class TestInTheTriggerer:
    def test_wait_continues_in_the_triggerer(self, hook, context, clock):
        first, second = submit_job(hook).name, submit_job(hook).name
        one = sensor([second, first], deferrable=True)

        event = event_of(deferred_by(one, context), clock)

        assert one.execute_complete(context, event) == [second, first]
        assert clock.passed >= JOB_SECONDS

    def test_trigger_has_the_names_and_times_of_the_sensor(self, hook, context):
        job = submit_job(hook)

        deferred = deferred_by(sensor({"name": job.name}, deferrable=True, poke_interval=30, timeout=7200), context)

        path, row = deferred.trigger.serialize()
        assert path == "airflow_provider_gemini_files.triggers.batches.GeminiBatchTrigger"
        assert row["batch_names"] == [job.name]
        assert (row["poll_interval"], row["max_poll_interval"]) == (30, 300)
        assert row["deadline"] - row["began"] == 7200
        assert deferred.timeout.total_seconds() == pytest.approx(7260, abs=5)
        assert "test-key" not in json.dumps(row)

    def test_event_gives_the_names_back_in_the_form_they_were_given(self, context):
        event = batches_event([BatchJob("batches/a", "SUCCEEDED", output_file="files/r")])

        assert sensor("batches/a").execute_complete(context, event) == "batches/a"
        assert sensor({"name": "a"}).execute_complete(context, event) == "batches/a"
        assert sensor(["a"]).execute_complete(context, event) == ["batches/a"]

    def test_error_of_the_trigger_keeps_its_class(self, context):
        with pytest.raises(e.GeminiBatchInterruptedError, match="internal"):
            sensor("a").execute_complete(context, error_event(e.GeminiBatchInterruptedError("internal")))

    def test_timeout_in_the_triggerer_is_a_sensor_timeout(self, hook, context, clock, emulator):
        emulator.faults.add("create_batch", "batch_stuck")
        one = sensor(submit_job(hook).name, deferrable=True, timeout=3600)

        with pytest.raises(
            AirflowSensorTimeout, match=r"PENDING, 0 of 2 requests done\) to end.*the deadline has passed"
        ):
            one.execute_complete(context, event_of(deferred_by(one, context), clock))


class TestJobsWithoutResults:
    @pytest.fixture(params=["in the worker", "in the triggerer"])
    def outcome(self, request, context, clock):
        """Return a function that waits for a job in one of the two ways."""

        def wait(one: GeminiBatchSensor) -> Any:
            if request.param == "in the worker":
                return one.execute(context)
            one.deferrable = True
            try:
                return one.execute(context)
            except TaskDeferred as deferred:
                return one.execute_complete(context, event_of(deferred, clock))

        return wait

    @pytest.fixture(params=["at once", "later"])
    def ended(self, request, clock):
        """Return a function that lets jobs end before the first poll, or after it."""
        return lambda: clock.advance(JOB_SECONDS if request.param == "at once" else 0)

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ({"action": "batch_failed"}, e.GeminiBatchInterruptedError),
            ({"action": "batch_failed", "error": {"code": 3, "message": "odd"}}, e.GeminiBatchFailedError),
            ({"action": "batch_expired"}, e.GeminiBatchExpiredError),
        ],
    )
    def test_error_says_how_the_job_has_ended(self, hook, emulator, outcome, ended, fault, error):
        emulator.faults.add("create_batch", **fault)
        job = submit_job(hook)
        ended()

        with pytest.raises(error, match=job.name):
            outcome(sensor(job.name))

    def test_job_that_was_cancelled_is_an_error(self, hook, outcome):
        job = submit_job(hook)
        hook.cancel_batch(job.name)

        with pytest.raises(e.GeminiBatchCancelledError):
            outcome(sensor(job.name))

    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_job_whose_results_never_appear_is_an_error_in_every_process(self, hook, context, clock, emulator, mode):
        emulator.faults.add("create_batch", "batch_output_late", seconds=10**6)
        context["ti"].get_first_reschedule_date = lambda _: None
        job = submit_job(hook)
        clock.advance(JOB_SECONDS + 3500)
        assert not sensor(job.name, mode=mode).poke(context).is_done
        # More than is missing, as the service's clock runs on on a busy machine.
        clock.advance(300)

        with pytest.raises(e.GeminiBatchInterruptedError, match="has no result file after 60 minutes"):
            sensor(job.name, mode=mode).poke(context)

    def test_job_that_is_gone_is_an_error_after_five_minutes(self, outcome, clock):
        with pytest.raises(e.GeminiBatchGoneError, match="batches/unknown does not exist"):
            outcome(sensor("batches/unknown"))

        assert 300 <= clock.passed <= 360.5

    def test_job_that_the_service_does_not_know_everywhere_yet_is_waited_for(self, hook, outcome, emulator):
        job = submit_job(hook)
        # The first poll is in the worker in both ways.
        gone = {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"}
        emulator.faults.add("get_batch", "status", status=404, body={"error": gone})

        assert outcome(sensor(job.name)) == job.name

    def test_soft_fail_skips_the_task(self, hook, emulator, outcome, ended):
        emulator.faults.add("create_batch", "batch_failed", error={"code": 3, "message": "odd"})
        job = submit_job(hook)
        ended()

        with pytest.raises(AirflowSkipException):
            outcome(sensor(job.name, soft_fail=True))

    def test_soft_fail_skips_the_task_after_the_timeout(self, hook, emulator, outcome):
        emulator.faults.add("create_batch", "batch_stuck")

        with pytest.raises(AirflowSkipException):
            outcome(sensor(submit_job(hook).name, soft_fail=True, timeout=3600))

    def test_soft_fail_does_not_skip_the_task_if_a_retry_may_help(self, hook, emulator, outcome, ended):
        emulator.faults.add("create_batch", "batch_expired")
        job = submit_job(hook)
        ended()

        with pytest.raises(e.GeminiBatchExpiredError):
            outcome(sensor(job.name, soft_fail=True))

    def test_never_fail_skips_the_task_for_every_error(self, hook, emulator, outcome, ended):
        emulator.faults.add("create_batch", "batch_expired")
        job = submit_job(hook)
        ended()

        with pytest.raises(AirflowSkipException):
            outcome(sensor(job.name, never_fail=True))

    @pytest.mark.parametrize("wrong", [None, "", [], "files/a", "None", 5])
    def test_anything_but_jobs_is_refused(self, outcome, emulator, wrong):
        with pytest.raises(e.GeminiInputError):
            outcome(sensor(wrong))


def test_result_in_the_job_itself_is_a_result(emulator, context):
    seed(emulator.base_url, "batches/inline")

    assert sensor("batches/inline").execute(context) == "batches/inline"
