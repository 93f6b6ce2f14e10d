"""The calls for batch jobs against the emulator."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from support import API_KEY, FakeClock, logged_by, submit_job

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.batches.state import BatchWait
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.in_use import FilesInUse
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

JOB_SECONDS = 600
MODEL = "gemini-2.5-flash"
DAY = 86_400


pytestmark = pytest.mark.usefixtures("slow_jobs")


@pytest.fixture
def new_job(hook: GeminiFilesHook):
    """Return a function that submits a job."""

    def submit(name: str = "films", *keys: str) -> BatchJob:
        return submit_job(hook, name, keys or "ab")

    return submit


def calls(emulator: GeminiEmulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def gateway(status: int) -> dict[str, Any]:
    """Return the page of a gateway."""
    return {"action": "status", "status": status, "body": "<html>no</html>", "content_type": "text/html"}


def by_service(status: int, name: str, message: str = "no") -> dict[str, Any]:
    """Return an error of the service itself."""
    body = {"error": {"code": status, "message": message, "status": name}}
    return {"action": "status", "status": status, "body": body}


class TestSubmit:
    def test_job_is_submitted_with_its_display_name(self, new_job, emulator):
        job = new_job("films")

        assert (job.state, job.display_name, job.model) == ("PENDING", "films", f"models/{MODEL}")
        assert job.counts == {"total": 2, "pending": 2}
        assert job.conn_id == "gemini_default"

    @pytest.mark.parametrize("model", [MODEL, f"models/{MODEL}"])
    def test_model_may_have_its_prefix(self, hook, new_job, model):
        file = hook.upload_bytes(b'{"key": "a", "request": {}}', "in.jsonl", mime_type="application/jsonl")

        assert hook.batches.submit(model, "films", file.name).model == f"models/{MODEL}"

    @pytest.mark.parametrize("action", ["overloaded", "internal", "outage", "reset", "created_then_internal"])
    def test_request_is_sent_once(self, new_job, emulator, action):
        emulator.faults.add("create_batch", action)

        with pytest.raises(e.GeminiServiceError):
            new_job()

        assert calls(emulator).count("create_batch") == 1

    @pytest.mark.parametrize("action", ["batches_full", "enqueued_full"])
    def test_service_that_takes_no_further_job_is_a_rate_limit(self, new_job, emulator, action):
        emulator.faults.add("create_batch", action)

        with pytest.raises(e.GeminiRateLimitError):
            new_job()

        assert calls(emulator).count("create_batch") == 1

    def test_key_without_batches_is_an_error_of_the_connection(self, new_job, emulator):
        emulator.faults.add("create_batch", "no_batches")

        with pytest.raises(e.GeminiAuthError, match="no quota at all for this model"):
            new_job()


class TestGet:
    def test_job_is_returned_as_it_is_now(self, hook, new_job, clock):
        job = new_job()
        clock.advance(JOB_SECONDS)

        found = hook.get_batch(job.name.removeprefix("batches/"))

        assert (found.name, found.state, found.counts) == (job.name, "SUCCEEDED", {"total": 2, "successful": 2})
        assert found.output_file.startswith("files/batch-")
        assert hook.get_batch({"name": job.name}) == found

    @pytest.mark.parametrize(("action", "code"), [("batch_failed", 13), ("batch_expired", 4)])
    def test_reason_of_a_job_without_results_is_read(self, hook, new_job, clock, emulator, action, code):
        emulator.faults.add("create_batch", action)
        job = new_job()
        clock.advance(JOB_SECONDS)

        assert hook.get_batch(job.name).error["code"] == code

    def test_key_in_the_reason_of_a_failed_job_is_hidden(self, hook, new_job, clock, emulator):
        message = f"key {API_KEY} is suspended"
        emulator.faults.add("create_batch", "batch_failed", error={"code": 7, "message": message})
        job = new_job()
        clock.advance(JOB_SECONDS)

        assert hook.get_batch(job.name).error == {"code": 7, "message": "key *** is suspended"}
        assert API_KEY not in str(hook.list_batches())

    def test_job_that_does_not_exist_is_gone(self, hook):
        with pytest.raises(e.GeminiBatchGoneError, match=r"batches/unknown does not exist: it was deleted, or belongs"):
            hook.get_batch("unknown")

    def test_404_of_a_gateway_says_nothing_about_the_job(self, hook, new_job, emulator):
        job = new_job()
        emulator.faults.add("get_batch", **gateway(404), times=2)

        with pytest.raises(e.GeminiServiceError, match="not the Gemini API's own response"):
            hook.get_batch(job.name)

        assert hook.get_batch(job.name) == job

    def test_failure_of_the_service_is_repeated(self, hook, new_job, emulator):
        job = new_job()
        emulator.faults.add("get_batch", "overloaded")

        assert hook.get_batch(job.name) == job

    @pytest.mark.parametrize("body", [{}, {"name": 5}, {"name": "files/a"}, {"metadata": {}}])
    def test_job_that_cannot_be_read_is_a_failure_of_the_service(self, hook, emulator, body):
        emulator.faults.add("get_batch", "status", status=200, body=body, times=2)

        with pytest.raises(e.GeminiServiceError, match="a batch job that cannot be read"):
            hook.get_batch("batches/a")

    @pytest.mark.parametrize("name", [None, "", "files/abc", 5])
    def test_name_that_cannot_be_one_is_refused_before_anything_is_sent(self, hook, emulator, name):
        with pytest.raises(e.GeminiInputError, match="is not the name of a batch job"):
            hook.get_batch(name)

        assert calls(emulator) == []


class TestList:
    @pytest.fixture
    def jobs(self, emulator, hook, clock):
        """Return many jobs, one created each hour; the newest first."""
        emulator.settings.max_batches = 1000
        file = hook.upload_bytes(b'{"key": "a", "request": {}}', "in.jsonl", mime_type="application/jsonl")
        names = []
        for _ in range(250):
            names.insert(0, hook.batches.submit(MODEL, "films", file.name).name)
            clock.advance(1)
        emulator.clear_journal()
        return names

    def test_every_page_is_read_newest_first(self, hook, jobs, emulator):
        assert [job.name for job in hook.list_batches()] == jobs
        assert calls(emulator) == ["list_batches"] * 3

    def test_list_stops_after_a_page_of_old_jobs(self, hook, jobs, emulator, clock):
        found = hook.batches.list_batches(since=clock.now() - 50)

        # The second page is the first one that has only old jobs.
        assert [job.name for job in found] == jobs[:200]
        assert calls(emulator) == ["list_batches"] * 2

    def test_list_goes_on_after_a_page_with_a_job_of_unknown_age(self, hook, emulator):
        old = {"name": "batches/a", "metadata": {"state": "BATCH_STATE_PENDING"}}
        emulator.faults.add("list_batches", "status", status=200, body={"operations": [old], "nextPageToken": "t"})
        emulator.faults.add("list_batches", "status", status=200, nth=2, body={"operations": [{**old, "name": "b"}]})

        assert [job.name for job in hook.batches.list_batches(since=10**10)] == ["batches/a", "batches/b"]

    def test_list_that_is_not_newest_first_is_read_to_its_end(self, hook, emulator, clock):
        def operation(name: str, age: int) -> dict[str, Any]:
            time = datetime.fromtimestamp(clock.now() - age * DAY, UTC).isoformat()
            return {"name": f"batches/{name}", "metadata": {"state": "BATCH_STATE_PENDING", "createTime": time}}

        for nth, (names, token) in enumerate([("ab", {"nextPageToken": "t"}), ("cd", {})], 1):
            operations = [operation(name, 9 - nth * 2 - at) for at, name in enumerate(names)]
            emulator.faults.add("list_batches", "status", status=200, nth=nth, body={"operations": operations, **token})

        found = hook.batches.list_batches(since=clock.now() - 4.5 * DAY)

        assert [job.name for job in found] == ["batches/a", "batches/b", "batches/c", "batches/d"]

    def test_project_without_jobs_has_an_empty_list(self, hook):
        assert hook.list_batches() == []

    def test_repeated_page_token_is_an_error(self, hook, jobs, emulator):
        emulator.faults.add("list_batches", "same_page_token", times=None)

        with pytest.raises(e.GeminiServiceError, match="Cannot list batches: the service returned the same page token"):
            hook.list_batches()


class TestWait:
    def wait_for(self, clock: FakeClock, *names: str) -> BatchWait:
        return BatchWait(names, Schedule(clock.now(), clock.now() + DAY, 60, 60))

    def test_worker_waits_until_all_jobs_have_results(self, hook, new_job, clock):
        first, second = new_job(), new_job()

        ended = hook.batches.finish(self.wait_for(clock, second.name, first.name))

        assert [job.name for job in ended] == [second.name, first.name]
        assert all(job.has_results for job in ended)
        assert clock.passed == JOB_SECONDS

    def test_job_that_has_succeeded_is_polled_until_its_file_is_there(self, hook, new_job, clock, emulator):
        emulator.faults.add("create_batch", "batch_output_late", seconds=90)
        job = new_job()

        [ended] = hook.batches.finish(self.wait_for(clock, job.name))

        assert ended.output_file
        assert clock.passed == JOB_SECONDS + 120

    @pytest.mark.parametrize(
        ("action", "error"),
        [("batch_failed", e.GeminiBatchInterruptedError), ("batch_expired", e.GeminiBatchExpiredError)],
    )
    def test_job_that_ends_badly_ends_the_wait(self, hook, new_job, clock, emulator, action, error):
        emulator.faults.add("create_batch", action)
        job = new_job()

        with pytest.raises(error):
            hook.batches.finish(self.wait_for(clock, job.name))


class TestCancel:
    def test_job_is_cancelled(self, hook, new_job):
        job = new_job()

        assert hook.cancel_batch(job.to_dict())
        assert hook.get_batch(job.name).state == "CANCELLED"

    def test_job_that_has_ended_is_not_cancelled(self, hook, new_job, clock):
        job = new_job()
        clock.advance(JOB_SECONDS)

        assert not hook.cancel_batch(job.name)
        assert hook.get_batch(job.name).state == "SUCCEEDED"

    def test_refusal_for_a_job_that_has_just_ended_is_no_error(self, hook, new_job, clock, emulator, mocker):
        job = new_job()
        emulator.faults.add("cancel_batch", **by_service(400, "FAILED_PRECONDITION"))
        get = hook.batches.get_batch

        def then_it_ends(name: str) -> BatchJob:
            found = get(name)
            clock.advance(JOB_SECONDS)
            return found

        mocker.patch.object(hook.batches, "get_batch", side_effect=then_it_ends)

        assert not hook.cancel_batch(job.name)

    def test_refusal_for_a_running_job_is_an_error(self, hook, new_job, emulator):
        job = new_job()
        emulator.faults.add("cancel_batch", **by_service(400, "FAILED_PRECONDITION"))

        with pytest.raises(e.GeminiInputError, match=f"Cannot cancel {job.name}"):
            hook.cancel_batch(job.name)

    def test_job_that_does_not_exist_is_ignored_or_an_error(self, hook):
        assert not hook.cancel_batch("batches/unknown")
        with pytest.raises(e.GeminiBatchGoneError):
            hook.cancel_batch("batches/unknown", ignore_missing=False)

    def test_lost_answer_is_repeated(self, hook, new_job, emulator):
        job = new_job()
        emulator.faults.add("cancel_batch", "lose_answer")

        assert hook.cancel_batch(job.name)


class TestDelete:
    def test_job_that_has_ended_is_deleted_and_its_results_stay(self, hook, new_job, clock):
        job = new_job()
        clock.advance(JOB_SECONDS)
        output = hook.get_batch(job.name).output_file

        assert hook.delete_batch(job.name)
        assert not hook.delete_batch(job.name)
        assert hook.get_file(output).name == output

    @pytest.mark.parametrize("seconds", [0, JOB_SECONDS - 1])
    def test_job_that_has_not_ended_is_not_deleted(self, hook, new_job, clock, seconds, emulator):
        job = new_job()
        clock.advance(seconds)

        with pytest.raises(e.GeminiInputError, match=f"{job.name} is .*ING and was not deleted: cancel it first"):
            hook.delete_batch(job.name)

        assert "delete_batch" not in calls(emulator)

    def test_job_that_does_not_exist_is_ignored_or_an_error(self, hook):
        assert not hook.delete_batch("batches/unknown")
        with pytest.raises(e.GeminiBatchGoneError):
            hook.delete_batch("batches/unknown", ignore_missing=False)

    def test_lost_answer_of_a_deletion_is_a_success(self, hook, new_job, clock, emulator):
        job = new_job()
        clock.advance(JOB_SECONDS)
        emulator.faults.add("delete_batch", "lose_answer")

        assert hook.delete_batch(job.name, ignore_missing=False)


class TestFilesInUse:
    OWNER = Owner("dag", "run", "task", deployment="here")
    OLD = GeminiFile("files/old", state="ACTIVE", create_time="2020-01-01T00:00:00Z")

    def test_files_of_marked_jobs_are_in_use_until_they_end(self, hook, new_job, clock):
        mark = BatchMark("0" * 24, self.OWNER, "files/in", ("files/a",))
        new_job(mark.display_name("ask"))

        assert hook.batches.files_in_use() == FilesInUse(frozenset({"files/in", "files/a"}))
        clock.advance(JOB_SECONDS)
        assert hook.batches.files_in_use() == FilesInUse()

    def test_job_of_another_tool_may_need_every_older_file(self, hook, new_job):
        job = new_job("theirs")

        found = hook.batches.files_in_use()

        assert found.before == job.created_at()
        assert job.name in found.reason(self.OLD)

    def test_jobs_of_other_days_have_certainly_ended_and_are_not_read(self, hook, clock, emulator):
        emulator.settings.batch_expiry_seconds = 30 * DAY
        emulator.faults.add("create_batch", "batch_stuck", times=None)
        emulator.settings.max_batches = 1000
        file = hook.upload_bytes(b'{"key": "a", "request": {}}', "in.jsonl", mime_type="application/jsonl")
        for _ in range(110):
            hook.batches.submit(MODEL, "theirs", file.name)
        clock.advance(5 * DAY)
        emulator.clear_journal()

        hook.batches.files_in_use()

        assert calls(emulator) == ["list_batches"]

    @pytest.mark.parametrize(
        "fault",
        [
            {"action": "internal"},
            {"action": "outage"},
            {"action": "reset"},
            {"action": "rate_limit", "seconds": 1},
            {"action": "forbidden"},
            {"action": "bad_key"},
            gateway(404),
            gateway(403),
            gateway(200),
            by_service(400, "INVALID_ARGUMENT"),
            by_service(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
            by_service(501, "UNIMPLEMENTED"),
        ],
        ids=lambda fault: f"{fault['action']}-{fault.get('status')}",
    )
    def test_every_file_may_be_in_use_if_the_jobs_cannot_be_listed(self, hook, emulator, fault):
        emulator.faults.add("list_batches", **fault, times=None)

        found = hook.batches.files_in_use()

        assert found.before == float("inf")
        assert found.reason(self.OLD).startswith(
            "the batch jobs, one of which may need it, cannot be listed: Cannot list"
        )
        assert API_KEY not in found.why

    def test_api_without_batches_has_no_files_in_use(self, hook, emulator):
        emulator.faults.add("list_batches", **by_service(404, "NOT_FOUND"))

        assert hook.batches.files_in_use() == FilesInUse()

    def test_second_page_that_fails_makes_the_jobs_unknown(self, hook, emulator, new_job):
        operation = {"name": "batches/a", "metadata": {"state": "BATCH_STATE_SUCCEEDED"}}
        body = {"operations": [operation], "nextPageToken": "t"}
        emulator.faults.add("list_batches", "status", status=200, body=body)
        emulator.faults.add("list_batches", "forbidden", nth=2)

        assert hook.batches.files_in_use().before == float("inf")

    @pytest.mark.parametrize("operation", [None, "?", {}, {"name": 5}, {"name": "operations/a"}])
    def test_job_that_cannot_be_read_may_need_every_file(self, hook, emulator, operation):
        emulator.faults.add("list_batches", "status", status=200, body={"operations": [operation]})

        found = hook.batches.files_in_use()

        assert found.reason(self.OLD) == (
            "the batch jobs, one of which may need it, cannot be listed: 1 of the batch jobs cannot be read."
        )


class TestFilesCertainlyInUse:
    def test_files_of_this_package_are_certainly_in_use_and_those_of_others_are_not(self, hook, new_job):
        new_job("theirs")
        new_job(BatchMark("0" * 24, None, "files/in", ("files/a",)).display_name("ask"))

        found = hook.batches.files_certainly_in_use()

        assert found.is_certain(GeminiFile("files/a"))
        assert not found.is_certain(TestFilesInUse.OLD)

    @pytest.mark.parametrize(
        "fault",
        [{"action": "internal"}, {"action": "reset"}, {"action": "rate_limit", "seconds": 1}, gateway(404)],
        ids=lambda fault: f"{fault['action']}-{fault.get('status')}",
    )
    def test_list_that_may_be_read_later_is_an_error_that_is_retried(self, hook, emulator, fault):
        emulator.faults.add("list_batches", **fault, times=None)

        with pytest.raises(e.GeminiFilesError) as raised:
            hook.batches.files_certainly_in_use()

        assert not isinstance(raised.value, e.GeminiPermanentError)

    def test_job_that_cannot_be_read_is_an_error_that_is_retried(self, hook, emulator):
        emulator.faults.add("list_batches", "status", status=200, body={"operations": [{"name": "batches/a.b"}]})

        with pytest.raises(e.GeminiServiceError, match="1 of the batch jobs cannot be read"):
            hook.batches.files_certainly_in_use()

    @pytest.mark.parametrize("fault", [{"action": "forbidden"}, by_service(404, "NOT_FOUND")], ids=["403", "404"])
    def test_key_that_cannot_have_submitted_jobs_has_no_files_in_use(self, hook, emulator, fault):
        emulator.faults.add("list_batches", **fault, times=None)

        assert hook.batches.files_certainly_in_use() == FilesInUse()


class TestResults:
    @pytest.fixture
    def ended(self, hook, new_job, clock):
        job = new_job("films", "a", "b", "c")
        clock.advance(JOB_SECONDS)
        return hook.get_batch(job.name)

    def test_results_are_downloaded_and_logged(self, hook, ended, mocker):
        info = mocker.spy(hook.log, "info")
        into = io.BytesIO(b"old bytes" * 10_000)

        size = hook.batches.download_results(ended, into)

        assert len(into.getvalue()) == size
        assert [json.loads(line)["key"] for line in into.getvalue().splitlines()] == ["a", "b", "c"]
        assert any(line.startswith("Downloaded ") and ended.output_file in line for line in logged_by(info))

    def test_connection_that_breaks_is_logged_and_repeated(self, hook, ended, emulator, mocker):
        warning = mocker.spy(hook.log, "warning")
        emulator.faults.add("download", "cut_body", after_bytes=50)
        into = io.BytesIO()

        assert hook.batches.download_results(ended, into) == hook.get_file(ended.output_file).size_bytes

        [line] = logged_by(warning)
        assert line.startswith(f"Cannot download {ended.output_file}")
        assert line.endswith("The download resumes in 1.0 s.")

    def test_url_that_a_download_is_redirected_to_is_not_logged(self, hook, ended, emulator):
        # Its query can be a secret that authorises anyone who has it.
        emulator.settings.redirect_downloads = True
        lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.getMessage())
        log = logging.getLogger("httpx")
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        try:
            hook.batches.download_results(ended, io.BytesIO())
        finally:
            log.removeHandler(handler)
            log.setLevel(logging.NOTSET)

        assert lines == []

    def test_results_that_have_expired_are_gone(self, hook, ended, clock):
        clock.advance(49 * 3600)

        with pytest.raises(e.GeminiFileGoneError, match=f"The results of {ended.name} no longer exist"):
            hook.batches.download_results(ended, io.BytesIO())

    def test_job_with_its_results_in_itself_has_no_file(self, hook):
        with pytest.raises(e.GeminiInputError, match="batches/a has no result file: its results are in the job itself"):
            hook.batches.download_results(BatchJob("batches/a", "SUCCEEDED", is_inline=True), io.BytesIO())
