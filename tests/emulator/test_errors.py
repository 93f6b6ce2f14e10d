"""The errors that users of the service report, word for word."""

from __future__ import annotations

import pytest
from emulator.api import Api

from airflow_provider_gemini_files.emulator import GeminiEmulator, catalog

INT64_MAX = 9_223_372_036_854_775_807
TYPE = "type.googleapis.com/google.rpc."
QUOTA_TEXT = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)


def error(response):
    assert response.headers["content-type"] == "application/json; charset=UTF-8"
    body = response.json()
    assert list(body) == ["error"]
    assert body["error"]["code"] == response.status_code
    return body["error"]


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_unknown_file_returns_403(api, verb):
    assert error(api.call(verb, "files/never-was")) == {
        "code": 403,
        "message": "You do not have permission to access the File never-was or it may not exist.",
        "status": "PERMISSION_DENIED",
    }


@pytest.mark.parametrize(("verb", "request_name"), [("GET", "GetFileRequest"), ("DELETE", "DeleteFileRequest")])
def test_long_id_is_refused(api, verb, request_name):
    actual = error(api.call(verb, "files/" + "x" * 41))
    rule = "File ID (name excluding 'files/') cannot be more than 40 characters."
    assert actual == {"code": 400, "message": f"* {request_name}.name: {rule}\n", "status": "INVALID_ARGUMENT"}
    assert api.call(verb, "files/" + "x" * 40).status_code == 403


@pytest.mark.parametrize("file_id", ["-dash", "dash-", "_low", "Upper", "a_b"])
def test_malformed_id_is_refused(api, file_id):
    actual = error(api.get(f"files/{file_id}"))
    assert (actual["code"], actual["status"]) == (400, "INVALID_ARGUMENT")
    assert actual["message"].startswith("* GetFileRequest.name: ")
    assert error(api.start(5, name=file_id))["message"].startswith("* CreateFileRequest.file.name: ")


def test_unknown_path_returns_plain_text_404(api):
    for response in (api.get("genai-test-x"), api.get("files/"), api.call("PATCH", "files")):
        assert response.status_code == 404
        assert "json" not in response.headers["content-type"]


def test_taken_name_returns_409(api):
    api.file(name="taken")
    assert error(api.start(5, name="taken")) == {
        "code": 409,
        "message": "Requested entity already exists",
        "status": "ALREADY_EXISTS",
    }


def test_unsupported_mime_type_is_refused(api):
    actual = error(api.upload(b"x", "bad/mime_type"))
    assert actual == {"code": 400, "message": "Unsupported MIME type: bad/mime_type", "status": "INVALID_ARGUMENT"}


def test_full_storage_returns_429():
    with GeminiEmulator(quota_bytes=4) as emulator:
        actual = error(Api(emulator.base_url).start(5))
    metric = "generativelanguage.googleapis.com/file_storage_bytes"
    assert actual["status"] == "RESOURCE_EXHAUSTED"
    assert actual["message"] == f"{QUOTA_TEXT}\n* Quota exceeded for metric: {metric}, limit: 4"
    violation = {"quotaMetric": metric, "quotaId": "FileStorageBytesPerProject", "quotaValue": "4"}
    assert actual["details"][0] == {"@type": f"{TYPE}QuotaFailure", "violations": [violation]}
    assert actual["details"][1]["@type"] == f"{TYPE}Help"
    assert actual["details"][2] == {"@type": f"{TYPE}RetryInfo", "retryDelay": f"{INT64_MAX}s"}


def test_storage_full_fault_reports_20_gib(emulator, api):
    emulator.faults.add("start", "storage_full")
    assert error(api.start(5))["details"][0]["violations"][0]["quotaValue"] == "21474836480"


def test_rate_limit_returns_429_with_details(emulator, api):
    emulator.faults.add("generate", "rate_limit", seconds=28)
    actual = error(api.generate({"text": "hi"}))
    assert (actual["code"], actual["status"], actual["message"]) == (429, "RESOURCE_EXHAUSTED", QUOTA_TEXT)
    violation = actual["details"][0]["violations"][0]
    assert violation["quotaId"] == "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
    assert violation["quotaDimensions"].keys() == {"location", "model"}
    assert actual["details"][2] == {"@type": f"{TYPE}RetryInfo", "retryDelay": "28s"}


def test_invalid_key_returns_400():
    with GeminiEmulator(api_keys=("right",)) as emulator:
        assert Api(emulator.base_url, key="right").get("files").status_code == 200
        actual = error(Api(emulator.base_url, key="wrong").get("files"))
    message = "API key not valid. Please pass a valid API key."
    assert (actual["code"], actual["status"], actual["message"]) == (400, "INVALID_ARGUMENT", message)
    assert actual["details"] == [
        {
            "@type": f"{TYPE}ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        },
        {"@type": f"{TYPE}LocalizedMessage", "locale": "en-US", "message": message},
    ]


def test_missing_key_returns_403(emulator):
    actual = error(Api(emulator.base_url, key="").get("files"))
    assert (actual["code"], actual["status"]) == (403, "PERMISSION_DENIED")
    assert actual["message"].startswith(
        "Method doesn't allow unregistered callers (callers without established identity)"
    )


@pytest.mark.parametrize(("seconds", "status"), [("8", 400), ("9.5", 400), ("10", 200), ("600", 200)])
def test_short_deadline_is_refused(api, seconds, status):
    response = api.get("files", headers={"X-Server-Timeout": seconds})
    assert response.status_code == status
    if status == 400:
        message = f"Manually set deadline {seconds}s is too short. Minimum allowed deadline is 10s."
        assert error(response) == {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}


def test_prompt_with_processing_file_is_refused(api):
    file = api.file(mime_type="video/mp4")
    actual = error(api.generate({"fileData": {"fileUri": file["uri"]}}))
    message = f"The File {file['name'][6:]} is not in an ACTIVE state and usage is not allowed."
    assert actual == {"code": 400, "message": message, "status": "FAILED_PRECONDITION"}


def test_prompt_with_deleted_file_is_refused(api):
    file = api.file()
    api.delete(file["name"])
    actual = error(api.generate({"fileData": {"fileUri": file["uri"]}}))
    assert (actual["code"], actual["message"].split(" File ")[0]) == (403, "You do not have permission to access the")


def test_unknown_model_returns_404(api):
    actual = error(api.generate({"text": "hi"}, model="gemini-1.5-flash"))
    assert (actual["code"], actual["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_invalid_json_returns_400(api, body):
    response = api.call("POST", "models/gemini-3.8-flash:generateContent", content=body)
    assert (error(response)["code"], error(response)["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "body",
    [
        {"contents": "x"},
        {"contents": [{"parts": ["x"]}]},
        {"contents": [{"parts": [{"fileData": "x"}]}]},
        {"contents": [{"parts": [{"inlineData": ["x"]}]}]},
        {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": "x"},
        {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"responseSchema": "x"}},
        {"contents": [{"parts": [{"text": "x"}]}], "tools": [None]},
        {"contents": [{"parts": [{"text": "x"}]}], "systemInstruction": "x"},
    ],
)
def test_unexpected_json_types_return_400(api, body):
    actual = error(api.post("models/gemini-3.8-flash:generateContent", body))
    assert (actual["code"], actual["status"]) == (400, "INVALID_ARGUMENT")


def test_exception_in_the_emulator_returns_500(api, monkeypatch):
    monkeypatch.setattr(catalog, "MODELS", [None])
    actual = error(api.get("models"))
    assert (actual["code"], actual["message"].startswith("The emulator failed: ")) == (500, True)
