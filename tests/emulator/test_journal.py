"""The journal: what each request sent, without its credentials."""

from __future__ import annotations

import json

import httpx
import pytest
from emulator.api import Api

from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.journal import MAX_BODY_BYTES

KEY = "journal-key"
MODEL = "models/gemini-3.8-flash"


@pytest.fixture
def keyed(emulator):
    return Api(emulator.base_url, key=KEY)


def bodies(emulator):
    return [entry.get("body") for entry in emulator.journal]


def written(emulator):
    """Return the whole journal as text, from the library and over HTTP."""
    return str(emulator.journal) + httpx.get(f"{emulator.base_url}/__emulator/journal", trust_env=False).text


class TestBodies:
    def test_json_is_recorded_as_sent(self, emulator, api):
        config = {"temperature": 0.5, "responseMimeType": "application/json"}
        tools = [{"codeExecution": {}}]
        api.generate({"text": "Is it a film?"}, generationConfig=config, tools=tools)
        assert bodies(emulator) == [
            {"contents": [{"parts": [{"text": "Is it a film?"}]}], "generationConfig": config, "tools": tools}
        ]
        assert emulator.journal == api.http.get("/__emulator/journal").json()["requests"]

    def test_bytes_are_counted(self, emulator, api):
        api.upload(b"hello", displayName="Greeting")
        assert bodies(emulator) == [{"file": {"displayName": "Greeting"}}, {"bytes": 5}]

    def test_requests_without_a_body_have_no_entry_for_it(self, emulator, api):
        api.get("files")
        assert "body" not in emulator.journal[0]

    @pytest.mark.parametrize("body", [b"{oops", b"\xff\xfe", b"[" * 5000 + b"]" * 5000])
    def test_other_bodies_are_counted(self, emulator, api, body):
        api.call("POST", f"{MODEL}:generateContent", content=body)
        assert bodies(emulator) == [{"bytes": len(body)}]

    @pytest.mark.parametrize(("extra", "cut"), [(0, False), (1, True)])
    def test_long_json_is_cut(self, emulator, api, extra, cut):
        empty = len(json.dumps({"x": ""}))
        body = json.dumps({"x": "a" * (MAX_BODY_BYTES - empty + extra)}).encode()
        api.call("POST", f"{MODEL}:countTokens", content=body)
        assert bodies(emulator) == [{"bytes": len(body), "cut": True} if cut else json.loads(body)]

    @pytest.mark.parametrize("action", ["overloaded", "reset", "lose_answer"])
    def test_body_of_a_failed_request_is_recorded(self, emulator, api, action):
        emulator.faults.add("generate", action)
        try:
            api.generate({"text": "?"})
        except httpx.TransportError:
            assert action != "overloaded"
        assert bodies(emulator) == [{"contents": [{"parts": [{"text": "?"}]}]}]

    def test_body_of_a_refused_key_is_recorded_without_the_key(self):
        with GeminiEmulator(api_keys=("right-key",)) as emulator:
            Api(emulator.base_url, key="wrong-key").generate({"text": "wrong-key right-key"}, {"text": "?"})
            assert emulator.journal[0]["status"] == 400
            assert bodies(emulator) == [{"contents": [{"parts": [{"text": "***"}, {"text": "?"}]}]}]

    def test_count_shows_how_many_bytes_came_before_a_break(self, emulator, api):
        url = api.session(4096)
        emulator.faults.add("upload", "reset", after_bytes=1000)
        with pytest.raises(httpx.TransportError):
            api.command(url, "upload, finalize", bytes(4096), 0)
        assert 1000 <= emulator.journal[-1]["body"]["bytes"] <= 4096

    def test_numbers_and_texts_that_json_cannot_express_are_readable(self, emulator, api):
        body = b'{"contents": [{"parts": [{"text": "\\ud800"}]}], "a": NaN, "b": 1e999, "c": -Infinity}'
        api.call("POST", f"{MODEL}:generateContent", content=body)
        recorded = api.http.get("/__emulator/journal").json()["requests"][0]["body"]
        assert (recorded["a"], recorded["b"], recorded["c"]) == ("nan", "inf", "-inf")


class TestSecrets:
    @pytest.mark.parametrize("text", [KEY, f"My key is {KEY}.", f"https://host/?key={KEY}&a=b"])
    def test_text_with_a_known_key_is_hidden(self, emulator, keyed, text):
        keyed.generate({"text": text}, {"text": "kept"}, labels={text: "kept", "more": [[text]]})
        body = bodies(emulator)[0]
        assert body["contents"] == [{"parts": [{"text": "***"}, {"text": "kept"}]}]
        assert body["labels"] == {"***": "kept", "more": [["***"]]}
        assert KEY not in written(emulator)

    def test_keys_of_other_requests_are_known(self, emulator, api, keyed):
        keyed.get("files")
        api.generate({"text": f"I know {KEY}"})
        assert KEY not in written(emulator)

    def test_short_key_hides_only_the_same_text(self, emulator, api):
        api.generate({"text": "k"}, {"text": "ask"})
        assert bodies(emulator)[0]["contents"] == [{"parts": [{"text": "***"}, {"text": "ask"}]}]

    @pytest.mark.parametrize("parameter", ["key", "upload_id"])
    def test_secret_in_the_query_of_a_url_is_hidden(self, emulator, api, parameter):
        api.generate({"text": f"https://host/path?a=b&{parameter}=s3cret"})
        assert "s3cret" not in written(emulator)

    def test_bearer_token_is_hidden(self, emulator):
        headers = {"authorization": "Bearer bearer-token"}
        Api(emulator.base_url, key="").post("files:register", {"uris": ["gs://b/bearer-token"]}, headers=headers)
        assert bodies(emulator) == [{"uris": ["***"]}]
        assert "bearer-token" not in written(emulator)

    def test_key_in_the_path_is_hidden(self, emulator, keyed):
        keyed.get(f"files/{KEY}")
        assert emulator.journal[0]["path"] == "***"


class TestClear:
    def test_by_the_library(self, emulator, api):
        api.get("files")
        before = emulator.journal
        emulator.clear_journal()
        assert (len(before), emulator.journal) == (1, [])

    def test_over_http(self, emulator, api):
        name = api.file()["name"]
        assert api.http.delete("/__emulator/journal").json() == {}
        assert emulator.journal == []
        assert api.get(name).status_code == 200
