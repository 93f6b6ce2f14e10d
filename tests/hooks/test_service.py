from __future__ import annotations

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.hooks import base
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook


def paths(emulator, method: str) -> list[str]:
    return [entry["path"] for entry in emulator.journal if entry["method"] == method]


def test_nothing_is_read_or_sent_before_the_first_call():
    GeminiFilesHook("no_such_connection")


def test_a_connection_that_is_not_there_says_how_to_make_one():
    with pytest.raises(e.GeminiInputError, match=r"no connection 'nope'.*AIRFLOW_CONN_NOPE="):
        GeminiFilesHook("nope").list_files()


def test_the_test_button_says_that_all_is_well(hook, emulator):
    assert hook.test_connection() == (
        True,
        f"The Gemini API at {emulator.base_url} accepts the key and lists files (v1beta).",
    )


def test_the_test_button_says_what_is_wrong(connect, gemini_emulator):
    gemini_emulator.settings.api_keys = ("another",)
    connect(host=gemini_emulator.base_url)

    ok, message = GeminiFilesHook().test_connection()

    assert not ok
    assert "API key not valid" in message
    assert "Put a valid API key into the connection" in message


def test_the_test_button_says_when_nobody_is_there(connect):
    connect(host="http://127.0.0.1:9")

    ok, message = GeminiFilesHook().test_connection()

    assert not ok
    assert "cannot be reached" in message


def test_the_test_button_says_when_the_connection_is_of_no_use(connect):
    connect(extra={"modell": "x"})

    assert GeminiFilesHook().test_connection() == (
        False,
        "Connection 'gemini_default': unknown extra modell; there are api_version, model, quota_bytes, timeout, "
        "max_retries.",
    )


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_the_version_is_the_connections_whatever_the_sdk_prefers(connect, gemini_emulator, text_file, version):
    connect(host=gemini_emulator.base_url, extra={"api_version": version})

    file = GeminiFilesHook().upload_file(text_file)
    GeminiFilesHook().count_tokens("x")
    GeminiFilesHook().delete_file(file)

    assert {path.strip("/").removeprefix("upload/").split("/")[0] for path in paths(gemini_emulator, "POST")} == {
        version
    }
    assert paths(gemini_emulator, "DELETE") == [f"/{version}/{file.name}"]


def test_the_environment_of_the_worker_does_not_redirect_calls(hook, emulator, monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")

    assert hook.list_files() == []
    assert hook.count_tokens("a question") > 0


def test_failures_of_the_service_are_tried_again_and_then_told(hook, emulator, mocker):
    mocker.patch("tenacity.nap.time.sleep", autospec=True)
    emulator.faults.add("get", "reset", times=2)

    with pytest.raises(e.GeminiServiceError, match=r"Cannot get files/abc: the service cannot be reached \("):
        hook.get_file("abc")

    assert emulator.faults.unused() == []


def test_the_key_is_masked_in_logs(hook, mocker):
    mask = mocker.patch.object(base, "mask_secret", autospec=True)

    hook.list_files()

    mask.assert_called_once_with(hook.connection.api_key)
