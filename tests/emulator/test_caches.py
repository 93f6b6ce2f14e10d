"""Cached contents: their limits, their expiry, and prompts that use them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from emulator.api import Api

MODEL = "gemini-3.8-flash"
#: A text of 1024 tokens, as few as can be cached.
SMALLEST = "x" * 4096
TOO_SMALL = "Cached content is too small. total_token_count={}, min_total_token_count={}"


def content(*parts):
    return {"contents": [{"parts": list(parts)}]}


def create(api, model=MODEL, **fields):
    body = {"model": f"models/{model}", **content({"text": SMALLEST}), **fields}
    return api.post("cachedContents", body)


def message(response, code=400, status="INVALID_ARGUMENT"):
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["status"]) == (code, code, status)
    return error["message"]


@pytest.fixture
def file(api):
    return api.file(b"x" * 4400)


@pytest.fixture
def cache(api, file):
    part = {"fileData": {"fileUri": file["uri"]}}
    return create(api, ttl="600s", **content(part)).json()


class TestResource:
    def test_cache_has_every_field(self, api, cache):
        assert list(cache) == [
            "name",
            "model",
            "displayName",
            "createTime",
            "updateTime",
            "expireTime",
            "usageMetadata",
        ]
        assert re.fullmatch(r"cachedContents/[a-z0-9]{40}", cache["name"])
        assert (cache["model"], cache["displayName"]) == (f"models/{MODEL}", "")
        assert cache["usageMetadata"] == {"totalTokenCount": 1100}
        assert api.get(cache["name"]).json() == cache
        assert api.get("cachedContents").json() == {"cachedContents": [cache]}

    def test_display_name_is_kept(self, api):
        assert create(api, displayName="Handbook").json()["displayName"] == "Handbook"

    def test_cache_ends_after_an_hour_by_default(self, emulator, api):
        name = create(api).json()["name"]
        emulator.clock.advance(3590)
        assert api.get(name).status_code == 200
        emulator.clock.advance(20)
        assert api.get(name).status_code == 403

    def test_ttl_can_be_changed(self, emulator, api, cache):
        current = api.call("PATCH", cache["name"], json={"ttl": "7200.5s"}).json()
        assert current["expireTime"] > cache["expireTime"]
        emulator.clock.advance(7000)
        assert api.get(cache["name"]).json() == current

    @pytest.mark.parametrize("end", ["delete", "expiry"])
    def test_cache_that_is_gone_is_forbidden(self, emulator, api, cache, end):
        if end == "delete":
            assert api.delete(cache["name"]).json() == {}
        else:
            emulator.clock.advance(601)
        responses = [
            api.get(cache["name"]),
            api.delete(cache["name"]),
            api.call("PATCH", cache["name"], json={"ttl": "60s"}),
            api.generate({"text": "?"}, cachedContent=cache["name"]),
        ]
        for response in responses:
            words = message(response, 403, "PERMISSION_DENIED")
            assert words == "CachedContent not found (or permission denied)"
        assert api.get("cachedContents").json() == {}

    def test_caches_of_another_key_are_hidden(self, emulator, api, cache):
        other = Api(emulator.base_url, key="other")
        assert other.get("cachedContents").json() == {}
        assert other.generate({"text": "?"}, cachedContent=cache["name"]).status_code == 403


class TestLimits:
    @pytest.mark.parametrize(("model", "minimum"), [(MODEL, 1024), ("gemini-2.5-flash-lite", 2048)])
    def test_cache_needs_a_minimum_of_tokens(self, api, model, minimum):
        enough = content({"text": "x" * 4 * minimum})
        too_few = content({"text": "x" * (4 * minimum - 1)})
        assert create(api, model, **enough).json()["usageMetadata"] == {"totalTokenCount": minimum}
        assert message(create(api, model, **too_few)) == TOO_SMALL.format(minimum - 1, minimum)

    def test_files_and_system_instruction_count(self, api):
        image = {"fileData": {"fileUri": api.file(b"x", "image/png")["uri"]}}
        instruction = {"systemInstruction": {"parts": [{"text": "x" * 400}]}}
        assert message(create(api, **content(*[image] * 3), **instruction)) == TOO_SMALL.format(874, 1024)
        assert create(api, **content(*[image] * 4), **instruction).status_code == 200

    def test_nothing_is_too_small(self, api):
        assert message(create(api, contents=[])) == TOO_SMALL.format(0, 1024)

    @pytest.mark.parametrize(
        "expiry",
        [
            {"ttl": "soon"},
            {"ttl": "3600"},
            {"ttl": 3600},
            {"ttl": "-5s"},
            {"ttl": "0s"},
            {"ttl": "999999999999s"},
            {"expireTime": "2020-01-01T00:00:00Z"},
            {"expireTime": "tomorrow"},
            {"expireTime": "2999-01-01T00:00:00"},
        ],
    )
    def test_invalid_expiry_is_refused(self, api, cache, expiry):
        message(create(api, **expiry))
        message(api.call("PATCH", cache["name"], json=expiry))
        assert api.get(cache["name"]).json() == cache

    def test_expire_time_is_accepted(self, emulator, api, cache):
        expiry = {"expireTime": datetime.fromtimestamp(emulator.clock.now() + 7200, UTC).isoformat()}
        assert create(api, **expiry).status_code == 200
        assert api.call("PATCH", cache["name"], json=expiry).json()["expireTime"] > cache["expireTime"]

    def test_gemini_4_has_no_caches(self, api):
        assert message(create(api, "gemini-4-argon")) == "Model models/gemini-4-argon does not support cached content."

    def test_unknown_model_is_refused(self, api):
        assert create(api, "gpt-4").status_code == 404

    def test_cloud_storage_is_refused(self, api):
        part = {"fileData": {"fileUri": "gs://bucket/book.pdf", "mimeType": "application/pdf"}}
        assert message(create(api, **content(part))) == "Invalid or unsupported file uri: gs://bucket/book.pdf"


class TestPrompt:
    def test_cached_prompt_works_after_its_file_is_deleted(self, api, file, cache):
        api.delete(file["name"])
        body = api.generate({"text": "and?"}, cachedContent=cache["name"]).json()
        text = body["candidates"][0]["content"]["parts"][0]["text"]
        assert file["name"] in text
        assert text.endswith("I was asked: and?")

    def test_system_instruction_is_cached(self, api):
        instruction = {"parts": [{"text": "Be brief."}]}
        name = create(api, systemInstruction=instruction).json()["name"]
        text = api.generate({"text": "?"}, cachedContent=name).text
        assert "I was instructed: Be brief." in text

    def test_tokens_are_those_of_the_same_prompt_without_a_cache(self, api):
        image = {"fileData": {"fileUri": api.file(b"x", "image/png")["uri"]}}
        cached, question = [{"text": SMALLEST}, image], {"text": "What is it?"}
        name = create(api, **content(*cached)).json()["name"]
        with_cache = api.generate(question, cachedContent=name).json()["usageMetadata"]
        without = api.generate(*cached, question).json()["usageMetadata"]
        assert with_cache["promptTokenCount"] == without["promptTokenCount"] == 1285
        assert with_cache["promptTokensDetails"] == without["promptTokensDetails"]
        assert with_cache["cachedContentTokenCount"] == 1282
        assert with_cache["cacheTokensDetails"] == [
            {"modality": "TEXT", "tokenCount": 1024},
            {"modality": "IMAGE", "tokenCount": 258},
        ]
        assert not {"cachedContentTokenCount", "cacheTokensDetails"} & without.keys()

    def test_contents_sent_again_are_counted_again(self, api):
        name = create(api).json()["name"]
        usage = api.generate({"text": SMALLEST}, cachedContent=name).json()["usageMetadata"]
        assert (usage["promptTokenCount"], usage["cachedContentTokenCount"]) == (2048, 1024)

    def test_tokens_are_counted_with_the_cache(self, api, cache):
        request = {"model": f"models/{MODEL}", "cachedContent": cache["name"], **content({"text": "x" * 40})}
        counted = api.post(f"models/{MODEL}:countTokens", {"generateContentRequest": request}).json()
        assert (counted["totalTokens"], counted["cachedContentTokenCount"]) == (1110, 1100)
        assert counted["cacheTokensDetails"] == [{"modality": "TEXT", "tokenCount": 1100}]

    @pytest.mark.parametrize(
        "field",
        [
            {"systemInstruction": {"parts": [{"text": "x"}]}},
            {"system_instruction": {"parts": [{"text": "x"}]}},
            {"tools": [{"googleSearch": {}}]},
            {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
        ],
    )
    def test_settings_of_the_cache_cannot_be_sent(self, api, cache, field):
        words = message(api.generate({"text": "?"}, cachedContent=cache["name"], **field))
        assert "setting system_instruction, tools or tool_config." in words

    def test_other_model_is_refused(self, api, cache):
        response = api.generate({"text": "?"}, model="gemini-3.5-flash", cachedContent=cache["name"])
        assert message(response) == (
            "Model used by GenerateContent request (models/gemini-3.5-flash) and CachedContent "
            "(models/gemini-3.8-flash) has to be the same."
        )

    def test_contents_are_required(self, api, cache):
        assert "contents is not specified" in message(api.generate(cachedContent=cache["name"]))

    def test_rows_of_a_batch_use_caches(self, emulator, api, cache):
        requests = [{"request": {"cachedContent": cache["name"], **content({"text": "?"})}}]
        batch = {"displayName": "b", "inputConfig": {"requests": {"requests": requests}}}
        names = [
            api.post(f"models/{model}:batchGenerateContent", {"batch": batch}).json()["name"]
            for model in (MODEL, "gemini-3.5-flash")
        ]
        emulator.clock.advance(60)
        good, bad = (json.dumps(api.get(name).json()["response"]) for name in names)
        assert '"cachedContentTokenCount": 1100' in good
        assert "has to be the same" in bad
