"""The JSON of a request for a batch: what the SDK would send for the same request."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from google.genai import types
from pydantic import BaseModel
from support import sent_to_models

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks import sdk
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\xff\xfe").decode()
FUNCTION = {
    "name": "f",
    "description": "Does something.",
    "parameters": {"type": "OBJECT", "properties": {"crates": {"type": "STRING", "max_length": 5}}},
}
#: Every field of a configuration, with values as authors write them.
CONFIGS: dict[str, list[Any]] = {
    "system_instruction": ["Be brief.", ["a", {"text": "b"}], {"text": "a"}, {"parts": [{"text": "a"}]}],
    "temperature": [0, 0.5],
    "top_p": [0.9],
    "top_k": [40],
    "candidate_count": [2],
    "max_output_tokens": [100],
    "stop_sequences": [["end", "stop"]],
    "response_logprobs": [True, False],
    "logprobs": [3],
    "presence_penalty": [0.5],
    "frequency_penalty": [-0.5],
    "seed": [0, 7],
    "response_mime_type": ["application/json", "text/x.enum"],
    "response_schema": [
        {"type": "OBJECT", "properties": {"a_b": {"type": "STRING", "nullable": True}}, "required": ["a_b"]},
        {"type": "STRING", "enum": ["a", "b"]},
        {"type": "ARRAY", "items": {"type": "INTEGER"}},
        {"type": "object", "properties": {"a_b": {"type": "string"}}},
    ],
    "response_json_schema": [{"type": "object", "properties": {"a_b": {"type": ["string", "null"]}}, "$defs": {}}],
    "routing_config": [{"auto_mode": {"model_routing_preference": "BALANCED"}}],
    "model_selection_config": [{"feature_selection_preference": "BALANCED"}],
    "safety_settings": [
        [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE", "method": "SEVERITY"}],
    ],
    "tools": [
        [{"google_search": {}}],
        [{"code_execution": {}}, {"url_context": {}}],
        [{"function_declarations": [FUNCTION]}],
        [{"function_declarations": [{"name": "g", "parameters_json_schema": {"type": "object", "a_b": 1}}]}],
        [{"file_search": {"file_search_store_names": ["fileSearchStores/a"], "top_k": 3}}],
        [{"google_maps": {"enable_widget": True}}],
        [{"code_execution": {}}, {"google_search": {"exclude_domains": ["example.org"]}}],
        [{"google_search": {"blocking_confidence": "BLOCK_LOW_AND_ABOVE"}}],
        [{"enterprise_web_search": {}}],
        [{"retrieval": {}}],
    ],
    "tool_config": [
        {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        {"function_calling_config": {"mode": "ANY", "stream_function_call_arguments": True}},
        {"retrieval_config": {"lat_lng": {"latitude": 1.5, "longitude": 2}, "language_code": "de"}},
    ],
    "labels": [{"team": "harbour"}],
    "cached_content": ["cachedContents/abc", "abc"],
    "response_modalities": [["TEXT"], ["IMAGE", "TEXT"]],
    "media_resolution": ["MEDIA_RESOLUTION_LOW"],
    "speech_config": [
        "Kore",
        {"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}, "language_code": "de-DE"},
    ],
    "audio_timestamp": [True],
    "automatic_function_calling": [{"disable": True}],
    "thinking_config": [{"thinking_budget": 0, "include_thoughts": True}, {"thinking_level": "LOW"}],
    "image_config": [
        {"aspect_ratio": "16:9", "image_size": "2K"},
        {"person_generation": "ALLOW_ADULT"},
        {"output_mime_type": "image/png"},
        {"output_compression_quality": 50},
    ],
    "enable_enhanced_civic_answers": [True],
    "model_armor_config": [{"prompt_template_name": "a"}],
    "service_tier": ["flex"],
    "audio_transcription_config": [{}],
    "continuation_token": ["abc"],
    "automatic_continuation": [None],
    "generation_output_config": [{"storage_uri": "gs://bucket/a"}],
    "store": [True],
}
#: Fields that the connection decides.
OF_CONNECTION = {"http_options", "should_return_http_response"}
FIELDS = types.GenerateContentConfig.model_fields
CASES = [
    pytest.param({name: value}, id=f"{name}-{at}")
    for name, values in CONFIGS.items()
    if name in FIELDS
    for at, value in enumerate(values)
]


class Crate(BaseModel):
    """A crate."""

    size_in_cm: float | None = None
    label: str = "?"


def live(hook: GeminiFilesHook, emulator: Any, request: ModelRequest, files: list[GeminiFile]) -> dict[str, Any]:
    """Return the body that the SDK sends for a request."""
    emulator.clear_journal()
    try:
        hook.generate_content(
            request.contents,
            files,
            system_instruction=request.system_instruction,
            generation_config=request.generation_config,
            schema=request.schema,
        )
    except e.GeminiFilesError:
        # What the emulator does not accept was sent all the same.
        if not sent_to_models(emulator):
            raise
    body = sent_to_models(emulator)[0]
    return body if body["generationConfig"] else {name: body[name] for name in body if name != "generationConfig"}


def written(request: ModelRequest, files: list[GeminiFile]) -> dict[str, Any]:
    """Return the JSON of the same request for a batch."""
    schema = request.schema.json_schema if request.schema else None
    config = sdk.content_config(request.generation_config, request.system_instruction, schema)
    return sdk.request_json(request.turns(files), config)


def test_table_has_every_field_of_the_sdk():
    assert FIELDS.keys() - OF_CONNECTION <= CONFIGS.keys()


@pytest.mark.parametrize("config", CASES)
@pytest.mark.parametrize("spelling", ["snake", "camel"])
def test_field_of_a_configuration_is_sent_as_the_sdk_does(hook, emulator, config, spelling):
    if spelling == "camel":
        [(name, value)] = config.items()
        config = {FIELDS[name].alias or name: value}
    request = ModelRequest.of(prompt="x", generation_config=config)

    try:
        expected = live(hook, emulator, request, [])
    except e.GeminiInputError:
        if "labels" in config:
            pytest.skip("this version of the SDK does not send labels yet")
        with pytest.raises(e.GeminiInputError):
            written(request, [])
    else:
        assert written(request, []) == expected


def test_whole_request_is_sent_as_the_sdk_does(hook, emulator):
    config = {"temperature": 0.1, "safety_settings": CONFIGS["safety_settings"][0], "tools": [{"google_search": {}}]}
    request = ModelRequest.of(
        prompt="what?", system_instruction="Be brief.", generation_config=config, response_schema=list[Crate]
    )

    assert written(request, []) == live(hook, emulator, request, [])


@pytest.mark.parametrize(
    "contents",
    [
        ["one", "two"],
        [{"role": "user", "parts": ["a"]}, {"role": "model", "parts": ["b"]}, {"parts": ["c"]}],
        [{"data": PNG, "mime_type": "image/png"}],
        [{"url": "https://www.youtube.com/watch?v=a", "mime_type": "video/mp4"}],
        ["Grüße 🎬", 'a\nb\\c"d'],
    ],
)
def test_contents_are_sent_as_the_sdk_does(hook, emulator, contents):
    request = ModelRequest.of(contents=contents)

    assert written(request, []) == live(hook, emulator, request, [])


def test_files_are_sent_as_the_sdk_does(hook, emulator, text_file, video_file):
    emulator.settings.video_seconds = 0
    files = [hook.upload_file(text_file), hook.upload_file(video_file)]
    parts = [
        {"file": files[0]},
        {"file": files[1], "video": {"fps": 2, "start": "3s", "end": "5s"}, "media_resolution": "LOW"},
    ]
    request = ModelRequest(Contents.parse("what?", parts))

    body = written(request, files)

    assert body == live(hook, emulator, request, files)
    assert [part["fileData"]["fileUri"] for part in body["contents"][0]["parts"][:2]] == [file.uri for file in files]


def test_request_of_a_prompt_has_nothing_else():
    assert written(ModelRequest.of(prompt="x"), []) == {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}


def test_field_that_only_another_api_has_is_named():
    config = {"audio_timestamp": True, "tools": [{"code_execution": {}}, {"retrieval": {}}]}
    request = ModelRequest.of(prompt="x", generation_config=config)

    with pytest.raises(
        e.GeminiInputError, match=r"has audioTimestamp, tools\.retrieval, which the Gemini API does not"
    ):
        written(request, [])


def weigh(crates: int) -> float:
    """Return the weight of crates."""
    return 3.5 * crates


@pytest.mark.parametrize("config", [{"tools": [weigh]}, {"response_schema": Crate}])
def test_what_only_python_has_is_refused(config):
    with pytest.raises(e.GeminiInputError, match="generation_config cannot be written as JSON"):
        written(ModelRequest.of(prompt="x", generation_config=config), [])
