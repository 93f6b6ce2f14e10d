"""The error answers that users of the service report, word for word."""

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


def error(answer):
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    body = answer.json()
    assert list(body) == ["error"]
    assert body["error"]["code"] == answer.status_code
    return body["error"]


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_absent_file(api, verb):
    assert error(api.call(verb, "files/never-was")) == {
        "code": 403,
        "message": "You do not have permission to access the File never-was or it may not exist.",
        "status": "PERMISSION_DENIED",
    }


@pytest.mark.parametrize(("verb", "request_name"), [("GET", "GetFileRequest"), ("DELETE", "DeleteFileRequest")])
def test_long_id(api, verb, request_name):
    told = error(api.call(verb, "files/" + "x" * 41))
    rule = "File ID (name excluding 'files/') cannot be more than 40 characters."
    assert told == {"code": 400, "message": f"* {request_name}.name: {rule}\n", "status": "INVALID_ARGUMENT"}
    assert api.call(verb, "files/" + "x" * 40).status_code == 403


@pytest.mark.parametrize("file_id", ["-dash", "dash-", "_low", "Upper", "a_b"])
def test_malformed_id(api, file_id):
    told = error(api.get(f"files/{file_id}"))
    assert (told["code"], told["status"]) == (400, "INVALID_ARGUMENT")
    assert told["message"].startswith("* GetFileRequest.name: ")
    assert error(api.start(5, name=file_id))["message"].startswith("* CreateFileRequest.file.name: ")


def test_no_resource_is_not_json(api):
    for answer in (api.get("genai-test-x"), api.call("PATCH", "files")):
        assert answer.status_code == 404
        assert "json" not in answer.headers["content-type"]


def test_taken_name(api):
    api.file(name="taken")
    assert error(api.start(5, name="taken")) == {
        "code": 409,
        "message": "Requested entity already exists",
        "status": "ALREADY_EXISTS",
    }


def test_unsupported_mime_type(api):
    told = error(api.upload(b"x", "bad/mime_type"))
    assert told == {"code": 400, "message": "Unsupported MIME type: bad/mime_type", "status": "INVALID_ARGUMENT"}


def test_storage_full():
    with GeminiEmulator(quota_bytes=4) as emulator:
        told = error(Api(emulator.base_url).start(5))
    metric = "generativelanguage.googleapis.com/file_storage_bytes"
    assert told["status"] == "RESOURCE_EXHAUSTED"
    assert told["message"] == f"{QUOTA_TEXT}\n* Quota exceeded for metric: {metric}, limit: 4"
    violation = {"quotaMetric": metric, "quotaId": "FileStorageBytesPerProject", "quotaValue": "4"}
    assert told["details"][0] == {"@type": f"{TYPE}QuotaFailure", "violations": [violation]}
    assert told["details"][1]["@type"] == f"{TYPE}Help"
    assert told["details"][2] == {"@type": f"{TYPE}RetryInfo", "retryDelay": f"{INT64_MAX}s"}


def test_storage_full_as_a_fault_tells_twenty_gibibytes(emulator, api):
    emulator.faults.add("start", "storage_full")
    assert error(api.start(5))["details"][0]["violations"][0]["quotaValue"] == "21474836480"


def test_rate_limit(emulator, api):
    emulator.faults.add("generate", "rate_limit", seconds=28)
    told = error(api.generate({"text": "hi"}))
    assert (told["code"], told["status"], told["message"]) == (429, "RESOURCE_EXHAUSTED", QUOTA_TEXT)
    violation = told["details"][0]["violations"][0]
    assert violation["quotaId"] == "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
    assert violation["quotaDimensions"].keys() == {"location", "model"}
    assert told["details"][2] == {"@type": f"{TYPE}RetryInfo", "retryDelay": "28s"}


def test_wrong_key():
    with GeminiEmulator(api_keys=("right",)) as emulator:
        assert Api(emulator.base_url, key="right").get("files").status_code == 200
        told = error(Api(emulator.base_url, key="wrong").get("files"))
    message = "API key not valid. Please pass a valid API key."
    assert (told["code"], told["status"], told["message"]) == (400, "INVALID_ARGUMENT", message)
    assert told["details"] == [
        {
            "@type": f"{TYPE}ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        },
        {"@type": f"{TYPE}LocalizedMessage", "locale": "en-US", "message": message},
    ]


def test_no_key(emulator):
    told = error(Api(emulator.base_url, key="").get("files"))
    assert (told["code"], told["status"]) == (403, "PERMISSION_DENIED")
    assert told["message"].startswith(
        "Method doesn't allow unregistered callers (callers without established identity)"
    )


@pytest.mark.parametrize(("seconds", "status"), [("8", 400), ("9.5", 400), ("10", 200), ("600", 200)])
def test_short_deadline(api, seconds, status):
    answer = api.get("files", headers={"X-Server-Timeout": seconds})
    assert answer.status_code == status
    if status == 400:
        message = f"Manually set deadline {seconds}s is too short. Minimum allowed deadline is 10s."
        assert error(answer) == {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}


def test_file_that_is_not_active(api):
    file = api.file(mime_type="video/mp4")
    told = error(api.generate({"fileData": {"fileUri": file["uri"]}}))
    message = f"The File {file['name'][6:]} is not in an ACTIVE state and usage is not allowed."
    assert told == {"code": 400, "message": message, "status": "FAILED_PRECONDITION"}


def test_deleted_file_in_a_prompt(api):
    file = api.file()
    api.delete(file["name"])
    told = error(api.generate({"fileData": {"fileUri": file["uri"]}}))
    assert (told["code"], told["message"].split(" File ")[0]) == (403, "You do not have permission to access the")


def test_unknown_model(api):
    told = error(api.generate({"text": "hi"}, model="gemini-1.5-flash"))
    assert (told["code"], told["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_broken_json(api, body):
    answer = api.call("POST", "models/gemini-2.5-flash:generateContent", content=body)
    assert (error(answer)["code"], error(answer)["status"]) == (400, "INVALID_ARGUMENT")


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
def test_shapes_that_no_client_sends(api, body):
    told = error(api.post("models/gemini-2.5-flash:generateContent", body))
    assert (told["code"], told["status"]) == (400, "INVALID_ARGUMENT")


def test_own_mistake_is_told_and_breaks_no_connection(api, monkeypatch):
    monkeypatch.setattr(catalog, "MODELS", [None])
    told = error(api.get("models"))
    assert (told["code"], told["message"].startswith("The emulator failed: ")) == (500, True)
