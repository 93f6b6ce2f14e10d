"""The batch operators against the emulator, on a clock that passes at once."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.providers.common.compat.sdk import Asset, Stats, TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors
from pydantic import BaseModel
from support import API_KEY, FakeClock, logged_by

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.batch import Batch
from airflow_provider_gemini_files.hooks.batch_run import LIST_LAG_SECONDS
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.batches import (
    GeminiBatchGenerateContentOperator,
    GeminiCancelBatchOperator,
    GeminiDeleteBatchOperator,
    GeminiGetBatchOperator,
    GeminiListBatchesOperator,
)
from airflow_provider_gemini_files.operators.files import GeminiDeleteFileOperator, GeminiUploadFileOperator

JOB_SECONDS = 600


class Count(BaseModel):
    """What is asked for."""

    crates: int


@pytest.fixture
def emulator(emulator: GeminiEmulator) -> GeminiEmulator:
    emulator.settings.job_seconds = JOB_SECONDS
    return emulator


@pytest.fixture(autouse=True)
def clock(emulator: GeminiEmulator, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock(emulator)
    monkeypatch.setattr(GeminiOperator, "clock", clock)
    return clock


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "answers.jsonl"


@pytest.fixture
def batch(output: Path):
    def operator(**arguments: Any) -> GeminiBatchGenerateContentOperator:
        arguments = {"task_id": "extract", "output_path": str(output), "deferrable": False, **arguments}
        return GeminiBatchGenerateContentOperator(**arguments)

    return operator


@pytest.fixture
def files(hook: GeminiFilesHook, tmp_path: Path) -> list[str]:
    names = []
    for number in range(3):
        path = tmp_path / f"note{number}.txt"
        path.write_text(f"note {number}")
        names.append(hook.upload_file(path).name)
    return names


class Store:
    """A task state store, as Airflow 3.3 has one."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self.values[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


@pytest.fixture
def store(context: dict[str, Any]) -> Store:
    context["task_state_store"] = Store()
    return context["task_state_store"]


def rows(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text().splitlines()]


def jobs(emulator: GeminiEmulator) -> list[dict[str, Any]]:
    response = httpx.get(f"{emulator.base_url}/v1beta/batches", headers={"x-goog-api-key": API_KEY})
    return response.json().get("operations", [])


def posted(emulator: GeminiEmulator) -> int:
    return sum(entry["call"] == "create_batch" for entry in emulator.journal)


def resumed_by(operator: GeminiBatchGenerateContentOperator, deferred: TaskDeferred, context: dict[str, Any]) -> Any:
    """Run the trigger of a deferral, and the task's method that it resumes."""

    async def first_event() -> Any:
        async for event in deferred.trigger.run():
            return event.payload
        return None

    event = json.loads(json.dumps(asyncio.run(first_event())))
    return getattr(operator, deferred.method_name)(context, event)


def finished(operator: GeminiBatchGenerateContentOperator, context: dict[str, Any]) -> Any:
    """Run a task to its end, over all of its deferrals."""
    run = operator.execute
    while True:
        try:
            return run(context)
        except TaskDeferred as deferred:
            run = functools.partial(resumed_by, operator, deferred)


class TestRequests:
    def test_one_request_for_each_file_is_answered_in_order(self, emulator, batch, files, output, context, ti):
        uri = batch(files=files, prompt="what?").execute(context)

        assert uri == f"file://{output}"
        written = rows(output)
        assert [row["key"] for row in written] == ["note0.txt", "note1.txt", "note2.txt"]
        assert [row["files"] for row in written] == [[name] for name in files]
        for row, name in zip(written, files, strict=True):
            assert name in row["value"]
            assert row["error"] is None
            assert row["finish_reason"] == "STOP"
            assert row["usage"]["total"] > 0
        [job] = jobs(emulator)
        assert ti.pushed["batch_name"] == job["name"]

    def test_manifest_counts_rows_and_tokens(self, emulator, batch, files, output, context, ti):
        batch(files=files, prompt="what?", model="gemini-3.8-pro").execute(context)

        [job] = jobs(emulator)
        manifest = ti.pushed["batch"]
        assert manifest.pop("usage")["total"] == sum(row["usage"]["total"] for row in rows(output))
        assert manifest.pop("input_file") == manifest["jobs"][0].pop("input_file")
        assert manifest == {
            "jobs": [{key: manifest[key] for key in ("name", "state", "create_time", "end_time", "result_file")}],
            "name": job["name"],
            "conn_id": "gemini_default",
            "state": "SUCCEEDED",
            "model": "models/gemini-3.8-pro",
            "counts": {"total": 3, "success": 3, "error": 0, "invalid": 0, "blocked": 0, "cut": 0, "missing": 0},
            "create_time": job["metadata"]["createTime"],
            "end_time": job["metadata"]["endTime"],
            "result_file": job["metadata"]["output"]["responsesFile"],
            "output": f"file://{output}",
            "files": files,
        }

    def test_requests_take_the_words_of_the_operator_that_they_do_not_have(
        self, emulator, batch, files, output, context
    ):
        requests = [
            {"key": "own", "prompt": "mine?", "files": [files[1]], "system_instruction": "Be brief."},
            "plain?",
            {},
        ]

        batch(requests=requests, prompt="what?", files=[files[0]], generation_config={"temperature": 0}).execute(
            context
        )

        assert [(row["key"], row["files"]) for row in rows(output)] == [
            ("own", [files[1]]), ("1", [files[0]]), ("2", [files[0]]),
        ]  # fmt: skip
        own, plain, empty = sent(emulator)
        assert own["systemInstruction"]["parts"] == [{"text": "Be brief."}]
        assert own["contents"][0]["parts"][-1] == {"text": "mine?"}
        assert plain["contents"][0]["parts"][-1] == {"text": "plain?"}
        assert empty["contents"][0]["parts"][-1] == {"text": "what?"}
        assert own["generationConfig"] == plain["generationConfig"] == {"temperature": 0.0}

    def test_requests_come_from_a_file_of_json_lines(self, batch, files, tmp_path, output, context):
        source = tmp_path / "requests.jsonl"
        lines = [{"key": "a", "prompt": "first?"}, {"key": "b", "prompt": "second?", "files": [files[0]]}]
        source.write_text("\n".join(map(json.dumps, lines)) + "\n\n")

        batch(source=str(source)).execute(context)

        assert [(row["key"], row["files"]) for row in rows(output)] == [("a", []), ("b", [files[0]])]

    def test_configuration_of_a_null_param_counts_as_not_set(self, emulator, batch, context):
        batch(requests=["x"], generation_config="None").execute(context)

        assert [set(one) for one in sent(emulator)] == [{"contents"}]

    def test_files_of_the_same_name_have_different_keys(self, hook, batch, tmp_path, output, context):
        names = []
        for folder in ("one", "two"):
            path = tmp_path / folder / "a.txt"
            path.parent.mkdir()
            path.write_text(folder)
            names.append(hook.upload_file(path).to_dict())

        batch(files=names, prompt="what?").execute(context)

        assert [row["key"] for row in rows(output)] == ["a.txt", "a.txt (2)"]

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({}, "needs files"),
            ({"prompt": "x"}, "needs files"),
            ({"files": ["files/a"]}, r"files\[0\]: There is nothing to send"),
            ({"files": [], "prompt": "x"}, "no requests"),
            ({"requests": []}, "no requests"),
            ({"requests": "x"}, "must be a list"),
            ({"requests": {"x", "y"}}, "must be a list"),
            ({"requests": ["x"], "model": "gemini-3.8-flash?a=b"}, "model must be a name"),
            ({"files": {"files/a", "files/b"}, "prompt": "x"}, "pass a list, not a set"),
            ({"files": "None", "prompt": "x"}, "files is None"),
            ({"requests": ["x"], "source": "/a.jsonl"}, "omit one of them"),
            (
                {"requests": [{"key": "a", "prompt": "x"}, {"key": "a", "prompt": "y"}]},
                r"requests\[1\] has the key 'a'",
            ),
            ({"requests": [{"promt": "x"}]}, r"requests\[0\]: unknown promt"),
            ({"requests": [{"prompt": "x", "model": "gemini-other"}]}, "one model"),
            ({"requests": [{"prompt": "x", "generation_config": {"temperatur": 1}}]}, "temperatur"),
            ({"requests": [7]}, r"requests\[0\] must be a prompt or a dict"),
            ({"requests": [{"key": "", "prompt": "x"}]}, "key must be"),
            ({"requests": ["x"], "response_schema": "nowhere"}, "response_schema"),
            ({"source": "/nowhere.jsonl"}, "does not exist"),
            ({"requests": ["x"], "output_path": ""}, "output_path is empty"),
        ],
    )
    def test_bad_input_is_refused_before_anything_is_sent(self, emulator, batch, context, arguments, told):
        with pytest.raises(e.GeminiInputError, match=told):
            batch(**arguments).execute(context)

        assert [entry for entry in emulator.journal if entry["method"] != "GET"] == []

    @pytest.mark.parametrize("argument", ["files", "requests", "source"])
    def test_argument_for_which_nothing_came_is_refused(self, batch, context, argument):
        operator = batch(**{argument: ["x"], "prompt": "what?"})
        setattr(operator, argument, None)

        with pytest.raises(e.GeminiInputError, match=f"{argument} is"):
            operator.execute(context)

    @pytest.mark.parametrize("argument", ["on_row_error", "on_quota", "on_max_tokens"])
    def test_unknown_choice_is_refused_when_the_dag_is_parsed(self, batch, argument):
        with pytest.raises(e.GeminiInputError, match=f"{argument} must be one of"):
            batch(**{argument: "perhaps"})


def sent(emulator: GeminiEmulator) -> list[dict[str, Any]]:
    """Return the requests of all jobs."""
    found = [batch for project in emulator.emulator.projects.values() for batch in project.resources(Batch).values()]
    return [item["request"] for batch in found for item in batch.rows]


class TestWaiting:
    def test_deferred_task_waits_in_the_triggerer_and_writes_the_rows(
        self, emulator, batch, files, output, context, clock
    ):
        operator = batch(files=files, prompt="what?", deferrable=True)

        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        assert not output.exists()
        uri = resumed_by(operator, deferred.value, context)

        assert uri == f"file://{output}"
        assert len(rows(output)) == 3
        assert posted(emulator) == 1
        assert clock.passed >= JOB_SECONDS

    def test_trigger_has_neither_key_nor_requests(self, emulator, batch, files, context):
        with pytest.raises(TaskDeferred) as deferred:
            batch(files=files, prompt="secret words", deferrable=True).execute(context)

        row = json.dumps(deferred.value.trigger.serialize())
        assert API_KEY not in row
        assert "secret words" not in row

    def test_job_that_succeeds_before_its_file_is_there_is_waited_for(self, emulator, batch, files, output, context):
        emulator.faults.add("create_batch", "batch_output_late", seconds=300)

        batch(files=files, prompt="what?").execute(context)

        assert len(rows(output)) == 3

    def test_job_whose_results_never_appear_is_an_error_and_not_used_again(
        self, emulator, batch, files, output, context, clock
    ):
        emulator.faults.add("create_batch", "batch_output_late", seconds=10**6)
        with pytest.raises(e.GeminiBatchInterruptedError, match="has no result file after 60 minutes"):
            batch(files=files, prompt="what?").execute(context)
        clock.advance(60)

        batch(files=files, prompt="what?").execute(context)

        assert posted(emulator) == 2
        assert len(rows(output)) == 3

    @pytest.mark.parametrize("deferrable", [False, True])
    @pytest.mark.parametrize(
        ("fault", "error", "told"),
        [
            (
                {"action": "batch_failed", "error": {"code": 3, "message": "Bad line."}},
                e.GeminiBatchFailedError,
                "Bad line",
            ),
            ({"action": "batch_failed"}, e.GeminiBatchInterruptedError, "code 13"),
            ({"action": "batch_expired"}, e.GeminiBatchExpiredError, "EXPIRED"),
        ],
    )
    def test_job_that_ends_badly_has_an_error_of_its_own(
        self, emulator, batch, files, output, context, fault, error, told, deferrable
    ):
        emulator.faults.add("create_batch", **fault)
        operator = batch(files=files, prompt="what?", deferrable=deferrable)

        with pytest.raises(error, match=told):
            finished(operator, context)

        assert not output.exists()
        # The requests are of no use any more.
        assert emulator.usage()["files"] == len(files)

    def test_cancelled_job_fails_the_task(self, emulator, hook, batch, files, context, clock):
        clock.after(60, lambda: hook.cancel_batch(jobs(emulator)[0]["name"]))

        with pytest.raises(e.GeminiBatchCancelledError, match="CANCELLED"):
            batch(files=files, prompt="what?").execute(context)

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_timeout_counts_from_the_submission_and_cancels_the_job(
        self, emulator, batch, files, context, clock, deferrable
    ):
        emulator.settings.cancel_seconds = 100
        emulator.settings.job_seconds = 100_000
        operator = batch(files=files, prompt="what?", timeout=7200, deferrable=deferrable)

        with pytest.raises(e.GeminiWaitTimeoutError, match="deadline"):
            finished(operator, context)

        assert 7200 <= clock.passed < 7200 + 300
        clock.advance(100)
        assert jobs(emulator)[0]["metadata"]["state"] == "BATCH_STATE_CANCELLED"

    def test_job_goes_on_after_a_timeout_if_it_is_not_to_be_cancelled(
        self, emulator, batch, files, output, context, clock
    ):
        emulator.settings.job_seconds = 10_000
        operator = batch(files=files, prompt="what?", timeout=7200, cancel_on_timeout=False)
        with pytest.raises(e.GeminiWaitTimeoutError):
            operator.execute(context)
        clock.advance(3600)

        batch(files=files, prompt="what?", timeout=7200, cancel_on_timeout=False).execute(context)

        assert len(rows(output)) == 3
        assert posted(emulator) == 1

    def test_attempt_after_a_timeout_submits_a_new_job(self, emulator, batch, files, output, context, ti):
        emulator.settings.cancel_seconds = 100_000
        emulator.faults.add("create_batch", "batch_stuck")
        with pytest.raises(e.GeminiWaitTimeoutError):
            batch(files=files, prompt="what?", timeout=7200).execute(context)
        ti.try_number = 2

        batch(files=files, prompt="what?", timeout=7200).execute(context)

        assert len(rows(output)) == 3
        assert posted(emulator) == 2

    def test_execution_timeout_ends_the_wait_and_leaves_the_job_to_the_next_attempt(
        self, emulator, batch, files, output, context
    ):
        operator = batch(files=files, prompt="what?", deferrable=True, execution_timeout=timedelta(minutes=5))
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        with pytest.raises(e.GeminiWaitTimeoutError):
            resumed_by(operator, deferred.value, context)

        batch(files=files, prompt="what?").execute(context)

        assert len(rows(output)) == 3
        assert posted(emulator) == 1


class TestSubmittedOnce:
    @pytest.mark.parametrize("fault", ["lose_answer", "created_then_internal"])
    def test_lost_answer_does_not_create_a_second_job(self, emulator, batch, files, output, context, fault):
        emulator.faults.add("create_batch", fault)

        batch(files=files, prompt="what?").execute(context)

        assert posted(emulator) == len(jobs(emulator)) == 1
        assert len(rows(output)) == 3

    def test_answer_that_stays_lost_ends_the_attempt_and_the_next_one_submits(
        self, emulator, batch, files, context, ti
    ):
        emulator.faults.add("create_batch", "status", status=500, body="gateway")
        with pytest.raises(e.GeminiServiceError):
            batch(files=files, prompt="what?").execute(context)
        assert posted(emulator) == 1
        ti.try_number = 2

        batch(files=files, prompt="what?").execute(context)

        assert len(jobs(emulator)) == 1

    @pytest.mark.parametrize("with_store", [True, False])
    def test_cleared_task_uses_the_finished_job_again(self, emulator, batch, files, output, context, ti, with_store):
        if with_store:
            context["task_state_store"] = Store()
        batch(files=files, prompt="what?").execute(context)
        output.unlink()
        ti.try_number = 2

        batch(files=files, prompt="what?").execute(context)

        assert posted(emulator) == 1
        assert len(rows(output)) == 3

    def test_finished_job_is_used_again_though_its_files_have_expired(
        self, emulator, hook, batch, files, output, context
    ):
        batch(files=[hook.get_file(name).to_dict() for name in files], prompt="what?").execute(context)
        kept = output.read_bytes()
        output.unlink()
        given = [{"name": name, "display_name": f"note{at}.txt"} for at, name in enumerate(files)]
        hook.delete_files(files)

        batch(files=given, prompt="what?").execute(context)

        assert output.read_bytes() == kept
        assert posted(emulator) == 1

    def test_other_requests_are_another_job(self, emulator, batch, files, context):
        batch(files=files, prompt="what?").execute(context)

        batch(files=files, prompt="who?").execute(context)

        assert posted(emulator) == 2

    def test_other_task_does_not_use_the_job(self, emulator, batch, files, context, ti):
        batch(files=files, prompt="what?").execute(context)
        ti.run_id = "another"

        batch(files=files, prompt="what?").execute(context)

        assert posted(emulator) == 2

    def test_job_that_ended_badly_is_not_used_again(self, emulator, batch, files, output, context):
        emulator.faults.add("create_batch", "batch_expired")
        with pytest.raises(e.GeminiBatchExpiredError):
            batch(files=files, prompt="what?").execute(context)

        batch(files=files, prompt="what?").execute(context)

        assert posted(emulator) == 2
        assert len(rows(output)) == 3

    def test_jobs_that_cannot_be_listed_stop_the_submission(self, emulator, batch, files, context):
        emulator.faults.add("list_batches", "internal", times=None)

        with pytest.raises(e.GeminiServiceError):
            batch(files=files, prompt="what?").execute(context)

        assert posted(emulator) == 0


class TestRows:
    def test_answers_follow_the_schema_or_are_invalid(self, emulator, batch, output, context, ti):
        emulator.answers.add('{"crates": 3}', prompt="first")
        emulator.answers.add('{"boxes": 3}', prompt="second")
        operator = batch(requests=["first", "second"], response_schema=Count)

        with pytest.raises(e.GeminiBatchRowsError, match="1 of 2 rows succeeded; 1 invalid; the first: 1"):
            operator.execute(context)

        good, bad = rows(output)
        assert good["value"] == {"crates": 3}
        assert bad["value"] is None
        assert bad["error"]["kind"] == "invalid"
        assert bad["error"]["text"] == '{"boxes": 3}'
        assert ti.pushed["batch"]["counts"]["invalid"] == 1

    def test_task_succeeds_with_failed_rows_if_they_are_to_be_kept(self, emulator, batch, files, output, context, ti):
        emulator.faults.add("create_batch", "rows_failed", keys=["#1"])

        batch(files=files, prompt="what?", on_row_error="keep").execute(context)

        assert [row["error"] and row["error"]["kind"] for row in rows(output)] == [None, "error", None]
        assert ti.pushed["batch"]["counts"] == {
            "total": 3, "success": 2, "error": 1, "invalid": 0, "blocked": 0, "cut": 0, "missing": 0,
        }  # fmt: skip

    def test_missing_and_shuffled_rows_come_in_the_order_of_the_requests(self, emulator, batch, files, output, context):
        emulator.faults.add("create_batch", "rows_shuffled")
        batch(files=files, prompt="what?").execute(context)
        assert [row["key"] for row in rows(output)] == ["note0.txt", "note1.txt", "note2.txt"]
        emulator.faults.add("create_batch", "rows_missing", keys=["#0"])

        batch(files=files, prompt="who?", on_row_error="keep").execute(context)

        assert [row["error"] and row["error"]["kind"] for row in rows(output)] == ["missing", None, None]

    def test_rows_with_a_passing_error_are_asked_again(self, emulator, batch, files, output, context, ti):
        emulator.faults.add("create_batch", "rows_failed", keys=["#1"])

        batch(files=files, prompt="what?", retry_rows=2).execute(context)

        assert [row["error"] for row in rows(output)] == [None, None, None]
        assert [len(requests) for requests in requests_of_jobs(emulator)] == [3, 1]
        assert ti.pushed["batch_name"] == [job["name"] for job in ti.pushed["batch"]["jobs"]]
        assert len(ti.pushed["batch_name"]) == 2

    def test_rows_are_asked_again_over_deferrals(self, emulator, batch, files, output, context):
        emulator.faults.add("create_batch", "rows_failed", keys=["#1"])
        operator = batch(files=files, prompt="what?", retry_rows=1, deferrable=True)

        with pytest.raises(TaskDeferred) as first:
            operator.execute(context)
        with pytest.raises(TaskDeferred) as second:
            resumed_by(operator, first.value, context)
        resumed_by(operator, second.value, context)

        assert [row["error"] for row in rows(output)] == [None, None, None]
        assert posted(emulator) == 2

    def test_rows_with_a_permanent_error_are_not_asked_again(self, emulator, batch, files, output, context):
        error = {"code": 400, "message": "Bad request.", "status": "INVALID_ARGUMENT"}
        emulator.faults.add("create_batch", "rows_failed", keys=["#1"], error=error)

        batch(files=files, prompt="what?", retry_rows=2, on_row_error="keep").execute(context)

        assert posted(emulator) == 1
        assert rows(output)[1]["error"] == {"kind": "error", "message": "Bad request.", "code": 400}

    def test_repetition_that_ends_badly_leaves_the_rows_as_they_are(self, emulator, batch, files, output, context):
        emulator.faults.add("create_batch", "rows_failed", keys=["#1"])
        emulator.faults.add("create_batch", "batch_expired", nth=2)

        batch(files=files, prompt="what?", retry_rows=1, on_row_error="keep").execute(context)

        assert [row["error"] and row["error"]["kind"] for row in rows(output)] == [None, "error", None]

    def test_repetition_that_takes_too_long_leaves_the_rows_as_they_are(self, emulator, batch, files, output, context):
        emulator.faults.add("create_batch", "rows_failed", keys=["#1"])
        emulator.faults.add("create_batch", "batch_stuck", nth=2)
        operator = batch(files=files, prompt="what?", retry_rows=1, on_row_error="keep", deferrable=True, timeout=7200)

        finished(operator, context)

        assert [row["error"] and row["error"]["kind"] for row in rows(output)] == [None, "error", None]

    def test_parts_besides_the_text_are_named(self, emulator, batch, output, context, mocker):
        image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
        emulator.answers.add(parts=[{"text": "see"}, image], prompt="first")
        emulator.answers.add(parts=[image, image], prompt="second")
        operator = batch(requests=["first", "second", "third"], on_row_error="keep")
        log = mocker.patch.object(GeminiBatchGenerateContentOperator, "log", autospec=True)

        operator.execute(context)

        assert [row["value"] for row in rows(output)][:2] == ["see", None]
        assert "result file of its job" in rows(output)[1]["error"]["message"]
        assert logged_by(log.warning)[-1] == (
            "2 answers have more than text, which is only in the result files of the jobs: 0: 1 image/png; "
            "1: 2 image/png"
        )

    def test_cut_answer_is_a_row_of_its_own_kind(self, emulator, batch, output, context):
        emulator.answers.add("so far", finish_reason="MAX_TOKENS")
        operator = batch(requests=["tell me"], on_row_error="keep")
        operator.execute(context)
        assert rows(output)[0]["error"]["kind"] == "cut"
        assert rows(output)[0]["error"]["text"] == "so far"

        batch(requests=["tell me"], on_max_tokens="keep").execute(context)

        assert rows(output)[0]["value"] == "so far"
        assert posted(emulator) == 1

    def test_blocked_answer_says_why(self, emulator, batch, output, context, ti):
        emulator.answers.add(block_reason="PROHIBITED_CONTENT")

        batch(requests=["tell me"], on_row_error="keep").execute(context)

        [row] = rows(output)
        assert row["error"]["kind"] == "blocked"
        assert "PROHIBITED_CONTENT" in row["error"]["message"]
        assert ti.pushed["batch"]["counts"]["blocked"] == 1


def requests_of_jobs(emulator: GeminiEmulator) -> list[list[dict[str, Any]]]:
    """Return the requests of each job, in the order of their creation."""
    found = [batch for project in emulator.emulator.projects.values() for batch in project.resources(Batch).values()]
    return [batch.rows for batch in sorted(found, key=lambda batch: batch.created)]


class TestLimits:
    @pytest.mark.parametrize("fault", ["batches_full", "enqueued_full"])
    def test_refused_job_is_submitted_later(self, emulator, batch, files, output, context, clock, fault):
        emulator.faults.add("create_batch", fault, times=3)

        batch(files=files, prompt="what?").execute(context)

        assert posted(emulator) == 4
        assert len(rows(output)) == 3
        assert clock.slept[:3] == [60, 120, 240]

    @pytest.mark.parametrize(("asked", "slept"), [(0, [60, 120]), (28, [60, 120]), (300, [300, 300])])
    def test_short_delay_of_the_service_does_not_shorten_the_pauses(
        self, emulator, batch, output, context, clock, asked, slept
    ):
        emulator.faults.add("create_batch", "rate_limit", times=2, seconds=asked)

        batch(requests=["x"]).execute(context)

        assert clock.slept[:2] == slept

    def test_refused_job_waits_in_the_triggerer(self, emulator, batch, files, output, context):
        emulator.faults.add("create_batch", "batches_full")
        operator = batch(files=files, prompt="what?", deferrable=True)

        with pytest.raises(TaskDeferred) as refused:
            operator.execute(context)
        with pytest.raises(TaskDeferred) as waiting:
            resumed_by(operator, refused.value, context)
        resumed_by(operator, waiting.value, context)

        assert len(rows(output)) == 3
        assert len(jobs(emulator)) == 1

    def test_job_that_is_refused_for_too_long_fails_the_task(self, emulator, batch, files, context, clock):
        emulator.faults.add("create_batch", "batches_full", times=None)

        with pytest.raises(e.GeminiRateLimitError, match="quota_timeout"):
            batch(files=files, prompt="what?", quota_timeout=3600).execute(context)

        assert 3600 <= clock.passed < 3700

    def test_refused_job_fails_at_once_if_it_is_not_to_wait(self, emulator, batch, files, context):
        emulator.faults.add("create_batch", "batches_full")

        with pytest.raises(e.GeminiRateLimitError):
            batch(files=files, prompt="what?", on_quota="fail").execute(context)

    def test_free_tier_is_a_permanent_error(self, emulator, batch, files, context):
        emulator.faults.add("create_batch", "no_batches")

        with pytest.raises(e.GeminiAuthError, match="no quota"):
            batch(files=files, prompt="what?").execute(context)

    def test_requests_are_split_into_several_jobs(self, emulator, batch, output, context, ti):
        batch(requests=[f"what is {number}?" for number in range(5)], max_requests=2).execute(context)

        assert sorted(len(requests) for requests in requests_of_jobs(emulator)) == [1, 2, 2]
        assert [row["key"] for row in rows(output)] == ["0", "1", "2", "3", "4"]
        assert all(f"what is {row['key']}?" in row["value"] for row in rows(output))
        assert len(ti.pushed["batch_name"]) == 3

    def test_retry_of_split_jobs_submits_only_those_that_are_missing(self, emulator, batch, output, context, ti):
        emulator.faults.add("create_batch", "batch_expired", nth=2)
        requests = [f"what is {number}?" for number in range(5)]
        with pytest.raises(e.GeminiBatchExpiredError):
            batch(requests=requests, max_requests=2).execute(context)
        ti.try_number = 2

        batch(requests=requests, max_requests=2).execute(context)

        assert posted(emulator) == 4
        assert len(rows(output)) == 5

    def test_retry_of_split_jobs_looks_once_for_those_of_the_former_attempt(
        self, emulator, batch, output, context, ti, clock
    ):
        ti.try_number = 2

        batch(requests=["a?", "b?", "c?"], max_requests=1, poll_interval=7).execute(context)

        assert clock.slept.count(LIST_LAG_SECONDS) == 1

    def test_requests_of_a_job_that_is_refused_for_good_are_deleted(self, emulator, batch, files, hook, context, store):
        emulator.faults.add("create_batch", "no_batches")

        with pytest.raises(e.GeminiAuthError):
            batch(files=files, prompt="what?").execute(context)

        assert len(hook.list_files()) == len(files)
        assert store.values == {}

    def test_job_of_former_requests_is_named_in_the_log(self, emulator, batch, files, context, mocker):
        with pytest.raises(TaskDeferred):
            batch(files=files, prompt="what?", deferrable=True).execute(context)
        [job] = jobs(emulator)
        operator = batch(files=files, prompt="who?")
        warning = mocker.spy(operator.hook.log, "warning")

        operator.execute(context)

        assert any(line.startswith(f"{job['name']} is still processing other requests") for line in logged_by(warning))


class TestFiles:
    def test_requests_are_deleted_once_the_job_has_ended(self, emulator, batch, files, context, ti):
        batch(files=files, prompt="what?").execute(context)

        left = [file.name for file in GeminiFilesHook().list_files()]
        assert ti.pushed["batch"]["input_file"] not in left
        assert sorted(left) == sorted([*files, ti.pushed["batch"]["result_file"]])

    def test_file_that_expires_too_soon_is_refused(self, emulator, batch, files, context, clock):
        clock.advance(30 * 3600)

        with pytest.raises(e.GeminiInputError, match=r"expires at .*min_remaining_ttl is 26 hours"):
            batch(files=files, prompt="what?").execute(context)

        assert posted(emulator) == 0

    def test_file_that_expires_too_soon_is_accepted_if_the_author_says_so(
        self, emulator, batch, files, output, context, clock
    ):
        clock.advance(30 * 3600)

        batch(files=files, prompt="what?", min_remaining_ttl=timedelta(hours=4)).execute(context)

        assert len(rows(output)) == 3

    def test_file_that_is_gone_is_named(self, emulator, batch, files, hook, context):
        hook.delete_file(files[1])

        with pytest.raises(e.GeminiFileGoneError, match=files[1]):
            batch(files=files, prompt="what?").execute(context)

    def test_changed_source_is_answered_by_the_jobs_that_were_submitted(
        self, emulator, batch, tmp_path, output, context
    ):
        source = tmp_path / "requests.jsonl"
        source.write_text('{"key": "a", "prompt": "first?"}')
        operator = batch(source=str(source), deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        source.write_text('{"key": "b", "prompt": "second?"}')

        resumed_by(operator, deferred.value, context)

        assert [row["key"] for row in rows(output)] == ["a"]
        assert posted(emulator) == 1


class TestKilled:
    @pytest.mark.parametrize(
        ("state", "is_cancelled"), [("failed", True), ("success", True), ("running", False), ("restarting", False)]
    )
    def test_job_is_cancelled_only_if_the_task_was_ended(
        self, emulator, batch, files, context, ti, clock, monkeypatch, state, is_cancelled
    ):
        states = {ti.run_id: {ti.task_id: state}}
        ti.get_task_states = lambda **_: states
        operator = batch(files=files, prompt="what?")
        clock.after(120, operator.on_kill)

        if is_cancelled:
            with pytest.raises(e.GeminiBatchCancelledError):
                operator.execute(context)
        else:
            operator.execute(context)

    def test_job_goes_on_if_its_author_says_so(self, emulator, batch, files, output, context, ti, clock):
        ti.get_task_states = lambda **_: {ti.run_id: {ti.task_id: "failed"}}
        operator = batch(files=files, prompt="what?", cancel_on_kill=False)
        clock.after(120, operator.on_kill)

        operator.execute(context)

        assert len(rows(output)) == 3

    def test_job_goes_on_if_airflow_cannot_be_asked(self, emulator, batch, files, output, context, ti, clock):
        def refuse(**_: Any) -> None:
            raise ConnectionError

        ti.get_task_states = refuse
        operator = batch(files=files, prompt="what?")
        clock.after(120, operator.on_kill)

        operator.execute(context)

        assert len(rows(output)) == 3


class TestOtherOperators:
    @pytest.fixture
    def running(self, emulator, hook, batch, files, context) -> str:
        with pytest.raises(TaskDeferred):
            batch(files=files, prompt="what?", deferrable=True).execute(context)
        return jobs(emulator)[0]["name"]

    def test_get_returns_state_and_counts(self, running, context):
        job = GeminiGetBatchOperator(task_id="get", batch_name=running).execute(context)

        assert (job["name"], job["state"], job["counts"]["total"]) == (running, "PENDING", 3)
        assert json.loads(json.dumps(job)) == job

    def test_list_filters_by_state_and_display_name(self, running, context):
        def names(**arguments: Any) -> list[str]:
            return GeminiListBatchesOperator(task_id="list", **arguments).execute(context)

        assert names() == names(state="pending") == names(display_name="extract (3") == [running]
        assert names(state="RUNNING") == names(display_name="other") == []

    def test_cancel_says_what_became_of_each(self, running, context, clock):
        cancel = GeminiCancelBatchOperator(task_id="cancel", batch_name=[running, "batches/gone", None])

        assert cancel.execute(context) == {"cancelled": [running], "ended": [], "missing": ["batches/gone"]}
        clock.advance(1)
        assert cancel.execute(context)["ended"] == [running]

    def test_delete_takes_only_jobs_that_have_ended(self, emulator, running, context, clock):
        delete = GeminiDeleteBatchOperator(task_id="delete", batch_name=running)
        with pytest.raises(e.GeminiInputError, match="cancel it first"):
            delete.execute(context)
        clock.advance(JOB_SECONDS)

        assert delete.execute(context) == {"deleted": [running], "missing": []}
        assert delete.execute(context) == {"deleted": [], "missing": [running]}
        assert jobs(emulator) == []

    @pytest.mark.parametrize("kind", [GeminiCancelBatchOperator, GeminiDeleteBatchOperator])
    def test_missing_job_is_an_error_if_the_author_says_so(self, emulator, context, kind):
        with pytest.raises(e.GeminiBatchGoneError, match="batches/gone"):
            kind(task_id="do", batch_name="batches/gone", ignore_missing=False).execute(context)

    @pytest.mark.parametrize("nothing", [None, [], [None], "None"])
    def test_nothing_is_no_job(self, emulator, context, nothing):
        delete = GeminiDeleteBatchOperator(task_id="delete", batch_name=nothing)

        assert delete.execute(context) == {"deleted": [], "missing": []}


class TestTeardown:
    def test_files_that_a_running_job_reads_stay(self, emulator, hook, batch, files, context, clock):
        with pytest.raises(TaskDeferred):
            batch(files=files[:2], prompt="what?", deferrable=True).execute(context)
        delete = GeminiDeleteFileOperator(task_id="delete", file_name=files)

        result = delete.execute(context)
        assert sorted(result.pop("kept")) == sorted(files[:2])
        assert result == {"deleted": [files[2]], "missing": []}
        clock.advance(JOB_SECONDS)

        assert delete.execute(context) == {"deleted": files[:2], "missing": [files[2]]}

    def test_files_of_the_run_of_a_running_job_stay(self, emulator, batch, context, ti, tmp_path):
        path = tmp_path / "a.txt"
        path.write_text("a")
        ti.task_id = "upload"
        name = GeminiUploadFileOperator(task_id="upload", source=str(path)).execute(context)
        ti.task_id = "extract"
        with pytest.raises(TaskDeferred):
            batch(files=name, prompt="what?", deferrable=True).execute(context)

        assert GeminiDeleteFileOperator(task_id="delete", file_name=name).execute(context)["kept"] == [name]

    def test_files_are_deleted_where_there_are_no_batches(self, emulator, files, context):
        emulator.faults.add(
            "list_batches", "status", status=404, body={"error": {"code": 404, "message": "x", "status": "NOT_FOUND"}}
        )

        assert GeminiDeleteFileOperator(task_id="delete", file_name=files).execute(context)["deleted"] == files

    def test_nothing_is_deleted_while_the_jobs_cannot_be_listed(self, emulator, hook, files, context):
        emulator.faults.add("list_batches", "internal", times=None)

        with pytest.raises(e.GeminiServiceError):
            GeminiDeleteFileOperator(task_id="delete", file_name=files).execute(context)

        assert len(hook.list_files()) == 3


class TestNothingPaidIsLost:
    def test_repetition_that_is_refused_leaves_the_rows_as_they_are(self, emulator, batch, files, output, context):
        emulator.faults.add("create_batch", "rows_failed", keys=["#1"])
        emulator.faults.add("create_batch", "batches_full", nth=2, times=None)

        batch(files=files, prompt="what?", retry_rows=1, on_quota="fail", on_row_error="keep").execute(context)

        assert [row["error"] and row["error"]["kind"] for row in rows(output)] == [None, "error", None]

    def test_repetition_whose_files_expire_too_soon_leaves_the_rows_as_they_are(
        self, emulator, batch, files, output, context
    ):
        emulator.settings.job_seconds = 24 * 3600
        emulator.faults.add("create_batch", "rows_failed", keys=["#1"])

        batch(files=files, prompt="what?", retry_rows=1, on_row_error="keep").execute(context)

        assert [row["error"] and row["error"]["kind"] for row in rows(output)] == [None, "error", None]
        assert posted(emulator) == 1

    def test_answers_are_written_before_rows_are_asked_again(self, emulator, batch, files, output, context):
        emulator.faults.add("create_batch", "rows_failed", keys=["#1"])
        operator = batch(files=files, prompt="what?", retry_rows=1, deferrable=True)
        with pytest.raises(TaskDeferred) as first:
            operator.execute(context)

        with pytest.raises(TaskDeferred):
            resumed_by(operator, first.value, context)

        assert len(rows(output)) == 3

    def test_answers_are_written_though_the_source_is_gone(self, emulator, batch, tmp_path, output, context):
        source = tmp_path / "requests.jsonl"
        source.write_text('{"key": "a", "prompt": "first?"}')
        operator = batch(source=str(source), deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        source.unlink()

        resumed_by(operator, deferred.value, context)

        assert [row["key"] for row in rows(output)] == ["a"]

    def test_job_is_cancelled_after_its_timeout_though_the_source_is_gone(
        self, emulator, batch, tmp_path, context, clock
    ):
        emulator.faults.add("create_batch", "batch_stuck")
        source = tmp_path / "requests.jsonl"
        source.write_text('{"key": "a", "prompt": "first?"}')
        operator = batch(source=str(source), deferrable=True, timeout=7200)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        source.unlink()

        with pytest.raises(e.GeminiWaitTimeoutError):
            resumed_by(operator, deferred.value, context)

        clock.advance(1)
        assert jobs(emulator)[0]["metadata"]["state"] == "BATCH_STATE_CANCELLED"

    def test_source_that_is_rewritten_while_a_worker_waits_loses_no_answer(
        self, emulator, batch, tmp_path, output, context, clock
    ):
        source = tmp_path / "requests.jsonl"
        source.write_text('{"key": "a", "prompt": "first?"}')
        clock.after(60, lambda: source.write_text('{"key": "b", "prompt": "second?"}'))

        batch(source=str(source), retry_rows=1).execute(context)

        assert [row["key"] for row in rows(output)] == ["a"]
        assert posted(emulator) == 1

    def test_lines_that_are_missing_from_changed_requests_are_counted(self, emulator, batch, tmp_path, output, context):
        emulator.faults.add("create_batch", "rows_missing", keys=["b"])
        source = tmp_path / "requests.jsonl"
        source.write_text('{"key": "a", "prompt": "first?"}\n{"key": "b", "prompt": "second?"}')
        operator = batch(source=str(source), deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        source.write_text('{"key": "c", "prompt": "third?"}')

        with pytest.raises(e.GeminiBatchRowsError, match="1 of 2 rows succeeded; 1 missing"):
            resumed_by(operator, deferred.value, context)

    def test_requests_that_change_before_all_jobs_are_submitted_fail_the_task_after_the_answers_are_written(
        self, emulator, batch, tmp_path, output, context
    ):
        emulator.faults.add("create_batch", "batches_full", nth=2)
        source = tmp_path / "requests.jsonl"
        source.write_text('{"key": "a", "prompt": "first?"}\n{"key": "b", "prompt": "second?"}')
        operator = batch(source=str(source), deferrable=True, max_requests=1)
        with pytest.raises(TaskDeferred) as refused:
            operator.execute(context)
        source.write_text('{"key": "c", "prompt": "third?"}')

        with pytest.raises(TaskDeferred) as waiting:
            resumed_by(operator, refused.value, context)
        with pytest.raises(e.GeminiInputError, match="after 1 of 2 jobs were submitted"):
            resumed_by(operator, waiting.value, context)

        assert [row["key"] for row in rows(output)] == ["a"]

    def test_labels_that_cannot_be_looked_up_make_no_second_job(self, emulator, batch, files, output, context, ti):
        batch(files=files, prompt="what?").execute(context)
        kept = output.read_bytes()
        GeminiFilesHook().delete_files(files)
        ti.try_number = 2

        batch(files=files, prompt="what?").execute(context)

        assert posted(emulator) == 1
        assert [row["value"] for row in rows(output)] == [json.loads(line)["value"] for line in kept.splitlines()]

    def test_task_that_is_cleared_while_its_job_is_being_cancelled_submits_it_again(
        self, emulator, hook, batch, files, output, context, ti
    ):
        emulator.settings.cancel_seconds = 300
        with pytest.raises(TaskDeferred):
            batch(files=files, prompt="what?", deferrable=True).execute(context)
        hook.cancel_batch(jobs(emulator)[0]["name"])
        ti.try_number = 2

        batch(files=files, prompt="what?").execute(context)

        assert posted(emulator) == 2
        assert len(rows(output)) == 3

    def test_job_that_an_earlier_attempt_gave_up_and_did_not_cancel_is_cancelled(
        self, emulator, batch, files, output, context, ti, clock
    ):
        emulator.faults.add("create_batch", "batch_stuck")
        with pytest.raises(TaskDeferred):
            batch(files=files, prompt="what?", deferrable=True, timeout=7200).execute(context)
        clock.advance(10_000)
        ti.try_number = 2

        batch(files=files, prompt="what?", timeout=7200).execute(context)

        assert sorted(job["metadata"]["state"] for job in jobs(emulator)) == [
            "BATCH_STATE_CANCELLED", "BATCH_STATE_SUCCEEDED",
        ]  # fmt: skip

    def test_nested_lists_of_files_are_one_request_for_each_file(self, batch, files, output, context):
        batch(files=[files[:2], [files[2]]], prompt="what?").execute(context)

        assert [row["files"] for row in rows(output)] == [[name] for name in files]

    def test_output_that_would_replace_the_source_is_refused(self, emulator, batch, tmp_path, context):
        source = tmp_path / "requests.jsonl"
        source.write_text('{"key": "a", "prompt": "first?"}')

        with pytest.raises(e.GeminiInputError, match="output_path is source"):
            batch(source=str(source), output_path=str(source)).execute(context)

        assert posted(emulator) == 0

    def test_each_late_job_is_cancelled_though_another_cannot_be(self, emulator, batch, context, clock):
        emulator.faults.add("create_batch", "batch_stuck", times=None)
        emulator.faults.add("cancel_batch", "internal", times=2)
        operator = batch(requests=["a?", "b?"], max_requests=1, timeout=7200)

        with pytest.raises(e.GeminiWaitTimeoutError):
            operator.execute(context)

        clock.advance(1)
        states = sorted(job["metadata"]["state"] for job in jobs(emulator))
        assert states == ["BATCH_STATE_CANCELLED", "BATCH_STATE_PENDING"]

    def test_many_files_of_other_runs_stay_while_a_job_reads_them(self, hook, emulator, batch, context, tmp_path):
        names = []
        for number in range(30):
            path = tmp_path / f"{number}.txt"
            path.write_text(str(number))
            names.append(hook.upload_file(path).name)
        with pytest.raises(TaskDeferred):
            batch(files=names, prompt="what?", deferrable=True).execute(context)

        result = GeminiDeleteFileOperator(task_id="delete", file_name=names).execute(context)

        assert sorted(result["kept"]) == sorted(names)

    def test_key_in_an_error_of_the_service_is_hidden(self, emulator, batch, files, output, context):
        error = {"code": 400, "message": f"Key {API_KEY} is bad.", "status": "INVALID_ARGUMENT"}
        emulator.faults.add("create_batch", "rows_failed", error=error)

        batch(files=files, prompt="what?", on_row_error="keep").execute(context)

        assert API_KEY not in output.read_text()


class TestAccounting:
    @pytest.fixture
    def counted(self, mocker):
        """Return a function that returns how much was sent to a metric of batches."""
        incr = mocker.patch.object(Stats, "incr", autospec=True)

        def of(metric: str) -> int:
            return sum(call.args[1] for call in incr.call_args_list if re.fullmatch(metric, call.args[0]))

        return of

    @pytest.fixture
    def tokens(self, ti, counted):
        """Return a function that returns the tokens in the manifest, and those in the metrics."""

        def both() -> tuple[int, int]:
            return ti.pushed["batch"]["usage"]["total"], counted(r"gemini_files\.batch\.\w+_tokens")

        return both

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_tokens_are_counted_by_kind_model_and_modality(self, batch, files, context, tokens, deferrable):
        finished(batch(files=files, prompt="what?", model="gemini-3.8-pro", deferrable=deferrable), context)

        in_manifest, in_metrics = tokens()
        assert in_manifest == in_metrics > 0
        told = {
            (call.args[0], *call.kwargs["tags"].values())
            for call in Stats.incr.call_args_list
            if call.args[0].endswith("_tokens")
        }
        assert ("gemini_files.batch.prompt_tokens", "gemini-3.8-pro", "TEXT") in told

    @pytest.mark.parametrize("with_store", [True, False])
    def test_cleared_task_does_not_count_them_again(
        self, batch, files, context, ti, tokens, counted, prices, with_store
    ):
        if with_store:
            context["task_state_store"] = Store()
        for ti.try_number in (1, 2, 3):
            batch(files=files, prompt="what?").execute(context)

        in_manifest, in_metrics = tokens()
        assert in_manifest == in_metrics
        assert counted(r"gemini_files\.cost") == in_manifest * 500

    def test_attempt_that_writes_the_answers_of_a_running_job_counts_them(self, batch, files, context, ti, tokens):
        with pytest.raises(TaskDeferred):
            batch(files=files, prompt="what?", deferrable=True).execute(context)
        ti.try_number = 2
        batch(files=files, prompt="what?").execute(context)

        in_manifest, in_metrics = tokens()
        assert in_manifest == in_metrics

    def test_attempt_after_one_that_could_not_write_counts_them(
        self, emulator, batch, files, context, ti, store, tokens
    ):
        emulator.faults.add("download", "status", status=500, times=2)
        with pytest.raises(e.GeminiFilesError):
            batch(files=files, prompt="what?").execute(context)
        ti.try_number = 2
        batch(files=files, prompt="what?").execute(context)

        assert posted(emulator) == 1
        in_manifest, in_metrics = tokens()
        assert in_manifest == in_metrics

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_only_the_jobs_that_are_new_are_counted_after_a_clear(
        self, emulator, batch, files, context, ti, tokens, deferrable
    ):
        emulator.faults.add("create_batch", "rows_failed", keys=["#1"])
        batch(files=files, prompt="what?", on_row_error="keep").execute(context)
        ti.try_number = 2
        finished(batch(files=files, prompt="what?", retry_rows=1, deferrable=deferrable), context)

        assert posted(emulator) == 2
        in_manifest, in_metrics = tokens()
        assert in_manifest == in_metrics

    def test_tokens_of_rows_that_fail_the_task_are_counted(self, emulator, batch, files, context, tokens):
        emulator.faults.add("create_batch", "rows_failed", keys=["#1"])
        with pytest.raises(e.GeminiBatchRowsError):
            batch(files=files, prompt="what?").execute(context)

        in_manifest, in_metrics = tokens()
        assert in_manifest == in_metrics > 0

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_events_of_the_tasks_assets_have_tokens_and_cost(self, batch, files, context, ti, prices, deferrable):
        asset = Asset("rows")
        context["outlet_events"] = OutletEventAccessors()
        operator = batch(
            files=files, prompt="what?", model="models/gemini-3.8-pro", outlets=[asset], deferrable=deferrable
        )
        finished(operator, context)

        usage = ti.pushed["batch"]["usage"]
        assert context["outlet_events"][asset].extra["gemini"] == {
            "model_version": "gemini-3.8-pro",
            "usage": usage,
            "cost": usage["total"] / 2e6,
            "currency": "EUR",
        }

    def test_prices_that_cannot_be_used_fail_no_task_that_has_paid(self, batch, files, output, context, prices):
        prices.write_text("{")
        context["outlet_events"] = OutletEventAccessors()
        asset = Asset("rows")
        batch(files=files, prompt="what?", outlets=[asset]).execute(context)

        assert len(rows(output)) == 3
        assert set(context["outlet_events"][asset].extra["gemini"]) == {"model_version", "usage"}
