"""Asking through the hook, over HTTP against the emulator."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import json
import math
import socket
import threading
from collections.abc import Iterator

import pytest
from google.genai import models, types
from support import API_KEY, FakeClock, logged_by, sent_to_models

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.hooks import sdk
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook


@pytest.fixture
def slept(clock: FakeClock) -> list[float]:
    """Return the seconds of each sleep."""
    return clock.slept


def asked(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal if entry["call"] in ("generate", "count_tokens")]


def quota_error(quota_id: str, delay: str) -> dict:
    violation = {"quotaMetric": "generate_content_free_tier_requests", "quotaId": quota_id, "quotaValue": "5"}
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ]
    return {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details}}


def test_model_is_sent_the_files_in_order_and_then_the_prompt(hook, emulator, text_file, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("1,2")
    files = [hook.upload_file(path) for path in (text_file, other)]

    answer = hook.generate_content("what is it?", files, system_instruction="be short")

    lines = (answer.text or "").splitlines()
    assert lines[1:] == [
        f"1. {files[0].name} text/plain, 20 bytes, sha256 {files[0].sha256}",
        f"2. {files[1].name} text/csv, 3 bytes, sha256 {files[1].sha256}",
        "I was instructed: be short",
        "I was asked: what is it?",
    ]
    [body] = sent_to_models(emulator)
    assert body["contents"] == [
        {
            "role": "user",
            "parts": [
                {"fileData": {"fileUri": files[0].uri, "mimeType": "text/plain"}},
                {"fileData": {"fileUri": files[1].uri, "mimeType": "text/csv"}},
                {"text": "what is it?"},
            ],
        }
    ]
    assert answer.finish_reason == "STOP"
    assert answer.usage["total"] == answer.usage["prompt"] + answer.usage["answer"] > 0


def test_every_kind_of_part_and_turn_is_sent(hook, emulator, text_file):
    file = hook.upload_file(text_file)
    contents = Contents.parse(
        contents=[
            {"role": "user", "parts": ["first", {"data": b"inline bytes", "mime_type": "text/plain"}]},
            {"role": "model", "parts": ["an answer"]},
            {"url": "https://www.youtube.com/watch?v=9hE5-98ZeCg", "video": {"start": 5}},
            {"file": file.name, "media_resolution": "low"},
        ],
        prompt="why?",
    )

    hook.generate_content(contents, [file])

    [body] = sent_to_models(emulator)
    assert body["contents"] == [
        {
            "role": "user",
            "parts": [
                {"text": "first"},
                {"inlineData": {"data": base64.urlsafe_b64encode(b"inline bytes").decode(), "mimeType": "text/plain"}},
            ],
        },
        {"role": "model", "parts": [{"text": "an answer"}]},
        {
            "role": "user",
            "parts": [
                {
                    "fileData": {"fileUri": "https://www.youtube.com/watch?v=9hE5-98ZeCg"},
                    "videoMetadata": {"startOffset": "5s"},
                },
                {
                    "fileData": {"fileUri": file.uri, "mimeType": "text/plain"},
                    "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
                },
                {"text": "why?"},
            ],
        },
    ]


def test_view_options_are_fields_of_the_sdks_types():
    turn = {
        "role": "user",
        "parts": [
            {
                "fileData": {"fileUri": "https://host/files/a", "mimeType": "video/mp4"},
                "videoMetadata": {"startOffset": "10s", "endOffset": "25s", "fps": 2.0},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
            }
        ],
    }

    [content] = sdk.content_of([turn])

    [part] = content.parts
    assert part.file_data.mime_type == "video/mp4"
    assert (part.video_metadata.start_offset, part.video_metadata.end_offset) == ("10s", "25s")
    assert part.video_metadata.fps == 2
    assert part.media_resolution.level.name == "MEDIA_RESOLUTION_LOW"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"temperature": "hot", "no_such_field": 1}, r"generation_config is not valid: temperature: .*; no_such_field"),
        ({"safety_settings": [{"kategory": "x"}]}, r"safety_settings\.0\.kategory"),
        ({"thinking_config": {"thinking_budget": "much"}}, r"thinking_config\.thinking_budget"),
        ({"http_options": {"base_url": "https://elsewhere"}}, "the connection decides how"),
        ({"httpOptions": {}}, "the connection decides how"),
        ("temperature=1", "must be a dict of fields"),
        ({"temperature": float("nan")}, "a number that JSON does not have"),
        ({"safety_settings": [{"x": (1, float("inf"))}]}, "a number that JSON does not have"),
        ({"tools": [len]}, "<built-in function len> is no tool"),
    ],
)
def test_wrong_configuration_is_refused_before_anything_is_sent(hook, emulator, config, told):
    with pytest.raises(e.GeminiInputError, match=told):
        hook.generate_content("x", generation_config=config)

    assert emulator.journal == []


@pytest.mark.parametrize("field", ["system_instruction", "systemInstruction"])
def test_system_instruction_is_given_once(hook, emulator, field):
    with pytest.raises(e.GeminiInputError, match="system_instruction is in generation_config, too"):
        hook.generate_content("x", system_instruction="Be brief.", generation_config={field: "Be kind."})

    assert emulator.journal == []


def test_field_of_another_api_is_refused_before_anything_is_sent(hook, emulator):
    with pytest.raises(e.GeminiInputError, match=r"generation_config cannot be sent: audio_timestamp .*not"):
        hook.generate_content("x", generation_config={"audio_timestamp": True})

    assert emulator.journal == []


@pytest.mark.parametrize("field", ["response_mime_type", "response_schema", "response_json_schema", "responseSchema"])
def test_schema_is_given_once(hook, emulator, field):
    with pytest.raises(e.GeminiInputError, match=f"response_schema sets {field}"):
        hook.generate_content("x", schema=Schema.of({"type": "object"}), generation_config={field: "x"})


def test_configuration_is_sent_as_given(hook, emulator):
    config = {
        "temperature": 0,
        "max_output_tokens": 10,
        "media_resolution": "MEDIA_RESOLUTION_LOW",
        "thinking_config": {"thinking_budget": 0},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "tools": [{"google_search": {}}, {"url_context": {}}, {"code_execution": {}}],
    }

    hook.generate_content("x", generation_config=config)

    [body] = sent_to_models(emulator)
    assert body["generationConfig"] == {
        "temperature": 0,
        "maxOutputTokens": 10,
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "thinkingConfig": {"thinkingBudget": 0},
    }
    assert body["safetySettings"] == [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    assert body["tools"] == [{"googleSearch": {}}, {"urlContext": {}}, {"codeExecution": {}}]


def test_schema_is_sent_and_the_answer_follows_it(hook, emulator):
    schema = Schema.of({"type": "object", "properties": {"crates": {"type": "integer"}}, "required": ["crates"]})

    value, wrong = schema.judge(hook.generate_content("how many?", schema=schema).usable_text())

    assert wrong is None
    assert isinstance(value["crates"], int)
    [body] = sent_to_models(emulator)
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": schema.json_schema,
    }


def test_unknown_model_is_an_input_error(hook):
    with pytest.raises(e.GeminiInputError, match=r"gemini-1\.5-flash.* not found.*Check the model"):
        hook.generate_content("x", model="gemini-1.5-flash")


@pytest.mark.parametrize(
    ("fault", "kind", "calls"),
    [
        ({"action": "bad_key"}, e.GeminiAuthError, 1),
        ({"action": "forbidden"}, e.GeminiAuthError, 1),
        ({"action": "key_blocked"}, e.GeminiAuthError, 1),
        ({"action": "referrer_blocked"}, e.GeminiAuthError, 1),
        ({"action": "echo_key"}, e.GeminiAuthError, 1),
        ({"action": "short_deadline"}, e.GeminiInputError, 1),
        ({"action": "overloaded", "times": 2}, e.GeminiServiceError, 2),
        ({"action": "outage", "times": 2}, e.GeminiServiceError, 2),
        ({"action": "internal", "times": 2}, e.GeminiServiceError, 2),
        ({"action": "rate_limit", "seconds": 7, "times": 2}, e.GeminiRateLimitError, 2),
        ({"action": "exhausted", "times": 2}, e.GeminiRateLimitError, 2),
        ({"action": "daily_quota"}, e.GeminiRateLimitError, 1),
        ({"action": "no_quota"}, e.GeminiAuthError, 1),
        ({"action": "no_free_tier"}, e.GeminiAuthError, 1),
        ({"action": "credits_depleted"}, e.GeminiAuthError, 1),
        ({"action": "storage_full"}, e.GeminiStorageFullError, 1),
        ({"action": "gone", "times": 5}, e.GeminiFileGoneError, 5),
        ({"action": "not_active", "times": 5}, e.GeminiFileNotActiveError, 5),
        ({"action": "status", "status": 404, "body": "<html>", "times": 2}, e.GeminiServiceError, 2),
        ({"action": "status", "status": 401, "body": {"error": {"message": "no team"}}, "times": 2},
         e.GeminiServiceError, 2),
        ({"action": "rate_limit", "seconds": 3600}, e.GeminiRateLimitError, 1),
        ({"action": "status", "status": 429, "body": quota_error("GenerateRequestsPerMinute", f"{2**63 - 1}s")},
         e.GeminiRateLimitError, 1),
        ({"action": "status", "status": 429, "body": quota_error("GenerateRequestsPerDayPerProject-FreeTier", "9s")},
         e.GeminiRateLimitError, 1),
    ],
)  # fmt: skip
def test_each_error_has_its_class_and_is_repeated_only_if_that_can_help(hook, emulator, slept, fault, kind, calls):
    emulator.faults.add("generate", **fault)

    with pytest.raises(e.GeminiFilesError) as told:
        hook.generate_content("x")

    assert type(told.value) is kind
    assert len(asked(emulator)) == calls
    assert len(slept) == calls - 1
    assert max(slept, default=0) <= 60
    assert API_KEY not in str(told.value)


def test_delay_that_the_service_asks_for_is_followed(hook, emulator, slept):
    emulator.faults.add("generate", "rate_limit", seconds=7)

    assert hook.generate_content("x").text
    assert slept == [7.0]


def test_delay_of_nothing_is_no_advice(hook, emulator, slept):
    emulator.faults.add("generate", "status", status=429, body=quota_error("GenerateRequestsPerMinute", "0s"))

    assert hook.generate_content("x").text
    assert slept == [1.0]


@pytest.mark.parametrize(("seconds", "retry_after"), [(3600, 3600.0), (2**63 - 1, math.inf)])
def test_delay_of_more_than_a_minute_ends_the_attempt_with_retry_after(hook, emulator, slept, seconds, retry_after):
    emulator.faults.add("generate", "status", status=429, body=quota_error("GenerateRequestsPerMinute", f"{seconds}s"))

    with pytest.raises(e.GeminiRateLimitError) as told:
        hook.generate_content("x")

    assert told.value.retry_after == retry_after
    assert slept == []


def test_retry_after_header_is_followed(hook, emulator, slept):
    emulator.faults.add("generate", "status", status=503, body="busy", headers={"Retry-After": "9"})

    hook.generate_content("x")

    assert slept == [9.0]


@pytest.mark.parametrize(
    ("action", "advice"),
    [
        ("no_quota", "no quota at all for this model.*choose another model, or a plan"),
        ("no_free_tier", "no quota at all for this model.*choose another model, or a plan"),
        ("credits_depleted", "Add credits or billing to the key's project"),
    ],
)
def test_quota_that_no_time_brings_back_is_permanent_and_says_what_to_do(hook, emulator, slept, action, advice):
    emulator.faults.add("generate", action)

    with pytest.raises(e.GeminiAuthError, match=advice) as raised:
        hook.generate_content("x")

    assert raised.value.retry_after is None
    assert slept == []


class TestPaidRequests:
    UNANSWERED = pytest.mark.parametrize(
        "fault",
        [
            {"action": "reset"},
            {"action": "lose_answer"},
            {"action": "status", "status": 504, "body": "upstream request timeout"},
            {"action": "status", "status": 200, "body": "<html>"},
            {"action": "status", "status": 200, "body": ["a list"]},
            {"action": "status", "status": 200, "body": {"error": {"message": "no such team"}}},
            {"action": "status", "status": 200, "body": {"status": "ok"}},
            {"action": "status", "status": 200, "body": {}},
            {"action": "status", "status": 200, "body": ""},
            {"action": "status", "status": 500, "body": "<html>"},
            {"action": "status", "status": 502, "body": {"detail": "bad gateway"}},
            {"action": "status", "status": 520, "body": ""},
            {"action": "status", "status": 599, "body": {"error": {"code": "x", "message": "upstream"}}},
        ],
    )

    @UNANSWERED
    def test_request_without_an_answer_is_not_repeated(self, hook, emulator, slept, fault):
        emulator.faults.add("generate", **fault)

        with pytest.raises(e.GeminiServiceError) as raised:
            hook.generate_content("x")

        assert raised.value.unanswered
        assert asked(emulator) == ["generate"]
        assert slept == []

    @UNANSWERED
    def test_request_without_an_answer_is_repeated_if_that_is_allowed(self, hook, emulator, fault):
        emulator.faults.add("generate", **fault)

        assert hook.generate_content("x", repeat_unanswered=True).text
        assert asked(emulator) == ["generate", "generate"]

    @UNANSWERED
    def test_counting_tokens_costs_nothing_and_is_repeated(self, hook, emulator, fault):
        emulator.faults.add("count_tokens", **fault)

        assert hook.count_tokens("x" * 8) == 2
        assert asked(emulator) == ["count_tokens", "count_tokens"]

    @pytest.mark.parametrize(
        "fault",
        [
            {"action": "internal"},
            {"action": "outage"},
            # A gateway that has no service to pass the request to.
            {"action": "status", "status": 503, "body": "no healthy upstream"},
            {"action": "status", "status": 429, "body": "slow down"},
        ],
    )
    def test_request_that_was_refused_is_repeated(self, hook, emulator, fault):
        emulator.faults.add("generate", **fault)

        assert hook.generate_content("x").text
        assert asked(emulator) == ["generate", "generate"]

    def test_words_of_a_gateway_that_answers_200_are_repeated_without_the_key(self, hook, emulator):
        emulator.faults.add("generate", "status", status=200, body={"error": f"no team for {API_KEY}"})

        with pytest.raises(
            e.GeminiServiceError, match=r"not the Gemini API's: .*no team for \*\*\*.* A gateway may have sent it"
        ):
            hook.generate_content("x")

    @pytest.mark.parametrize("call", ["generate", "count_tokens"])
    def test_response_that_is_nested_too_deep_is_a_failure_of_the_service(self, hook, emulator, call):
        body = "[" * 100_000 + "]" * 100_000
        emulator.faults.add(call, "status", status=200, body=body, content_type="application/json", times=2)

        with pytest.raises(e.GeminiServiceError, match="cannot be read"):
            hook.generate_content("x") if call == "generate" else hook.count_tokens("x")
        emulator.faults.clear()

    def test_byte_order_mark_of_a_gateway_loses_no_answer(self, hook, emulator):
        body = "\ufeff" + json.dumps({"candidates": [{"content": {"parts": [{"text": "paid for"}]}}]})
        emulator.faults.add("generate", "status", status=200, body=body, content_type="application/json")

        assert hook.generate_content("x").text == "paid for"

    def test_error_of_the_service_that_a_gateway_passes_on_with_200_is_what_it_says(self, hook, emulator, slept):
        error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down"}
        emulator.faults.add("generate", "status", status=200, body={"error": error})

        assert hook.generate_content("x").text
        assert len(slept) == 1

    @pytest.mark.parametrize(
        "body", [{"usageMetadata": {}}, {"modelVersion": "m"}, {"candidates": []}, {"promptFeedback": {}, "error": "x"}]
    )
    def test_response_of_the_service_is_known_by_its_keys(self, hook, emulator, body):
        emulator.answers.add(response=body)

        assert hook.generate_content("x").text is None

    def test_broken_connection_is_named_as_such(self, hook, emulator):
        emulator.faults.add("generate", "lose_answer")

        with pytest.raises(
            e.GeminiServiceError,
            match=rf"the connection broke before the answer came .* sent to {emulator.base_url} and may have been",
        ):
            hook.generate_content("x")

    def test_timeout_is_named_with_its_seconds(self, hook, mocker):
        # A request cannot time out in less than 10 seconds.
        client = importlib.import_module("httpx2" if importlib.util.find_spec("httpx2") else "httpx")
        timeout = client.ReadTimeout("timed out")
        mocker.patch.object(models.Models, "generate_content", autospec=True, side_effect=timeout)

        with pytest.raises(e.GeminiServiceError, match=r"no answer within 600 s\. .*may have been carried out and"):
            hook.generate_content("x")

    def test_service_that_was_not_reached_has_billed_nothing(self, connect, clock):
        connect(host="http://127.0.0.1:9", extra={"max_retries": 2})

        with pytest.raises(e.GeminiServiceError, match=r"http://127\.0\.0\.1:9 cannot be reached") as raised:
            GeminiFilesHook(clock=clock).generate_content("x")

        assert not raised.value.unanswered
        assert len(clock.slept) == 2


@pytest.fixture
def dripping_headers() -> Iterator[str]:
    """Return the address of a server that sends its headers byte by byte, without end."""
    stopped = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nx-drops: ")
            while not stopped.wait(0.02):
                connection.sendall(b".")

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        stopped.set()


class TestResponsesThatDrip:
    """The timeout of an HTTP client starts again with each byte that arrives."""

    @pytest.fixture(autouse=True)
    def _short(self, mocker) -> None:
        # A connection's timeout is 10 seconds or more.
        mocker.patch.object(sdk, "_MARGIN", 0.3 - 600)

    def test_paid_request_ends_with_the_timeout_and_is_not_repeated(self, hook, emulator):
        emulator.answers.add(response={"candidates": []})
        emulator.faults.add("generate", "drip", seconds=0.1)

        with pytest.raises(
            e.GeminiServiceError, match=r"no answer within 600 s\. .*may have been carried out"
        ) as raised:
            hook.generate_content("x")

        assert raised.value.unanswered
        assert asked(emulator) == ["generate"]

    def test_headers_count_too(self, connect, clock, dripping_headers):
        connect(host=dripping_headers)

        with pytest.raises(e.GeminiServiceError, match="no answer within 600 s") as raised:
            GeminiFilesHook(clock=clock).generate_content("x")

        assert raised.value.unanswered

    def test_counting_tokens_ends_with_its_own_timeout(self, hook, emulator, mocker):
        mocker.patch.object(sdk, "_MARGIN", 0.3 - 60)
        emulator.faults.add("count_tokens", "drip", seconds=0.1, times=2)

        with pytest.raises(e.GeminiServiceError, match="no answer within 60 s"):
            hook.count_tokens("x")

        assert asked(emulator) == ["count_tokens", "count_tokens"]


REASONLESS = {"error": {"code": 400, "message": "Request contains an invalid argument.", "status": "INVALID_ARGUMENT"}}


class TestReasonlessRefusal:
    def test_everything_that_could_be_the_cause_is_named(self, hook, emulator, text_file):
        file = hook.upload_file(text_file)
        emulator.faults.add("generate", "status", status=400, body=REASONLESS)
        schema = Schema.of({"type": "array", "maxItems": 600, "items": {"type": "string"}})
        contents = Contents.parse(
            "x", [file.name, {"url": "https://example.com/a?token=s3cret"}, {"data": b"%PDF-1.4"}]
        )

        with pytest.raises(e.GeminiInputError, match=r"contains an invalid argument") as raised:
            hook.generate_content(contents, [file], model="gemini-x", generation_config={"top_k": 3}, schema=schema)

        told = str(raised.value)
        causes = (
            f"response_schema of {len(json.dumps(schema.json_schema))} B, 2 levels deep, maxItems up to 600",
            "files of type text/plain",
            "inline data of type application/pdf",
            "URLs https://example.com/a",
            "generation_config top_k",
            "model gemini-x",
        )
        for cause in causes:
            assert cause in told
        assert "s3cret" not in told
        assert len(asked(emulator)) == 1

    def test_refusal_with_a_reason_is_left_as_it_is(self, hook, emulator):
        emulator.faults.add("generate", "short_deadline")

        with pytest.raises(e.GeminiInputError) as raised:
            hook.generate_content("x")

        assert "could be the cause" not in str(raised.value)

    def test_counting_names_them_too(self, hook, emulator):
        emulator.faults.add("count_tokens", "status", status=400, body=REASONLESS)

        with pytest.raises(e.GeminiInputError, match="Possible causes in the request: model gemini-x"):
            hook.count_tokens("x", model="gemini-x")


class TestWhatTheSdkDrops:
    def test_finish_message_is_read_from_the_response(self, hook, emulator):
        emulator.answers.add("", finish_reason="MALFORMED_FUNCTION_CALL", finish_message="Malformed call: f(")

        assert hook.generate_content("x").finish_message == "Malformed call: f("

    def test_media_of_an_answer_are_decoded(self, hook, emulator):
        image = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"a picture").decode()}}
        emulator.answers.add(parts=[{"text": "see"}, image])

        answer = hook.generate_content("x")

        assert answer.text == "see"
        assert [(one.mime_type, one.data) for one in answer.media] == [("image/png", b"a picture")]


@pytest.mark.parametrize("action", ["not_active", "gone"])
@pytest.mark.parametrize("call", ["generate", "count_tokens"])
def test_file_that_is_refused_just_after_it_became_active_is_sent_again(hook, emulator, slept, text_file, action, call):
    file = hook.upload_file(text_file)
    emulator.faults.add(call, action, file_id=file.name.removeprefix("files/"), times=3)

    result = hook.generate_content("x", [file]) if call == "generate" else hook.count_tokens("x", [file])

    assert result
    assert slept == [2, 4, 8]


def test_system_instruction_is_counted(hook, emulator, text_file):
    file = hook.upload_file(text_file)

    bare = hook.count_tokens("x" * 40, [file])
    instructed = hook.count_tokens("x" * 40, [file], system_instruction="y" * 40)

    assert bare == 10 + 5
    assert instructed == bare + 10
    assert asked(emulator) == ["count_tokens", "count_tokens"]


def test_repetition_is_logged(hook, emulator, slept, capsys):
    emulator.faults.add("generate", "not_active", file_id="x")

    hook.generate_content("x")

    assert "Asking again in 2 s." in capsys.readouterr().out


def piece(text: str, token: str | None = None) -> dict:
    finish = {"finishReason": "CONTINUATION", "continuationToken": token} if token else {"finishReason": "STOP"}
    return {"content": {"parts": [{"text": text}], "role": "model"}, **finish}


@pytest.mark.skipif(
    "continuation_token" not in types.GenerateContentConfig.model_fields, reason="this SDK knows no pieces"
)
class TestAnswerInPieces:
    def test_pieces_are_asked_for_and_joined(self, hook, emulator):
        for one in (piece("Once ", "dG9r"), piece("upon ", "ZW4+"), piece("a time.")):
            emulator.answers.add(candidates=[one])

        answer = hook.generate_content("Tell a story", generation_config={"temperature": 0})

        first, *rest = sent_to_models(emulator)
        assert answer.usable_text() == "Once upon a time."
        assert answer.usage["prompt"] == 3 * hook.count_tokens("Tell a story")
        assert [one.pop("continuationToken") for one in rest] == ["dG9r", "ZW4+"]
        assert rest == [first, first]

    def test_end_is_that_of_the_last_piece(self, hook, emulator):
        emulator.answers.add(candidates=[piece("Once ", "dG9r")])
        emulator.answers.add(finish_reason="SAFETY")

        with pytest.raises(e.GeminiNoAnswerError, match=r"ended with SAFETY after 5 characters.* begins: 'Once '"):
            hook.generate_content("Tell a story").usable_text()

    def test_pieces_that_were_paid_for_are_logged_if_the_next_fails(self, emulator, clock, mocker):
        emulator.answers.add(candidates=[piece("Once upon", "dG9r")])
        emulator.faults.add("generate", "no_quota", nth=2)
        log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)

        with pytest.raises(e.GeminiAuthError):
            GeminiFilesHook(clock=clock).generate_content("Tell a story")

        assert "The answer so far: Once upon" in logged_by(log.warning)

    def test_number_of_pieces_is_bounded(self, hook, emulator, mocker):
        mocker.patch("airflow_provider_gemini_files.hooks.content._MAX_PIECES", 3)
        for _ in range(4):
            emulator.answers.add(candidates=[piece("on and ", "dG9r")])

        answer = hook.generate_content("Tell a story")

        assert answer.text == "on and on and on and "
        with pytest.raises(e.GeminiNoAnswerError, match=r"ended with CONTINUATION .*Further pieces"):
            answer.usable_text()

    def test_first_piece_is_returned_if_no_more_are_wanted(self, hook, emulator):
        emulator.answers.add(candidates=[piece("Once ", "dG9r")])

        answer = hook.generate_content("Tell a story", generation_config={"automatic_continuation": False})

        assert answer.usable_text(keep_cut=True) == "Once "
        assert len(sent_to_models(emulator)) == 1
