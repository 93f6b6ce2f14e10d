"""What a model is asked, read and checked; nothing is sent."""

from __future__ import annotations

import json
import re

import pytest
from pydantic import BaseModel, Field

from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.reference import GeminiFile

FILE = GeminiFile("files/a", uri="https://host/v1beta/files/a", mime_type="image/heic")


class TestReading:
    def test_request_has_contents_files_and_prompt_in_this_order(self):
        request = ModelRequest.of(prompt="what?", files="files/a", contents=["first"])

        assert request.turns([FILE]) == [
            {
                "role": "user",
                "parts": [
                    {"text": "first"},
                    {"fileData": {"fileUri": FILE.uri, "mimeType": "image/heic"}},
                    {"text": "what?"},
                ],
            }
        ]

    @pytest.mark.parametrize("empty", ["", None])
    def test_empty_texts_count_as_not_set(self, empty):
        request = ModelRequest.of(prompt="x", model=empty, system_instruction=empty)

        assert (request.model, request.system_instruction) == (None, None)

    def test_empty_configuration_counts_as_not_set(self):
        assert ModelRequest.of(prompt="x", generation_config={}).generation_config is None

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({}, "nothing to"),
            ({"prompt": " "}, "a text that is not empty"),
            ({"prompt": "x", "model": 3}, "model must be a text; got 3 (int)."),
            ({"prompt": "x", "system_instruction": ["a"]}, "system_instruction must be a text; got ['a'] (list)."),
            ({"prompt": "x", "generation_config": "temperature=1"}, "generation_config must be a dict of fields"),
            ({"prompt": "x", "generation_config": ["a"]}, "generation_config must be a dict of fields"),
            ({"prompt": "x", "generation_config": {"http_options": {}}}, "has http_options: the connection decides"),
            ({"prompt": "x", "generation_config": {"httpOptions": {}}}, "has httpOptions: the connection decides"),
            (
                {"prompt": "x", "generation_config": {"should_return_http_response": True}},
                "has should_return_http_response: the connection decides",
            ),
            (
                {"prompt": "x", "response_schema": {}, "generation_config": {"responseMimeType": "text/plain"}},
                "response_schema sets responseMimeType of generation_config: leave one of them out",
            ),
            ({"prompt": "x", "response_schema": "nowhere"}, "response_schema"),
        ],
    )
    def test_unusable_argument_is_named(self, arguments, says):
        with pytest.raises(GeminiInputError, match=re.escape(says)):
            ModelRequest.of(**arguments)

    @pytest.mark.parametrize(
        "given",
        [
            {"contents": [{"url": "ftp://user:s3cret@host/x.pdf?token=s3cret"}]},
            {"contents": [{"url": "https://user:s3cret@/x.pdf"}]},
            {"prompt": "x", "files": "https://user:s3cret@host/x.pdf?token=s3cret#s3cret"},
            {"prompt": "x", "files": [{"file": "https://user:s3cret@host/?s3cret"}]},
        ],
    )
    def test_error_about_a_url_repeats_no_secret_of_it(self, given):
        with pytest.raises(GeminiInputError) as raised:
            ModelRequest.of(**given)

        assert "s3cret" not in str(raised.value)


class TestSuspects:
    def test_request_of_texts_has_none(self):
        assert ModelRequest.of(prompt="x").suspects([]) == "Possible causes in the request: only texts."

    def test_bounds_of_a_pydantic_model_are_those_that_are_sent(self):
        class Table(BaseModel):
            rows: list[int] = Field(max_length=600)
            columns: list[int] = Field(max_length=7)

        told = ModelRequest.of(prompt="x", response_schema=Table).suspects([])

        size = len(json.dumps(Table.model_json_schema()))
        assert f"response_schema of {size} B" in told
        assert "maxItems up to 600 (try a smaller one)" in told

    def test_files_urls_inline_data_and_configuration_are_named(self):
        request = ModelRequest.of(
            prompt="x",
            files=["files/a"],
            contents=[
                {"url": "https://user:s3cret@example.com/page?token=s3cret"},
                {"url": "gs://bucket/film.mp4"},
                {"data": b"{}", "mime_type": "application/json"},
            ],
            model="gemini-x",
            generation_config={"top_k": 1, "temperature": 0},
        )

        assert request.suspects([FILE]) == (
            "Possible causes in the request: files of type image/heic; inline data of type application/json; "
            "URLs https://example.com/page, gs://bucket/film.mp4; generation_config temperature, top_k; "
            "model gemini-x."
        )
