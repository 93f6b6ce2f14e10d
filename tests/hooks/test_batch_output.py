"""The answers of batch jobs, written in the order of the requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from batch_attempts import (
    HOUR,
    JOB_SECONDS,
    MODEL,
    jobs,
    owned_file,
)
from support import API_KEY, logged_by

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.requests import BatchRequests, Words, from_files
from airflow_provider_gemini_files.batches.results import Results
from airflow_provider_gemini_files.hooks.batch_run import BatchRun
from airflow_provider_gemini_files.transfer.output import Output

pytestmark = pytest.mark.usefixtures("slow_jobs")


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

        assert logged_by(warning) == ["2 lines of the results are not results, or repeat a key."]

    def test_rows_are_counted_by_kind(self, attempt, new_run, land, mocker):
        submitted = attempt("a", "b")
        incr = mocker.patch("airflow_provider_gemini_files.hooks.batch_run.Stats.incr")

        land(new_run("a", "b", "c"), *submitted)

        counted = {call.kwargs["tags"]["kind"]: call.args[1] for call in incr.call_args_list}
        assert counted == {"success": 2, "missing": 1, "error": 0, "invalid": 0, "blocked": 0, "cut": 0}
