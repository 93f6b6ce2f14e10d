"""The row of a request: a value, or why there is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from airflow_provider_gemini_files.batches.requests import BatchRequest
from airflow_provider_gemini_files.batches.rows import Row, RowKind, Tally, row_of
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.content.schema import Schema

USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
KEYS = ["key", "value", "error", "finish_reason", "usage", "files"]

TEXTS = st.text(st.characters(), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
PARTS = st.lists(
    st.dictionaries(st.sampled_from(["text", "thought", "inlineData", "functionCall"]), VALUES), max_size=2
)
CANDIDATES = st.fixed_dictionaries(
    {"content": VALUES | st.fixed_dictionaries({"parts": PARTS | VALUES})},
    optional=dict.fromkeys(("finishReason", "finishMessage", "safetyRatings", "groundingMetadata"), VALUES),
)
RESPONSES = VALUES | st.fixed_dictionaries(
    {"candidates": st.lists(CANDIDATES, max_size=2) | VALUES},
    optional=dict.fromkeys(("promptFeedback", "usageMetadata", "modelVersion"), VALUES),
)
RESULTS = st.none() | st.fixed_dictionaries({}, optional={"response": RESPONSES, "error": VALUES, "key": TEXTS})


class Count(BaseModel):
    crates: int


def request(schema: Any = None, key: str = "a") -> BatchRequest:
    return BatchRequest(key, key, ModelRequest.of(prompt="x", files=["files/a", "files/b"], response_schema=schema))


def answer(text: str | None = "Yes.", finish_reason: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    """Return a result with an answer."""
    parts = [] if text is None else [{"text": text}]
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": finish_reason}
    return {"key": "a", "response": {"candidates": [candidate], "usageMetadata": USAGE, **fields}}


def error(code: Any = 400, message: Any = "no", **fields: Any) -> dict[str, Any]:
    return {"key": "a", "error": {"code": code, "message": message, **fields}}


def row(result: dict[str, Any] | None, schema: Any = None, *, keep_cut: bool = False) -> Row:
    return row_of("a", result, request(schema), None, keep_cut=keep_cut)


def stored(one: Row) -> dict[str, Any]:
    """Return a row as it is read from the file."""
    assert one.line().endswith(b"\n")
    assert one.line().count(b"\n") == 1
    return json.loads(one.line())


class TestSuccess:
    def test_text_is_the_value(self):
        one = row(answer("Yes.\nOf course: ü"))

        assert (one.kind, one.is_transient) == (RowKind.SUCCESS, False)
        assert stored(one) == {
            "key": "a",
            "value": "Yes.\nOf course: ü",
            "error": None,
            "finish_reason": "STOP",
            "usage": {
                "prompt": 10,
                "answer": 5,
                "thoughts": 0,
                "cached": 0,
                "tools": 0,
                "total": 15,
                "by_modality": {},
            },
            "files": ["files/a", "files/b"],
        }

    def test_json_value_follows_the_schema_of_the_request(self):
        one = row(answer('```json\n{"crates": 3}\n```'), Count)

        assert (one.kind, one.record["value"]) == (RowKind.SUCCESS, {"crates": 3})

    def test_schema_of_the_batch_holds_for_requests_that_are_not_known(self):
        one = row_of("a", answer('{"crates": 3}'), None, Schema.of(Count))

        assert (one.record["value"], one.record["files"]) == ({"crates": 3}, [])

    def test_request_without_a_schema_is_not_judged_by_another(self):
        one = row_of("a", answer("three"), request(), Schema.of(Count))

        assert one.record["value"] == "three"

    @pytest.mark.parametrize("value", [None, 0, False, [], ""])
    def test_value_can_be_anything_that_json_can(self, value):
        one = row(answer(json.dumps(value)), {})

        assert (one.kind, stored(one)["value"]) == (RowKind.SUCCESS, value)


class TestError:
    @pytest.mark.parametrize("code", [4, 8, 10, 13, 14, 408, 409, 429, 499, 500, 502, 503, 504])
    @pytest.mark.parametrize("form", [int, str])
    def test_passing_error_of_the_service_is_worth_another_job(self, code, form):
        one = row(error(form(code), "The model is overloaded.", status="UNAVAILABLE"))

        assert (one.kind, one.is_transient) == (RowKind.ERROR, True)
        assert stored(one)["error"] == {"kind": "error", "message": "The model is overloaded.", "code": code}
        assert stored(one)["value"] is stored(one)["usage"] is stored(one)["finish_reason"] is None

    @pytest.mark.parametrize(
        "code", [1, 3, 5, 7, 9, 400, 403, 404, None, "UNAVAILABLE", "50x", "²", 503.5, [503], {"code": 503}]
    )
    def test_any_other_error_is_not(self, code):
        one = row(error(code))

        assert (one.kind, one.is_transient) == (RowKind.ERROR, False)
        assert stored(one)["error"].get("code") == (code if isinstance(code, int | str) else None)

    @pytest.mark.parametrize(
        ("status", "is_transient"), [("UNAVAILABLE", True), ("INTERNAL", True), ("NOT_FOUND", False)]
    )
    def test_error_without_a_code_is_known_by_its_name(self, status, is_transient):
        one = row({"key": "a", "error": {"status": status, "message": "no"}})

        assert (one.kind, one.is_transient) == (RowKind.ERROR, is_transient)

    @pytest.mark.parametrize(
        "message", ["Cannot fetch content from the provided URL.", "The File files/a is not in an ACTIVE state."]
    )
    def test_url_and_file_may_be_readable_for_another_job(self, message):
        assert row(error(400, message)).is_transient

    def test_error_beside_an_empty_answer_is_the_reason(self):
        one = row({**error(503, "overloaded"), "response": {}})

        assert (one.kind, one.is_transient) == (RowKind.ERROR, True)
        assert stored(one)["error"] == {"kind": "error", "message": "overloaded", "code": 503}

    def test_answer_beside_an_error_is_used(self):
        assert row({**error(), **answer("Yes.")}).record["value"] == "Yes."

    def test_key_in_an_error_is_hidden(self):
        one = row_of("a", error(403, "key KEY is suspended"), request(), None, secrets=["KEY"])

        assert stored(one)["error"]["message"] == "key *** is suspended"

    @pytest.mark.parametrize(
        ("result", "message"),
        [
            ({"key": "a"}, "The result has neither an answer nor an error."),
            ({"key": "a", "response": None}, "The result has neither an answer nor an error."),
            ({"key": "a", "response": "?", "error": None}, "The result has neither an answer nor an error."),
            ({"key": "a", "error": {}}, "The service gave no reason."),
            ({"key": "a", "error": "quota"}, "quota"),
            ({"key": "a", "error": ["quota"]}, "['quota']"),
            ({"key": "a", "error": {"message": "a\x00b\n\x1b[31mc"}}, "a b c"),
            ({"key": "a", "error": {"message": "x" * 5000}}, "x" * 1999 + "…"),
        ],
    )
    def test_message_is_what_the_service_says(self, result, message):
        one = row(result)

        assert one.kind is RowKind.ERROR
        assert stored(one)["error"]["message"] == message


class TestUnusable:
    def test_answer_that_does_not_follow_the_schema_is_invalid(self):
        one = row(answer('{"crates": "many"}'), Count)

        told = stored(one)
        assert (one.kind, one.is_transient, told["value"]) == (RowKind.INVALID, False, None)
        assert told["error"]["kind"] == "invalid"
        assert told["error"]["message"].startswith(
            "The answer does not follow response_schema: crates: Input should be"
        )
        assert told["error"]["text"] == '{"crates": "many"}'
        assert (told["finish_reason"], told["usage"]["total"]) == ("STOP", 15)

    @pytest.mark.parametrize("text", ["no JSON", "NaN", "Infinity", '"\\u0000"', '"\\ud800"', "[" * 5000])
    def test_value_that_cannot_be_stored_is_invalid(self, text):
        one = row(answer(text), {})

        assert (one.kind, stored(one)["error"]["text"]) == (RowKind.INVALID, text)

    @pytest.mark.parametrize(
        ("result", "reason", "words"),
        [
            (answer(None, "SAFETY"), "SAFETY", "The answer ended with SAFETY"),
            (answer("half of", "RECITATION"), "RECITATION", "It begins: 'half of'."),
            (answer(None, None, candidates=[], promptFeedback={"blockReason": "PROHIBITED_CONTENT"}), None, "blocked"),
            (answer(None), "STOP", "The model answered nothing"),
            (answer("  "), "STOP", "The model answered only whitespace"),
            ({"key": "a", "response": {}}, None, "The model answered nothing"),
            (
                answer(None, candidates=[{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]),
                None,
                "wants f to be",
            ),
        ],
    )
    def test_answer_without_usable_text_is_blocked(self, result, reason, words):
        one = row(result)

        assert (one.kind, one.is_transient) == (RowKind.BLOCKED, False)
        assert words in stored(one)["error"]["message"]
        assert stored(one)["finish_reason"] == reason
        assert stored(one)["usage"]["total"] == (15 if "usageMetadata" in result["response"] else 0)

    def test_cut_answer_is_cut(self):
        one = row(answer("It has three", "MAX_TOKENS"))

        assert (one.kind, one.is_transient) == (RowKind.CUT, False)
        assert stored(one)["error"]["text"] == "It has three"

    def test_cut_answer_is_a_success_if_it_is_to_be_kept(self):
        one = row(answer("It has three", "MAX_TOKENS"), keep_cut=True)

        assert (one.kind, one.record["value"]) == (RowKind.SUCCESS, "It has three")
        assert one.record["finish_reason"] == "MAX_TOKENS"

    @pytest.mark.parametrize("schema", [None, Count])
    def test_cut_answer_without_text_is_never_kept(self, schema):
        assert row(answer(None, "MAX_TOKENS"), schema, keep_cut=True).kind is RowKind.CUT

    def test_cut_json_is_never_kept(self):
        assert row(answer('{"crates": 3}', "MAX_TOKENS"), Count, keep_cut=True).kind is RowKind.CUT

    def test_missing_result_is_worth_another_job(self):
        one = row(None)

        assert (one.kind, one.is_transient) == (RowKind.MISSING, True)
        assert stored(one) == {
            "key": "a",
            "value": None,
            "error": {"kind": "missing", "message": "The results have no line for this request."},
            "finish_reason": None,
            "usage": None,
            "files": ["files/a", "files/b"],
        }


class TestLine:
    @settings(max_examples=300)
    @given(RESULTS, TEXTS, st.booleans(), st.booleans())
    def test_every_result_has_a_row_that_can_be_stored(self, result, key, with_schema, keep_cut):
        one = row_of(key, result, request({"type": "string"} if with_schema else None), None, keep_cut=keep_cut)

        told = stored(one)
        assert list(told) == KEYS
        assert (told["error"] is None) is (one.kind is RowKind.SUCCESS)
        assert told["error"] is None or (told["value"] is None and told["error"]["kind"] == one.kind)
        assert "\0" not in json.dumps(told)
        # However a reader finds the ends of lines.
        assert len(one.line().decode().splitlines()) == 1
        [*Tally().add([one])]

    @pytest.mark.parametrize("end", ["\u0085", "\u2028", "\u2029"])
    def test_text_with_a_line_end_of_unicode_is_one_line(self, end):
        one = row(answer(f"one{end}two"))

        assert one.line().decode().count(end) == 0
        assert stored(one)["value"] == f"one{end}two"


class TestTally:
    def test_rows_are_counted_while_they_pass(self):
        rows = [
            row_of(str(at), result, request(Count), None)
            for at, result in enumerate(
                [
                    answer('{"crates": 3}'),
                    error(503),
                    error(400),
                    answer("?"),
                    answer(None, "SAFETY"),
                    answer("x", "MAX_TOKENS"),
                    None,
                ]
            )
        ]
        tally = Tally()

        assert list(tally.add(rows)) == rows

        assert tally.counts == {"success": 1, "error": 2, "invalid": 1, "blocked": 1, "cut": 1, "missing": 1}
        assert (tally.total, tally.unsuccessful, tally.transient) == (7, 6, ["1", "6"])
        assert (tally.usage["prompt"], tally.usage["total"]) == (40, 60)
        assert tally.described() == (
            "1 of 7 rows succeeded; 2 error, 1 invalid, 1 blocked, 1 cut, 1 missing; the first: 1, 2, 3, 4, 5"
        )

    def test_successes_alone_need_no_more_words(self):
        tally = Tally()
        list(tally.add([row(answer())]))

        assert tally.described() == "1 of 1 rows succeeded"

    def test_no_rows_have_no_usage(self):
        assert (Tally().usage, Tally().total) == (None, 0)
