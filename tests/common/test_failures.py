from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow_provider_gemini_files.files.answers import error_from_answer

from airflow_provider_gemini_files import exceptions as e


def body(code: int, status: str, message: str, details: list | None = None) -> dict:
    return {"error": {"code": code, "status": status, "message": message, "details": details or []}}


STORAGE = [{"violations": [{"quotaId": "FileStorageBytesPerProject"}]}, {"retryDelay": "9223372036854775807s"}]


@pytest.mark.parametrize(
    ("code", "answer", "kind"),
    [
        (400, body(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), e.GeminiAuthError),
        (400, body(400, "INVALID_ARGUMENT", "No.", [{"reason": "API_KEY_INVALID"}]), e.GeminiAuthError),
        (401, body(401, "UNAUTHENTICATED", "Overloaded credentials"), e.GeminiAuthError),
        (403, body(403, "PERMISSION_DENIED", "The caller does not have permission"), e.GeminiAuthError),
        (403, body(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers"), e.GeminiAuthError),
        (
            403,
            body(403, "PERMISSION_DENIED", "You do not have permission to access the File x or it may not exist."),
            e.GeminiFileGoneError,
        ),
        (404, "Not Found", e.GeminiFileGoneError),
        (404, body(404, "NOT_FOUND", "models/x is not found for API version v1"), e.GeminiInputError),
        (
            400,
            body(400, "FAILED_PRECONDITION", "The File x is not in an ACTIVE state and usage is not allowed."),
            e.GeminiFileNotActiveError,
        ),
        (400, "Upload has already been terminated.", e.GeminiServiceError),
        (400, body(400, "INVALID_ARGUMENT", "Unsupported MIME type: bad/type"), e.GeminiInputError),
        (409, body(409, "ALREADY_EXISTS", "whatever it says"), e.GeminiNameTakenError),
        (429, body(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", STORAGE), e.GeminiStorageFullError),
        (429, body(429, "RESOURCE_EXHAUSTED", "proto: file_storage_bytes, limit"), e.GeminiStorageFullError),
        (429, body(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted"), e.GeminiRateLimitError),
        (500, body(500, "INTERNAL", "Failed to convert server response to JSON"), e.GeminiServiceError),
        (503, "", e.GeminiServiceError),
        (408, "", e.GeminiServiceError),
    ],
)
def test_what_an_answer_means(code, answer, kind):
    doing = "ask model x" if isinstance(answer, dict) and "models/" in str(answer) else "get files/x"

    assert type(error_from_answer(code, answer, doing)) is kind


@pytest.mark.parametrize(
    ("code", "location", "kind", "says"),
    [
        (
            301,
            "https://user:secret@right.example:8080/v1?secret",
            e.GeminiInputError,
            "at https://right.example:8080 (",
        ),
        (308, "/elsewhere?secret", e.GeminiInputError, "is elsewhere (HTTP 308)"),
        (302, "http://[::1", e.GeminiServiceError, "at http://[::1 ("),
        (307, None, e.GeminiServiceError, "if a retry fails, too"),
    ],
)
def test_a_redirect_names_no_more_than_where_it_leads(code, location, kind, says):
    error = error_from_answer(code, "", "get files/abc", location=location)

    assert type(error) is kind
    assert says in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(("delay", "seconds"), [("28s", 28.0), ("1.5s", 1.5), ("9223372036854775807s", math.inf)])
def test_the_delay_the_service_asks_for_is_kept_where_it_makes_sense(delay, seconds):
    error = error_from_answer(429, body(429, "RESOURCE_EXHAUSTED", "slow down", [{"retryDelay": delay}]), "ask")

    assert isinstance(error, e.GeminiRateLimitError)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("soon", None), (None, None), ("9" * 19, math.inf)],
)
@pytest.mark.parametrize("code", [429, 503])
def test_the_header_counts_where_the_body_asks_for_no_delay(code, header, seconds):
    assert error_from_answer(code, "", "ask", header).retry_after == seconds


def test_the_body_counts_before_the_header():
    answer = body(429, "RESOURCE_EXHAUSTED", "slow down", [{"retryDelay": "28s"}])

    assert error_from_answer(429, answer, "ask", "7").retry_after == 28.0


def test_a_daily_quota_asks_to_wait_for_the_day_to_end_whatever_delay_comes_with_it():
    quota = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}
    answer = body(429, "RESOURCE_EXHAUSTED", "quota", [quota, {"retryDelay": "28s"}])

    error = error_from_answer(429, answer, "ask")

    assert isinstance(error, e.GeminiRateLimitError)
    a_moment_later = datetime.now(UTC) + timedelta(seconds=error.retry_after + 60)
    assert a_moment_later.astimezone(ZoneInfo("America/Los_Angeles")).hour == 0
    assert 0 < error.retry_after <= 25 * 3600
    assert "counted anew from" in str(error)


def test_the_message_says_what_was_tried_what_was_answered_and_what_to_do():
    error = error_from_answer(403, body(403, "PERMISSION_DENIED", "... access the File x ..."), "get files/x")

    assert str(error).startswith("Cannot get files/x: ... access the File x (HTTP 403). The file was deleted")
    assert str(error).endswith("Upload it again.")


def test_an_empty_body_still_makes_a_sentence():
    assert "no reason given (HTTP 503)" in str(error_from_answer(503, "", "upload 'a'"))


def test_a_page_of_html_is_not_repeated():
    error = error_from_answer(404, "<html><body>Not Found</body></html>", "ask model x")

    assert "<" not in str(error)
    assert "is an HTML page" in str(error)


def test_permanent_errors_are_not_retried_by_airflow_and_others_are():
    kinds = [kind for kind in vars(e).values() if isinstance(kind, type) and issubclass(kind, e.GeminiFilesError)]

    assert {kind for kind in kinds if issubclass(kind, AirflowFailException)} == {
        e.GeminiPermanentError,
        e.GeminiInputError,
        e.GeminiAuthError,
        e.GeminiFileGoneError,
        e.GeminiFileFailedError,
        e.GeminiNoAnswerError,
    }


def test_the_docstring_draws_every_error():
    names = {n for n, k in vars(e).items() if isinstance(k, type) and issubclass(k, e.GeminiFilesError)}

    assert names - set(e.__doc__.split()) == set()
