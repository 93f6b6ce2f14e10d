"""The emulated models: prompts, tokens, streams, schemas and scripted replies."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from datetime import UTC, datetime
from typing import ClassVar

import jsonschema
import pytest
from emulator.api import Api

PNG = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"png").decode()}}
MODEL = "models/gemini-3.8-flash"


def part(file, mime_type=None):
    data = {"fileUri": file["uri"]}
    return {"fileData": data | ({"mimeType": mime_type} if mime_type else {})}


def text(response):
    return response.json()["candidates"][0]["content"]["parts"][0]["text"]


def contents(*parts):
    return {"contents": [{"parts": list(parts)}]}


class TestPrompt:
    def test_reply_lists_files_and_inline_data_in_order(self, api):
        first, second = api.file(b"one"), api.file(b"two", "application/pdf")
        response = api.generate(part(second), {"text": "What is"}, PNG, part(first), {"text": "this?"})
        sha = {name: hashlib.sha256(name).hexdigest() for name in (b"one", b"two", b"png")}
        assert text(response).splitlines() == [
            "I am an emulated model. I was shown 3 file(s):",
            f"1. {second['name']} application/pdf, 3 bytes, sha256 {sha[b'two']}",
            f"2. inline image/png, 3 bytes, sha256 {sha[b'png']}",
            f"3. {first['name']} text/plain, 3 bytes, sha256 {sha[b'one']}",
            "I was asked: What is",
            "this?",
        ]
        body = response.json()
        assert body["candidates"][0]["finishReason"] == "STOP"
        assert body["modelVersion"] == "gemini-3.8-flash"

    def test_accepts_snake_case_and_system_instruction(self, api):
        file = api.file()
        response = api.generate(
            {"file_data": {"file_uri": file["uri"], "mime_type": "text/plain"}},
            {"text": "?"},
            system_instruction={"parts": [{"text": "Be brief."}]},
        )
        assert file["name"] in text(response)
        assert "I was instructed: Be brief." in text(response)

    def test_refuses_empty_prompt_and_invalid_base64(self, api):
        assert api.generate().status_code == 400
        assert api.generate({"inlineData": {"mimeType": "image/png", "data": "a"}}).status_code == 400


class TestUris:
    SIGNED = "https://b.s3.amazonaws.com/files/report.pdf?X-Amz-Signature=secret"

    def test_files_have_the_address_of_google_or_of_the_emulator(self, emulator, api):
        name = api.file()["name"]
        google = "https://generativelanguage.googleapis.com"
        for uri in (f"{google}/v1beta/{name}", f"{google}/v1/{name}", f"{emulator.base_url}/v1beta/{name}"):
            assert text(api.generate({"fileData": {"fileUri": uri}})).splitlines()[1].startswith(f"1. {name} ")

    def test_url_of_another_site_is_a_stand_in_without_its_signature(self, api):
        response = api.generate({"fileData": {"fileUri": self.SIGNED}}, {"text": "?"})
        stand_in = b"Stand-in for the content of https://b.s3.amazonaws.com/files/report.pdf\n"
        shown = f"application/pdf, {len(stand_in)} bytes, sha256 {hashlib.sha256(stand_in).hexdigest()}"
        assert text(response).splitlines()[1] == f"1. https://b.s3.amazonaws.com/files/report.pdf {shown}"
        assert response.json()["usageMetadata"]["promptTokensDetails"] == [{"modality": "DOCUMENT", "tokenCount": 258}]
        again = api.generate({"fileData": {"fileUri": self.SIGNED.replace("secret", "new")}}, {"text": "?"})
        assert text(again) == text(response)

    @pytest.mark.parametrize(
        ("uri", "shown"),
        [
            ("https://me:secret@host/a.csv#secret", "https://host/a.csv text/csv"),
            ("https://host:8443/v1beta/files/abc", "https://host:8443/v1beta/files/abc text/html"),
            ("https://example.com", "https://example.com text/html"),
        ],
    )
    def test_type_of_a_url_follows_from_its_path(self, api, uri, shown):
        line = text(api.generate({"fileData": {"fileUri": uri}})).splitlines()[1]
        assert line.startswith(f"1. {shown}, ")

    @pytest.mark.parametrize("mime_type", ["text/rtf", "application/json", "image/webp", "text/html; charset=utf-8"])
    def test_type_of_a_url_can_be_given(self, api, mime_type):
        assert f" {mime_type}, " in text(api.generate(part({"uri": "https://host/a.mp4"}, mime_type)))

    @pytest.mark.parametrize(
        ("uri", "mime_type"),
        [("https://host/a.mp4", None), ("https://host/a.txt", "video/mp4"), ("https://host/a.md", None)],
    )
    def test_other_types_are_not_fetched(self, api, uri, mime_type):
        response = api.generate(part({"uri": uri}, mime_type))
        assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
        assert "Unsupported MIME type" in response.text

    def test_video_of_youtube_has_no_bytes(self, api):
        url = "https://www.youtube.com/watch?v=9hE5-98ZeCg"
        response = api.generate({"fileData": {"fileUri": url}}, {"text": "What is this?"})
        assert text(response).splitlines()[1] == f"1. {url} video/*, 0 bytes, sha256 unknown"

    @pytest.mark.parametrize(
        "uri",
        [
            "http://example.com/a.pdf",
            "http://www.youtube.com/watch?v=a",
            "gs://b/files/o.png",
            "files/abc",
            "ftp://host/v1beta/files/abc",
            "https:///a.pdf",
            "https://[host/a.pdf",
            "",
        ],
    )
    def test_other_uris_are_refused(self, api, uri):
        error = api.generate(part({"uri": uri})).json()["error"]
        assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
        assert error["message"] == f"Invalid or unsupported file uri: {uri}"

    def test_cloud_storage_is_read_if_it_is_registered(self, emulator, api):
        headers = {"authorization": "Bearer t", "x-goog-user-project": "k"}
        bearer = Api(emulator.base_url, key="")
        file = bearer.post("files:register", {"uris": ["gs://b/o.png"]}, headers=headers).json()["files"][0]
        assert f"1. {file['name']} image/png, " in text(api.generate(part({"uri": "gs://b/o.png"})))
        assert api.generate(part({"uri": "gs://b/other.png"})).status_code == 400

    def test_url_in_a_batch(self, emulator, api):
        request = contents(part({"uri": self.SIGNED}), {"text": "?"})
        batch = {"displayName": "b", "inputConfig": {"requests": {"requests": [{"request": request}]}}}
        name = api.post(f"{MODEL}:batchGenerateContent", {"batch": batch}).json()["name"]
        emulator.clock.advance(60)
        response = json.dumps(api.get(name).json()["response"])
        assert ("report.pdf application/pdf" in response, "secret" in response) == (True, False)


class TestTokens:
    @pytest.mark.parametrize(
        ("content", "mime_type", "modality", "count"),
        [
            (b"x", "image/png", "IMAGE", 258),
            (b"\0" * 220_000, "video/mp4", "VIDEO", 600),
            (b"\0" * 160_000, "audio/mpeg", "AUDIO", 320),
            (b"/Type /Page\n/Type /Page\n", "application/pdf", "DOCUMENT", 516),
        ],
    )
    def test_counts_tokens_by_documented_arithmetic(self, emulator, api, content, mime_type, modality, count):
        file = api.file(content, mime_type)
        emulator.clock.advance(60)
        counted = api.post(f"{MODEL}:countTokens", contents({"text": "x" * 40}, part(file))).json()
        assert counted["totalTokens"] == count + 10
        assert {"modality": modality, "tokenCount": count} in counted["promptTokensDetails"]
        usage = api.generate({"text": "x" * 40}, part(file)).json()["usageMetadata"]
        assert usage["promptTokenCount"] == count + 10
        assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]

    def test_counts_tokens_of_whole_request(self, api):
        body = {"generateContentRequest": {"model": MODEL, **contents({"text": "x" * 40})}}
        assert api.post(f"{MODEL}:countTokens", body).json()["totalTokens"] == 10


class TestStream:
    def test_stream_as_server_sent_events(self, api):
        response = api.post(f"{MODEL}:streamGenerateContent?alt=sse", contents({"text": "hello"}))
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.text.split("\r\n\r\n") if line]
        assert all(line.startswith("data: {") for line in lines)
        pieces = [json.loads(line[6:]) for line in lines]
        assert len(pieces) > 1
        whole = "".join(piece["candidates"][0]["content"]["parts"][0]["text"] for piece in pieces)
        assert whole == text(api.generate({"text": "hello"}))
        reasons = [piece["candidates"][0].get("finishReason") for piece in pieces]
        assert reasons == [None] * (len(pieces) - 1) + ["STOP"]

    def test_stream_as_json_array(self, api):
        response = api.post(f"{MODEL}:streamGenerateContent", contents({"text": "hello"}))
        assert isinstance(response.json(), list)

    def test_error_is_in_an_array_only_if_the_stream_is_one(self, api):
        plain = api.post(f"{MODEL}:streamGenerateContent?alt=sse", {})
        array = api.post(f"{MODEL}:streamGenerateContent", {})
        assert plain.status_code == array.status_code == 400
        assert array.json() == [plain.json()]


class TestSchema:
    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "OBJECT", "properties": {"title": {"type": "STRING"}, "pages": {"type": "INTEGER"}}},
            {
                "type": "OBJECT",
                "properties": {
                    "b": {"type": "ARRAY", "items": {"type": "STRING", "enum": ["x", "y"]}, "minItems": "2"},
                    "a": {"type": "NUMBER", "nullable": True},
                    "when": {"type": "STRING", "format": "date-time"},
                },
                "propertyOrdering": ["when", "a", "b"],
                "required": ["a"],
            },
            {"type": "ARRAY", "items": {"type": "BOOLEAN"}, "maxItems": 3, "min_items": "1"},
            {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}]},
        ],
    )
    def test_reply_conforms_to_response_schema(self, api, schema):
        config = {"responseMimeType": "application/json", "responseSchema": schema}
        value = json.loads(text(api.generate({"text": "?"}, generationConfig=config)))
        if properties := schema.get("properties"):
            assert list(value) == schema.get("propertyOrdering", list(properties))
        if schema.get("type") == "ARRAY":
            assert 1 <= len(value) <= 3
            assert all(isinstance(item, bool) for item in value)
        if "anyOf" in schema:
            assert isinstance(value, int | str)
        if "b" in schema.get("properties", {}):
            assert len(value["b"]) >= 2
            assert set(value["b"]) <= {"x", "y"}
            assert isinstance(value["a"], int | float)

    @pytest.mark.parametrize("name", ["responseJsonSchema", "response_json_schema"])
    def test_reply_conforms_to_json_schema(self, api, name):
        schema = {
            "type": "object",
            "properties": {
                "author": {"$ref": "#/$defs/Person"},
                "tags": {"type": "array", "items": {"type": "string", "maxLength": 10}, "minItems": 1},
                "stars": {"type": "integer", "minimum": 1, "maximum": 5},
                "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
            },
            "required": ["author", "tags", "stars", "code"],
            "$defs": {"Person": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
        }
        config = {"responseMimeType": "application/json", name: schema}
        first, second = (text(api.generate({"text": "?"}, generationConfig=config)) for _ in range(2))
        jsonschema.validate(json.loads(first), schema)
        assert first == second

    def test_enum_reply_is_plain_text(self, api):
        config = {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["cat", "dog"]}}
        assert text(api.generate({"text": "?"}, generationConfig=config)) in ("cat", "dog")

    def test_json_reply_without_schema(self, api):
        value = json.loads(text(api.generate({"text": "?"}, generationConfig={"responseMimeType": "application/json"})))
        assert value == {"asked": "?", "files": []}

    def test_unsupported_schema_returns_501(self, api):
        schema = {"type": "array", "prefixItems": [{"type": "integer"}]}
        response = api.generate({"text": "?"}, generationConfig={"responseJsonSchema": schema})
        assert (response.status_code, "script the answer" in response.text) == (501, True)

    def test_missing_library_returns_501_that_names_the_extra(self, api, monkeypatch):
        monkeypatch.setitem(sys.modules, "jsf", None)
        response = api.generate({"text": "?"}, generationConfig={"responseSchema": {"type": "STRING"}})
        assert (response.status_code, "airflow-provider-gemini-files[emulator]" in response.text) == (501, True)


class TestScript:
    def test_scripted_replies_come_in_order_before_own_replies(self, emulator, api):
        emulator.answers.add("Yes.")
        emulator.answers.add("And", finish_reason="MAX_TOKENS")
        first, second, third = (api.generate({"text": "?"}) for _ in range(3))
        assert text(first) == "Yes."
        assert (text(second), second.json()["candidates"][0]["finishReason"]) == ("And", "MAX_TOKENS")
        assert text(third).endswith("I was asked: ?")

    def test_blocked_reply_has_no_text(self, emulator, api):
        emulator.answers.add(finish_reason="SAFETY")
        candidate = api.generate({"text": "?"}).json()["candidates"][0]
        assert (candidate["finishReason"], "content" in candidate) == ("SAFETY", False)
        assert candidate["safetyRatings"][0]["blocked"] is True

    def test_blocked_prompt_has_no_candidates(self, emulator, api):
        emulator.answers.add(block_reason="PROHIBITED_CONTENT")
        body = api.generate({"text": "?"}).json()
        assert body["promptFeedback"]["blockReason"] == "PROHIBITED_CONTENT"
        assert "candidates" not in body

    def test_empty_and_whole_scripted_responses(self, emulator, api):
        emulator.answers.load([{"empty": True}, {"response": {"candidates": []}}])
        body = api.generate({"text": "?"}).json()
        assert not {"candidates", "promptFeedback"} & body.keys()
        assert api.generate({"text": "?"}).json() == {"candidates": []}

    def test_scripted_replies_for_one_key_over_http(self, emulator, api):
        answers = [{"text": "For other.", "api_key": "other"}]
        assert api.http.post("/__emulator/answers", json=answers).status_code == 200
        assert text(api.generate({"text": "?"})) != "For other."
        assert text(Api(emulator.base_url, key="other").generate({"text": "?"})) == "For other."
        assert api.http.post("/__emulator/answers", json=[{"txt": "?"}]).status_code == 400


class TestCatalog:
    def test_lists_and_returns_models(self, api):
        models = api.get("models").json()["models"]
        names = [model["name"] for model in models]
        assert {MODEL, "models/gemini-4-argon", "models/gemini-embedding-2"} <= set(names)
        model = api.get(MODEL).json()
        assert model in models
        assert "createCachedContent" in model["supportedGenerationMethods"]
        assert "createCachedContent" not in api.get("models/gemini-4-argon").json()["supportedGenerationMethods"]
        assert "generateContent" in model["supportedGenerationMethods"]
        assert api.get("models/gpt-4").status_code == 404
        assert "nextPageToken" in api.get("models", params={"pageSize": 2}).json()

    @pytest.mark.parametrize(
        ("model", "successor"),
        [("gemini-2.5-pro", "gemini-3.8-flash"), ("gemini-2.5-flash", "gemini-3.5-flash-lite")],
    )
    def test_retired_models_are_answered_by_their_successors(self, emulator, api, monkeypatch, model, successor):
        def state():
            listed = [item["name"] for item in api.get("models").json()["models"]]
            return f"models/{model}" in listed, api.generate({"text": "?"}, model=model).json()["modelVersion"]

        end = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
        monkeypatch.setattr(emulator.clock, "now", lambda: end - 1)
        assert state() == (True, model)
        monkeypatch.setattr(emulator.clock, "now", lambda: end)
        assert state() == (False, successor)

    def test_gemini_2_0_ends_and_reads_no_urls(self, emulator, api, monkeypatch):
        def ask(*parts):
            return api.generate(*parts, model="gemini-2.0-flash").json()

        end = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
        monkeypatch.setattr(emulator.clock, "now", lambda: end - 1)
        assert ask({"text": "?"})["modelVersion"] == "gemini-2.0-flash"
        assert ask(part({"uri": "https://host/a.pdf"}))["error"] == {
            "code": 400,
            "message": "Invalid or unsupported file uri: https://host/a.pdf",
            "status": "INVALID_ARGUMENT",
        }
        monkeypatch.setattr(emulator.clock, "now", lambda: end)
        assert ask({"text": "?"})["error"]["code"] == 404

    def test_gemini_1_has_ended(self, api):
        assert api.generate({"text": "?"}, model="gemini-1.5-flash").status_code == 404

    @pytest.mark.parametrize(("version", "status"), [("v1beta", 200), ("v1", 404)])
    def test_aliases_are_in_v1beta_only(self, emulator, version, status):
        api = Api(emulator.base_url, version=version)
        assert api.generate({"text": "?"}, model="gemini-flash-latest").status_code == status

    def test_same_content_has_same_embedding(self, api):
        body = {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8}
        first, second = (api.post("models/gemini-embedding-001:embedContent", body).json() for _ in range(2))
        assert first == second
        assert len(first["embedding"]["values"]) == 8
        many = api.post("models/gemini-embedding-001:batchEmbedContents", {"requests": [body, body]}).json()
        assert many["embeddings"] == [first["embedding"]] * 2


class TestScriptedParts:
    IMAGE: ClassVar = {"inlineData": {"mimeType": "image/png", "data": "aW1hZ2U="}}
    THOUGHT: ClassVar = {"text": "Let me think about it.", "thought": True, "thoughtSignature": "c2ln"}

    def stream(self, api):
        response = api.post(f"{MODEL}:streamGenerateContent?alt=sse", contents({"text": "?"}))
        return [json.loads(line[6:]) for line in response.text.split("\r\n\r\n") if line]

    def test_parts_with_images_audio_and_thoughts(self, emulator, api):
        sound = {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}
        parts = [self.THOUGHT, {"text": "Here."}, self.IMAGE, sound]
        emulator.answers.add(parts=parts)
        body = api.generate({"text": "Draw it."}).json()
        assert body["candidates"] == [
            {"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}
        ]
        assert body["usageMetadata"]["thoughtsTokenCount"] == 5
        assert body["usageMetadata"]["candidatesTokenCount"] == 1
        assert body["usageMetadata"]["totalTokenCount"] == 8

    def test_reply_without_parts(self, emulator, api):
        emulator.answers.add(parts=[], finish_reason="MAX_TOKENS")
        candidate = api.generate({"text": "?"}).json()["candidates"][0]
        assert (candidate["content"], candidate["finishReason"]) == ({"role": "model"}, "MAX_TOKENS")

    def test_reply_with_finish_message(self, emulator, api):
        emulator.answers.add(finish_reason="MALFORMED_FUNCTION_CALL", finish_message="Malformed function call: f(")
        candidate = api.generate({"text": "?"}).json()["candidates"][0]
        assert candidate["finishMessage"] == "Malformed function call: f("
        assert "content" not in candidate

    def test_candidates_are_sent_unchanged(self, emulator, api):
        candidates = [{"content": {"parts": [{"text": "a"}]}, "index": 0}, {"finishReason": "NEW_REASON", "index": 1}]
        emulator.answers.add(candidates=candidates)
        body = api.generate({"text": "?"}).json()
        assert body["candidates"] == candidates
        assert body["modelVersion"] == "gemini-3.8-flash"

    def test_stream_has_one_part_in_each_chunk(self, emulator, api):
        emulator.answers.add(parts=[self.THOUGHT, {"text": "Here."}, self.IMAGE], finish_message="Done.")
        chunks = [chunk["candidates"][0] for chunk in self.stream(api)]
        parts = [part for chunk in chunks for part in chunk["content"]["parts"]]
        assert len(parts) == len(chunks) == 7
        assert "".join(part["text"] for part in parts if part.get("thought")) == self.THOUGHT["text"]
        assert [part.get("thoughtSignature") for part in parts[:3]] == [None, None, "c2ln"]
        assert "".join(part.get("text", "") for part in parts if not part.get("thought")) == "Here."
        assert parts[-1] == self.IMAGE
        assert [chunk.get("finishReason") for chunk in chunks] == [None] * 6 + ["STOP"]
        assert [chunk.get("finishMessage") for chunk in chunks] == [None] * 6 + ["Done."]

    def test_stream_of_several_candidates_is_one_chunk(self, emulator, api):
        candidates = [{"content": {"parts": [{"text": "long answer"}]}}, {"content": {"parts": [{"text": "other"}]}}]
        emulator.answers.add(candidates=candidates)
        assert [chunk["candidates"] for chunk in self.stream(api)] == [candidates]

    @pytest.mark.parametrize("content", [None, "text", {"parts": "text"}, {"parts": [None]}])
    def test_malformed_candidates_are_sent_unchanged(self, emulator, api, content):
        emulator.answers.load([{"candidates": [{"content": content}]}] * 2)
        assert api.generate({"text": "?"}).json()["candidates"] == [{"content": content}]
        assert self.stream(api)[0]["candidates"] == [{"content": content}]

    @pytest.mark.parametrize("reply", [{"parts": "text"}, {"parts": ["text"]}, {"candidates": {}}])
    def test_parts_and_candidates_must_be_lists_of_objects(self, api, reply):
        response = api.http.post("/__emulator/answers", json=[reply])
        assert (response.status_code, "must be a list of objects" in response.text) == (400, True)
