from __future__ import annotations

import pytest
from processes import free_port
from support import API_KEY

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import GeminiFilesError, GeminiServiceError
from airflow_provider_gemini_files.hooks.environment import proxy_variable
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.ui.errors import ErrorKind, PageError

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def error_of_listing() -> PageError:
    hook = GeminiFilesHook()
    with pytest.raises(GeminiFilesError) as raised:
        hook.list_files()
    return PageError.of(raised.value, hook)


def test_unreachable_service_is_described_with_its_address(connect):
    address = f"http://127.0.0.1:{free_port()}"
    connect(host=address, extra={"max_retries": 0})
    error = error_of_listing()

    assert error.kind == ErrorKind.UNREACHABLE
    assert error.message.startswith(f"Cannot list files: {address} cannot be reached (ConnectError: ")


def test_unreachable_service_is_described_with_proxy_variable_but_not_its_value(connect, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://user:secret@127.0.0.1:{free_port()}")
    connect(host="http://gemini.example", extra={"max_retries": 0})
    error = error_of_listing()

    assert "http://gemini.example (through the proxy in HTTP_PROXY) cannot be reached (" in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://proxy:3128", "https_proxy": "http://other:3128"}, "https_proxy"),
        ({"ALL_PROXY": "http://proxy:3128"}, "ALL_PROXY"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "gemini.example"}, None),
    ],
)
def test_proxy_variable_is_the_one_httpx_uses(variables, expected, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert proxy_variable("https://gemini.example/path") == expected


def test_request_that_the_service_refuses_does_not_make_the_connection_invalid(emulator, hook):
    error = {"code": 400, "message": "There is no file search here.", "status": "INVALID_ARGUMENT"}
    emulator.faults.add("list_stores", "status", status=400, body={"error": error})
    with pytest.raises(GeminiFilesError) as raised:
        hook.list_file_search_stores()

    described = PageError.of(raised.value, hook, "stores")
    assert described.kind == ErrorKind.SERVICE
    assert described.message.endswith(f"The response is from {emulator.base_url}.")


def test_error_of_service_has_no_key(connect):
    connect()
    error = PageError.of(GeminiServiceError(f"Bad gateway for key={API_KEY}"), GeminiFilesHook())

    assert error == PageError(ErrorKind.SERVICE, "Bad gateway for key=*** [GF203]")


def test_error_outside_the_tree_is_not_shown(connect):
    connect()
    error = PageError.of(RuntimeError("a secret"), GeminiFilesHook())

    assert error.kind == ErrorKind.UNEXPECTED
    assert "secret" not in error.message


def test_one_line_removes_control_characters_and_secrets_and_cuts():
    assert shown_text("a\r\n\tb\x1b\x00c\u202ed\u2028e") == "a b cd e"
    assert shown_text("k/1 and k%2F1", ("k/1",)) == "*** and ***"
    assert shown_text("x" * 501) == "x" * 499 + "…"
