"""The hook as Airflow sees it: the test button, the connection's form, the API version."""

from __future__ import annotations

import pytest
from support import API_KEY, sent_to_models

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook


def paths(emulator, method: str) -> list[str]:
    return [entry["path"] for entry in emulator.journal if entry["method"] == method]


class TestTheTestButton:
    def test_success_names_host_and_version(self, hook, emulator):
        assert hook.test_connection() == (
            True,
            f"The Gemini API at {emulator.base_url} accepts the key and lists files (v1beta).",
        )

    def test_it_makes_one_cheap_call(self, hook, emulator):
        hook.test_connection()

        assert [entry["call"] for entry in emulator.journal] == ["list"]

    def test_invalid_key(self, connect, gemini_emulator):
        gemini_emulator.settings.api_keys = ("another",)
        connect(host=gemini_emulator.base_url)

        succeeded, message = GeminiFilesHook().test_connection()

        assert not succeeded
        assert "API key not valid" in message
        assert "Put a valid API key into the password of connection 'gemini_default'" in message

    def test_invalid_key_of_the_environment_is_named_with_its_variable(self, connect, gemini_emulator, monkeypatch):
        gemini_emulator.settings.api_keys = ("another",)
        connect(host=gemini_emulator.base_url, password=None)
        monkeypatch.setenv("GEMINI_API_KEY", "wrong-key")

        _, message = GeminiFilesHook().test_connection()

        where = "GEMINI_API_KEY of this process (connection 'gemini_default' has no password)"
        assert f"Put a valid API key into {where}" in message

    def test_unreachable_service_is_named_with_its_address(self, connect):
        connect(host="http://127.0.0.1:9")

        succeeded, message = GeminiFilesHook().test_connection()

        assert not succeeded
        assert "http://127.0.0.1:9 cannot be reached (ConnectError: " in message

    def test_unreachable_service_is_named_with_the_proxy_in_between(self, connect, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", "http://user:s3cret@127.0.0.1:9")
        connect(host="http://gateway.example")

        succeeded, message = GeminiFilesHook().test_connection()

        assert not succeeded
        assert "http://gateway.example (through the proxy " in message
        assert "HTTP_PROXY" in message or "127.0.0.1:9" in message
        assert "s3cret" not in message

    def test_unknown_extra(self, connect):
        connect(extra={"modell": "x"})

        assert GeminiFilesHook().test_connection() == (
            False,
            "Connection 'gemini_default': extra modell is unknown; there are api_version, model, quota_bytes, "
            "timeout, max_retries, upload_via_host. [GF101]",
        )

    def test_missing_connection(self):
        succeeded, message = GeminiFilesHook("nope").test_connection()

        assert not succeeded
        assert "There is no connection 'nope'" in message

    def test_unusable_environment(self, hook, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")

        succeeded, message = hook.test_connection()

        assert not succeeded
        assert "SSL_CERT_FILE" in message
        assert "nowhere" not in message

    @pytest.mark.parametrize("call", ["test_connection", "generate_content"])
    def test_password_of_an_unusable_proxy_is_not_shown(self, connect, monkeypatch, call):
        connect(host="http://service.example")
        monkeypatch.setenv("HTTP_PROXY", "ftp://user:s3cret@proxy.example")

        if call == "test_connection":
            _, message = GeminiFilesHook().test_connection()
        else:
            with pytest.raises(GeminiInputError) as raised:
                GeminiFilesHook().generate_content("x")
            message = str(raised.value)

        assert "HTTP_PROXY" in message
        assert "s3cret" not in message
        assert "proxy.example" not in message

    def test_key_that_a_gateway_repeats_is_not_shown(self, hook, emulator):
        emulator.faults.add("list", "echo_key")

        succeeded, message = hook.test_connection()

        assert not succeeded
        assert API_KEY not in message
        assert "***" in message


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_api_version_of_the_connection_is_in_every_path(connect, gemini_emulator, text_file, version):
    connect(host=gemini_emulator.base_url, extra={"api_version": version})

    file = GeminiFilesHook().upload_file(text_file)
    GeminiFilesHook().count_tokens("x")
    GeminiFilesHook().generate_content("x")
    GeminiFilesHook().delete_file(file)

    versions = {path.strip("/").removeprefix("upload/").split("/")[0] for path in paths(gemini_emulator, "POST")}
    assert versions == {version}
    assert paths(gemini_emulator, "DELETE") == [f"/{version}/{file.name}"]


def test_get_conn_returns_the_client_of_google_genai(hook, emulator):
    assert hook.get_conn() is hook.client
    assert hook.get_conn().models.count_tokens(model="gemini-2.5-flash", contents="x" * 8).total_tokens == 2


def test_generate_content_and_ask_send_the_same_request(hook, emulator, text_file):
    file = hook.upload_file(text_file)
    config = {"temperature": 0.5, "tools": [{"google_search": {}}]}
    emulator.clear_journal()

    hook.generate_content("what?", [file], model="gemini-x", system_instruction="short", generation_config=config)
    hook.ask("what?", [file], model="gemini-x", system_instruction="short", generation_config=config)

    assert paths(emulator, "POST") == ["/v1beta/models/gemini-x:generateContent"] * 2
    first, second = sent_to_models(emulator)
    assert first == second
    assert first["contents"] == [
        {
            "role": "user",
            "parts": [{"fileData": {"fileUri": file.uri, "mimeType": "text/plain"}}, {"text": "what?"}],
        }
    ]
    assert first["systemInstruction"]["parts"] == [{"text": "short"}]
    assert first["generationConfig"] == {"temperature": 0.5}
    assert first["tools"] == [{"googleSearch": {}}]
