"""Asking through the hook, over HTTP against the emulator."""

from __future__ import annotations

import math

import httpx
import pytest
from google.genai import errors, models, types

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.hooks import sdk


@pytest.fixture
def slept(mocker) -> list[float]:
    """Let no test wait out a back-off; return how long each would have been."""
    sleep = mocker.patch("tenacity.nap.time.sleep", autospec=True)
    waits: list[float] = []
    sleep.side_effect = waits.append
    return waits


def asked(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal if entry["call"] in ("generate", "count_tokens")]


def quota_error(quota_id: str, delay: str) -> dict:
    violation = {"quotaMetric": "generate_content_free_tier_requests", "quotaId": quota_id, "quotaValue": "5"}
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ]
    return {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details}}


def test_the_model_sees_the_files_in_order_and_then_the_prompt(hook, emulator, text_file, tmp_path):
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
    assert answer.finish_reason == "STOP"
    assert answer.usage["total"] == answer.usage["prompt"] + answer.usage["answer"] > 0


def test_all_that_can_be_shown_arrives(hook, emulator, text_file):
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

    lines = str(hook.generate_content(contents, [file]).text).splitlines()

    assert lines[1].startswith("1. inline text/plain, 12 bytes")
    assert lines[2].startswith("2. https://www.youtube.com/watch?v=9hE5-98ZeCg")
    assert lines[3].startswith(f"3. {file.name} text/plain, 20 bytes")
    assert lines[4:] == ["I was asked: first", "an answer", "why?"]


def test_how_a_file_is_looked_at_is_said_in_the_sdk_s_own_types():
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
        ({"http_options": {"base_url": "https://elsewhere"}}, "the connection says how"),
        ({"httpOptions": {}}, "the connection says how"),
        ("temperature=1", "is a dict of fields"),
    ],
)
def test_a_configuration_that_is_wrong_is_refused_before_anything_is_sent(hook, emulator, config, told):
    with pytest.raises(e.GeminiInputError, match=told):
        hook.generate_content("x", generation_config=config)

    assert emulator.journal == []


def test_a_field_that_the_api_does_not_have_is_refused_before_anything_is_sent(hook, emulator):
    with pytest.raises(e.GeminiInputError, match=r"generation_config cannot be sent: audio_timestamp .*not"):
        hook.generate_content("x", generation_config={"audio_timestamp": True})

    assert emulator.journal == []


@pytest.mark.parametrize(("call", "method"), [("generate", "generate_content"), ("count_tokens", "count_tokens")])
def test_an_answer_that_is_no_answer_is_asked_for_again(hook, emulator, slept, call, method):
    emulator.faults.add(call, "status", status=200, body="<html>", times=2)

    with pytest.raises(e.GeminiServiceError, match="cannot be read"):
        getattr(hook, method)("x")

    assert asked(emulator) == [call, call]


@pytest.mark.parametrize("field", ["response_mime_type", "response_schema", "response_json_schema", "responseSchema"])
def test_a_schema_is_given_once(hook, emulator, field):
    with pytest.raises(e.GeminiInputError, match=f"response_schema sets {field}"):
        hook.generate_content("x", schema=Schema.of({"type": "object"}), generation_config={field: "x"})


def test_the_rest_of_the_configuration_is_the_sdk_s(hook, emulator):
    config = {
        "temperature": 0,
        "max_output_tokens": 10,
        "media_resolution": "MEDIA_RESOLUTION_LOW",
        "thinking_config": {"thinking_budget": 0},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "tools": [{"google_search": {}}, {"url_context": {}}, {"code_execution": {}}],
    }

    assert hook.generate_content("x", generation_config=config).text


def test_an_answer_follows_a_schema(hook, emulator):
    schema = Schema.of({"type": "object", "properties": {"crates": {"type": "integer"}}, "required": ["crates"]})

    value, wrong = schema.judge(hook.generate_content("how many?", schema=schema).usable_text())

    assert wrong is None
    assert isinstance(value["crates"], int)


def test_a_model_that_does_not_exist_is_told(hook):
    with pytest.raises(e.GeminiInputError, match=r"gemini-1\.5-flash.* not found.*Check the model"):
        hook.generate_content("x", model="gemini-1.5-flash")


@pytest.mark.parametrize(
    ("fault", "kind", "calls"),
    [
        ({"action": "bad_key"}, e.GeminiAuthError, 1),
        ({"action": "forbidden"}, e.GeminiAuthError, 1),
        ({"action": "key_blocked"}, e.GeminiAuthError, 1),
        ({"action": "referrer_blocked"}, e.GeminiAuthError, 1),
        ({"action": "short_deadline"}, e.GeminiInputError, 1),
        ({"action": "overloaded", "times": 2}, e.GeminiServiceError, 2),
        ({"action": "outage", "times": 2}, e.GeminiServiceError, 2),
        ({"action": "internal", "times": 2}, e.GeminiServiceError, 2),
        ({"action": "rate_limit", "seconds": 7, "times": 2}, e.GeminiRateLimitError, 2),
        ({"action": "exhausted", "times": 2}, e.GeminiRateLimitError, 2),
        ({"action": "storage_full"}, e.GeminiStorageFullError, 1),
        ({"action": "gone", "times": 5}, e.GeminiFileGoneError, 5),
        ({"action": "not_active", "times": 5}, e.GeminiFileNotActiveError, 5),
        ({"action": "status", "status": 400, "body": "Upload has already been terminated.", "times": 2},
         e.GeminiServiceError, 2),
        ({"action": "status", "status": 404, "body": "<html>"}, e.GeminiInputError, 1),
        ({"action": "status", "status": 401, "body": {"error": {"message": "OVERLOADED_CREDENTIALS"}}},
         e.GeminiAuthError, 1),
        ({"action": "rate_limit", "seconds": 3600}, e.GeminiRateLimitError, 1),
        ({"action": "status", "status": 429, "body": quota_error("GenerateRequestsPerMinute", f"{2**63 - 1}s")},
         e.GeminiRateLimitError, 1),
        ({"action": "status", "status": 429, "body": quota_error("GenerateRequestsPerDayPerProject-FreeTier", "9s")},
         e.GeminiRateLimitError, 1),
    ],
)  # fmt: skip
def test_each_error_is_what_it_means_and_asked_again_only_where_that_helps(hook, emulator, slept, fault, kind, calls):
    emulator.faults.add("generate", **fault)

    with pytest.raises(e.GeminiFilesError) as told:
        hook.generate_content("x")

    assert type(told.value) is kind
    assert len(asked(emulator)) == calls
    assert len(slept) == calls - 1
    assert max(slept, default=0) <= 60


def test_the_delay_the_service_asks_for_is_waited(hook, emulator, slept):
    emulator.faults.add("generate", "rate_limit", seconds=7)

    assert hook.generate_content("x").text
    assert slept == [7.0]


@pytest.mark.parametrize(("seconds", "retry_after"), [(3600, 3600.0), (2**63 - 1, math.inf)])
def test_a_delay_that_is_too_long_for_a_try_is_left_to_the_next(hook, emulator, slept, seconds, retry_after):
    emulator.faults.add("generate", "status", status=429, body=quota_error("GenerateRequestsPerMinute", f"{seconds}s"))

    with pytest.raises(e.GeminiRateLimitError) as told:
        hook.generate_content("x")

    assert told.value.retry_after == retry_after
    assert slept == []


def test_the_delay_of_the_header_is_waited(hook, slept, mocker):
    busy = httpx.Response(503, headers={"retry-after": "9"}, request=httpx.Request("POST", "http://host"))
    answers = [errors.ServerError(503, {"error": {"message": "busy"}}, busy), types.GenerateContentResponse()]
    mocker.patch.object(models.Models, "generate_content", autospec=True, side_effect=answers)

    hook.generate_content("x")

    assert slept == [9.0]


@pytest.mark.parametrize("action", ["not_active", "gone"])
@pytest.mark.parametrize("call", ["generate", "count_tokens"])
def test_a_file_that_has_just_become_active_is_waited_for_briefly(hook, emulator, slept, text_file, action, call):
    file = hook.upload_file(text_file)
    emulator.faults.add(call, action, file_id=file.name.removeprefix("files/"), times=3)

    result = hook.generate_content("x", [file]) if call == "generate" else hook.count_tokens("x", [file])

    assert result
    assert slept == [1, 2, 4]


def test_what_is_asked_is_counted_with_the_instruction(hook, emulator, text_file):
    file = hook.upload_file(text_file)

    bare = hook.count_tokens("x" * 40, [file])
    instructed = hook.count_tokens("x" * 40, [file], system_instruction="y" * 40)

    assert bare == 10 + 5
    assert instructed == bare + 10
    assert asked(emulator) == ["count_tokens", "count_tokens"]


def test_what_is_waited_for_is_logged(hook, emulator, slept, capsys):
    emulator.faults.add("generate", "not_active", file_id="x")

    hook.generate_content("x")

    assert "It was ACTIVE a moment ago: asking again in 1 s." in capsys.readouterr().out
