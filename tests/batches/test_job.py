"""A batch job, read from every shape of the service's operation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.batches.job import (
    ENDED,
    BatchJob,
    parse_batch_name,
    parse_batch_names,
    parse_state,
)
from airflow_provider_gemini_files.exceptions import GeminiInputError

NAME = "batches/abc"
OUTPUT = {"responsesFile": "files/r"}
ERROR = {"code": 13, "message": "Internal error\nencountered."}
_KEYS = st.sampled_from(
    ["state", "output", "batchStats", "error", "name", "createTime", "message", "requestCount", "responsesFile"]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=6,
)


def job(
    state: str | None = "BATCH_STATE_RUNNING", *, metadata: dict[str, Any] | None = None, **fields: Any
) -> BatchJob:
    """Return a job with a state, other metadata, and other fields of its operation."""
    told = {"state": state, **(metadata or {})}
    return BatchJob.from_api({"name": NAME, "metadata": told, **fields}, "gemini_default")


class TestOperation:
    def test_complete_operation_is_read(self):
        operation = {
            "name": NAME,
            "metadata": {
                "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
                "model": "models/gemini-2.5-flash",
                "displayName": "films",
                "output": {"responsesFile": "files/batch-abc"},
                "createTime": "2026-01-01T00:00:00.000000001Z",
                "endTime": "2026-01-01T00:10:00Z",
                "updateTime": "2026-01-01T00:10:00Z",
                "batchStats": {"requestCount": "3", "successfulRequestCount": "2", "failedRequestCount": "1"},
                "state": "BATCH_STATE_SUCCEEDED",
                "name": NAME,
            },
            "done": True,
            "response": {"responsesFile": "files/batch-abc"},
        }

        read = BatchJob.from_api(operation, "gemini_default")

        assert read == BatchJob(
            name=NAME,
            state="SUCCEEDED",
            model="models/gemini-2.5-flash",
            display_name="films",
            create_time="2026-01-01T00:00:00.000000001Z",
            end_time="2026-01-01T00:10:00Z",
            counts={"total": 3, "successful": 2, "failed": 1},
            output_file="files/batch-abc",
            conn_id="gemini_default",
        )
        assert (read.created_at(), read.ended_at()) == (1767225600.0, 1767226200.0)
        assert (read.has_ended, read.has_results) == (True, True)

    @pytest.mark.parametrize("metadata", [{}, {"metadata": None}, {"metadata": "?"}, {"metadata": {}}])
    def test_operation_without_metadata_has_an_unknown_state(self, metadata):
        read = BatchJob.from_api({"name": NAME, **metadata})

        assert read == BatchJob(NAME, "STATE_UNSPECIFIED")
        assert (read.has_ended, read.has_results, read.created_at()) == (False, False, None)

    def test_name_in_the_metadata_alone_is_enough(self):
        assert BatchJob.from_api({"metadata": {"name": NAME}}).name == NAME

    @pytest.mark.parametrize("operation", [{}, {"name": ""}, {"name": 5}, {"name": "files/abc"}, {"name": "batches/"}])
    def test_operation_without_a_name_is_refused(self, operation):
        with pytest.raises(ValueError, match="is not the name of a batch job"):
            BatchJob.from_api(operation)

    @pytest.mark.parametrize("prefix", ["BATCH_STATE_", "JOB_STATE_", ""])
    def test_prefix_of_a_state_is_left_out(self, prefix):
        assert job(f"{prefix}PENDING").state == "PENDING"

    @given(ODD)
    def test_odd_values_make_no_job_unreadable(self, odd):
        fields = odd if isinstance(odd, dict) else {}

        read = BatchJob.from_api({**fields, "metadata": odd, "error": odd, "response": odd, "name": NAME})

        assert json.loads(json.dumps(read.to_dict()))["name"] == NAME
        read.progress()
        read.created_at()


class TestOutput:
    @pytest.mark.parametrize(
        "fields",
        [
            {"response": OUTPUT},
            {"metadata": {"output": OUTPUT}},
            {"response": {}, "metadata": {"output": OUTPUT}},
            {"response": {"@type": "type.googleapis.com/Output"}, "metadata": {"output": OUTPUT}},
        ],
    )
    def test_result_file_is_found_in_the_response_or_the_metadata(self, fields):
        read = job("BATCH_STATE_SUCCEEDED", **fields)

        assert (read.output_file, read.is_inline, read.has_results) == ("files/r", False, True)

    @pytest.mark.parametrize("kind", ["inlinedResponses", "inlinedEmbedContentResponses"])
    @pytest.mark.parametrize("place", ["response", "metadata"])
    def test_results_in_the_job_itself_are_results(self, kind, place):
        output = {kind: {"inlinedResponses": [{"response": {}}]}}
        fields = {"response": output} if place == "response" else {"metadata": {"output": output}}

        read = job("BATCH_STATE_SUCCEEDED", **fields)

        assert (read.output_file, read.is_inline, read.has_results) == (None, True, True)

    def test_job_that_has_succeeded_without_output_has_no_results(self):
        read = job("BATCH_STATE_SUCCEEDED", done=True)

        assert (read.has_ended, read.has_results) == (True, False)

    def test_job_that_has_partially_succeeded_has_its_results(self):
        read = job("BATCH_STATE_PARTIALLY_SUCCEEDED", response=OUTPUT)

        assert (read.has_ended, read.has_results) == (True, True)

    def test_output_of_a_running_job_is_no_result(self):
        assert not job("BATCH_STATE_RUNNING", response=OUTPUT).has_results


class TestEnd:
    def test_error_at_the_top_is_read(self):
        read = job("BATCH_STATE_FAILED", done=True, error=ERROR)

        assert read.error == {"code": 13, "message": "Internal error encountered."}
        assert (read.state, read.has_ended, read.has_results) == ("FAILED", True, False)

    def test_error_in_the_metadata_is_read(self):
        assert job("BATCH_STATE_FAILED", metadata={"error": ERROR}).error["code"] == 13

    def test_job_without_an_error_has_none(self):
        assert job("BATCH_STATE_FAILED").error is None

    @pytest.mark.parametrize("state", [None, "BATCH_STATE_UNSPECIFIED", "BATCH_STATE_FINISHED", "BATCH_STATE_RUNNING"])
    @pytest.mark.parametrize(
        ("fields", "ended"),
        [({"error": ERROR}, "FAILED"), ({"response": {"responsesFile": "files/r"}}, "SUCCEEDED")],
    )
    def test_operation_that_is_done_has_ended_whatever_its_state_is_called(self, state, fields, ended):
        read = job(state, done=True, **fields)

        assert (read.state, read.has_ended) == (ended, True)

    @pytest.mark.parametrize("state", [None, "BATCH_STATE_UNSPECIFIED", "BATCH_STATE_FINISHED", "BATCH_STATE_RUNNING"])
    def test_operation_that_is_done_without_error_has_succeeded_even_if_its_results_are_late(self, state):
        read = job(state, done=True)

        assert (read.state, read.has_ended, read.has_results) == ("SUCCEEDED", True, False)

    @pytest.mark.parametrize("state", [None, "BATCH_STATE_PENDING", "BATCH_STATE_CANCELLING"])
    def test_operation_that_is_done_with_the_code_of_a_cancellation_is_cancelled(self, state):
        assert job(state, done=True, error={"code": 1, "message": "cancelled"}).state == "CANCELLED"

    def test_key_in_the_reason_is_hidden(self):
        operation = {"name": "batches/a", "done": True, "error": {"code": 7, "message": "key KEY is suspended"}}

        assert BatchJob.from_api(operation, secrets=["KEY"]).error["message"] == "key *** is suspended"

    @pytest.mark.parametrize("state", ["CANCELLED", "EXPIRED", "FAILED"])
    def test_known_state_has_priority_over_done(self, state):
        read = job(f"BATCH_STATE_{state}", done=True, response={"responsesFile": "files/r"})

        assert (read.state, read.has_ended, read.has_results) == (state, True, False)


class TestCounts:
    @pytest.mark.parametrize(
        ("stats", "counts", "progress"),
        [
            ({"requestCount": "100"}, {"total": 100}, "RUNNING, 0 of 100 requests done"),
            (
                {"requestCount": "100", "successfulRequestCount": "38", "failedRequestCount": "2"},
                {"total": 100, "successful": 38, "failed": 2},
                "RUNNING, 40 of 100 requests done, 2 failed",
            ),
            (
                {"requestCount": 7, "pendingRequestCount": 7},
                {"total": 7, "pending": 7},
                "RUNNING, 0 of 7 requests done",
            ),
            ({"successfulRequestCount": "3"}, {"successful": 3}, "RUNNING"),
            ({"requestCount": "many"}, None, "RUNNING"),
            ({"requestCount": "²"}, None, "RUNNING"),
            ({"requestCount": "-1"}, None, "RUNNING"),
            ({"requestCount": 1.5}, None, "RUNNING"),
            ({"requestCount": None}, None, "RUNNING"),
            ({}, None, "RUNNING"),
            ("?", None, "RUNNING"),
        ],
    )
    def test_counts_are_read_and_odd_ones_left_out(self, stats, counts, progress):
        read = job(metadata={"batchStats": stats})

        assert (read.counts, read.progress()) == (counts, progress)


class TestTimes:
    @pytest.mark.parametrize(
        ("time", "seconds"),
        [
            ("2026-01-01T00:00:00Z", 1767225600.0),
            ("2026-01-01T00:00:00.123456789Z", 1767225600.123456),
            ("2026-01-01T01:00:00+01:00", 1767225600.0),
            ("yesterday", None),
            ("", None),
            (5, None),
            (None, None),
        ],
    )
    def test_time_is_read_if_it_can_be(self, time, seconds):
        read = job(metadata={"createTime": time, "endTime": time})

        assert (read.created_at(), read.ended_at()) == (seconds, seconds)


class TestRecord:
    def test_record_is_read_back(self):
        read = job(
            "BATCH_STATE_FAILED",
            metadata={"batchStats": {"requestCount": "1"}},
            error={"code": 3, "message": "no"},
        )

        assert BatchJob.from_dict(json.loads(json.dumps(read.to_dict()))) == read

    def test_record_of_another_version_is_read(self):
        assert BatchJob.from_dict({"name": NAME, "state": "RUNNING", "colour": "red"}) == BatchJob(NAME, "RUNNING")


class TestStateOfAFilter:
    @pytest.mark.parametrize("state", ["RUNNING", "running", " JOB_STATE_RUNNING ", "BATCH_STATE_RUNNING"])
    def test_state_is_read_without_its_prefix(self, state):
        assert parse_state(state) == "RUNNING"

    @pytest.mark.parametrize("state", ["PENDING", *sorted(ENDED)])
    def test_every_state_can_be_asked_for(self, state):
        assert parse_state(f"JOB_STATE_{state}") == state

    def test_no_state_is_no_filter(self):
        assert parse_state(None) is None

    @pytest.mark.parametrize("state", ["RUNING", "", "None", "JOB_STATE_"])
    def test_state_that_does_not_exist_is_refused_with_those_that_do(self, state):
        with pytest.raises(
            GeminiInputError, match=r"is not a state of a batch job; expected one of CANCELLED, EXPIRED"
        ):
            parse_state(state)


class TestName:
    @pytest.mark.parametrize(
        "given",
        [
            "batches/abc",
            "abc",
            "  batches/abc ",
            {"name": "batches/abc"},
            {"name": "abc", "names": ["x"]},
            BatchJob("batches/abc", "RUNNING"),
        ],
    )
    def test_name_is_read_from_every_form(self, given):
        assert parse_batch_name(given) == "batches/abc"

    @pytest.mark.parametrize(
        "given",
        [
            "",
            " ",
            "batches/",
            "batches/batches/a",
            "files/abc",
            "a b",
            "a/../b",
            "-a",
            "None",
            None,
            5,
            [],
            {},
            {"name": 5},
            "a?key=x",
        ],
    )
    def test_anything_else_is_refused(self, given):
        with pytest.raises(GeminiInputError, match=r"is not the name of a batch job; expected 'batches/\.\.\.'"):
            parse_batch_name(given)

    @pytest.mark.parametrize(
        ("given", "names"),
        [
            ("a", ["batches/a"]),
            ({"name": "a"}, ["batches/a"]),
            (["a", {"name": "batches/b"}, "batches/a"], ["batches/a", "batches/b"]),
            (("b", "a"), ["batches/b", "batches/a"]),
            ((name for name in "ab"), ["batches/a", "batches/b"]),
        ],
    )
    def test_several_names_are_read_in_order_without_duplicates(self, given, names):
        assert parse_batch_names(given) == names

    @pytest.mark.parametrize("given", [None, [None], ["a", ""], 5])
    def test_list_with_anything_else_is_refused(self, given):
        with pytest.raises(GeminiInputError, match="is not the name of a batch job"):
            parse_batch_names(given)

    def test_empty_list_is_refused(self):
        with pytest.raises(GeminiInputError, match="There is no batch job: the list is empty"):
            parse_batch_names([])
