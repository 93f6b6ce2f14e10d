"""What a response means, by its status and by whose word it is."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from support import FakeClock

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.common.failures import (
    ApiResponse,
    combined,
    error_of_response,
    retry_after_of,
    unreachable,
)


def service_error(code: int, status: str, message: str, details: list | None = None) -> bytes:
    return json.dumps(
        {"error": {"code": code, "status": status, "message": message, "details": details or []}}
    ).encode()


def response(status: int, body: Any = b"", **headers: str) -> ApiResponse:
    content = (
        body if isinstance(body, bytes) else json.dumps(body).encode() if not isinstance(body, str) else body.encode()
    )
    return ApiResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


TOO_SMALL = e.GeminiCacheTooSmallError
GONE = service_error(403, "PERMISSION_DENIED", "You do not have permission to access the File x or it may not exist.")
STORAGE = [{"violations": [{"quotaId": "FileStorageBytesPerProject"}]}, {"retryDelay": "9223372036854775807s"}]
DAILY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "50"}]}


class TestWordOfTheService:
    @pytest.mark.parametrize(
        ("code", "status", "message", "details", "kind"),
        [
            (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", None, e.GeminiAuthError),
            (400, "INVALID_ARGUMENT", "No.", [{"reason": "API_KEY_INVALID"}], e.GeminiAuthError),
            (401, "UNAUTHENTICATED", "Overloaded credentials", None, e.GeminiAuthError),
            (403, "PERMISSION_DENIED", "The caller does not have permission", None, e.GeminiAuthError),
            (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", None, e.GeminiAuthError),
            (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", None, e.GeminiAuthError),
            (402, "FAILED_PRECONDITION", "Payment required", None, e.GeminiAuthError),
            (403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)", None, e.GeminiCacheGoneError),
            (404, "NOT_FOUND", "CachedContent not found", None, e.GeminiCacheGoneError),
            (404, "NOT_FOUND", "models/x is not found for API version v1", None, e.GeminiInputError),
            (400, "FAILED_PRECONDITION", "The File x is not in an ACTIVE state.", None, e.GeminiFileNotActiveError),
            (400, "INVALID_ARGUMENT", "Unsupported MIME type: bad/type", None, e.GeminiInputError),
            (400, "INVALID_ARGUMENT", "Cached content is too small. total_token_count=7", None, TOO_SMALL),
            (400, "INVALID_ARGUMENT", "The minimum token count to start caching is 4096.", None, TOO_SMALL),
            (409, "ALREADY_EXISTS", "whatever it says", None, e.GeminiNameTakenError),
            (409, "ABORTED", "conflict", None, e.GeminiServiceError),
            (429, "RESOURCE_EXHAUSTED", "You exceeded your quota", STORAGE, e.GeminiStorageFullError),
            (
                429,
                "RESOURCE_EXHAUSTED",
                "proto: file_storage_bytes, limit: 21474836480",
                None,
                e.GeminiStorageFullError,
            ),
            # The same text has come within another error.
            (400, "INVALID_ARGUMENT", "[proto='[] {metric: file_storage_bytes}']", None, e.GeminiStorageFullError),
            (500, "INTERNAL", "[proto='[] {FileStorageBytesPerProject}']", None, e.GeminiStorageFullError),
            (429, "RESOURCE_EXHAUSTED", "metric: x/file_search_storage_bytes", None, e.GeminiStorageFullError),
            (429, "RESOURCE_EXHAUSTED", "quota FileSearchStorageBytesPerProject", None, e.GeminiStorageFullError),
            (429, "RESOURCE_EXHAUSTED", "metric: x/file_search_requests", None, e.GeminiRateLimitError),
            (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted", None, e.GeminiRateLimitError),
            (500, "INTERNAL", "Failed to convert server response to JSON", None, e.GeminiServiceError),
        ],
    )
    def test_decides_the_class(self, code, status, message, details, kind):
        assert type(error_of_response(response(code, service_error(code, status, message, details)), "ask x")) is kind

    def test_says_that_a_file_is_gone(self):
        error = error_of_response(response(403, GONE), "get files/x", file="files/x")

        assert type(error) is e.GeminiFileGoneError
        assert str(error).startswith("Cannot get files/x: You do not have permission to access the File x or it may")
        assert error.message.endswith("Upload it again.")

    def test_says_how_small_the_contents_of_a_cache_are(self):
        words = "Cached content is too small. total_token_count=7, min_total_token_count=1024"

        error = error_of_response(response(400, service_error(400, "INVALID_ARGUMENT", words)), "create a cache")

        assert isinstance(error, e.GeminiCacheTooSmallError)
        assert (error.tokens, error.minimum) == (7, 1024)
        assert isinstance(error, e.GeminiInputError)

    def test_404_is_a_gone_file_only_for_a_request_about_one(self):
        missing = response(404, service_error(404, "NOT_FOUND", "not found"))

        assert type(error_of_response(missing, "get files/x", file="files/x")) is e.GeminiFileGoneError
        assert type(error_of_response(missing, "ask about files/x")) is e.GeminiInputError

    def test_is_read_from_a_wrapped_stream(self):
        body = b"[" + GONE + b"]"

        assert type(error_of_response(response(403, body), "ask", file=None)) is e.GeminiFileGoneError


class TestWordOfAGateway:
    @pytest.mark.parametrize("status", [301, 302, 308, 400, 401, 403, 404, 405, 409, 410])
    @pytest.mark.parametrize(
        "body",
        [
            "<html><body>Not Found</body></html>",
            "",
            "no such route",
            {"detail": "Not Found"},
            {"error": "File files/x not found"},
            {"error": {"message": "Invalid URL (GET /v1/files/x)", "type": "invalid_request_error", "code": None}},
            {"error": {"code": 418, "status": "NOT_FOUND", "message": "of another status"}},
            {"error": {"code": "404", "status": "Not Found", "message": "access the File x"}},
        ],
    )
    def test_never_says_gone_taken_full_or_forbidden(self, status, body):
        error = error_of_response(response(status, body), "delete files/x", file="files/x")

        assert type(error) is e.GeminiServiceError

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"detail": "no route"}, "no route"),
            ({"fault": {"faultstring": "quota policy"}}, "quota policy"),
            ({"error": "plain text"}, "plain text"),
            ({"errors": [{"message": "first"}]}, "first"),
            ({"errors": [None, {}, "second"]}, "second"),
            ({"detail": []}, "no reason given"),
            ({"detail": [], "message": "said elsewhere"}, "said elsewhere"),
            ({"error": {}, "message": "said elsewhere"}, "said elsewhere"),
            ({"error": True, "message": "said elsewhere"}, "said elsewhere"),
            ({"fault": {"faultstring": "quota policy", "detail": {"errorcode": "policies.Quota"}}}, "quota policy"),
            ({"fault": {"faultstring": "quota policy"}, "detail": "elsewhere"}, "quota policy"),
            ({"Message": "User is not authorized"}, "User is not authorized"),
            ({"Error": {"Message": "capitals"}}, "capitals"),
            ({"message": "x" * 1000}, "x…"),
            ("", "no reason given"),
            ("<html>secret page</html>", "the response is an HTML page"),
        ],
    )
    def test_is_quoted_in_one_line(self, body, words):
        text = str(error_of_response(response(404, body), "ask x"))

        assert words in text
        assert "<" not in text
        assert len(text) < 900

    def test_says_nothing_of_storage_in_a_429(self):
        assert type(error_of_response(response(429, "file_storage_bytes"), "ask")) is e.GeminiRateLimitError

    def test_key_and_control_characters_are_removed(self):
        body = {"error": "key SECRET%2F1\x1b[31m\n::group::x https://u:p@host/a?key=SECRET/1"}

        text = str(error_of_response(response(502, body), "ask", secrets=("SECRET/1",)))

        assert "SECRET" not in text
        assert "\x1b" not in text
        assert "::group::" not in text
        assert "https://host/a" in text


@pytest.mark.parametrize("body", ["<html>413</html>", service_error(413, "INVALID_ARGUMENT", "too large")])
def test_request_that_is_too_large_is_permanent_whoever_says_it(body):
    error = error_of_response(response(413, body), "ask")

    assert type(error) is e.GeminiInputError
    assert "inline data" in error.message


class TestErrorWithAnotherStatus:
    def test_word_of_the_service_decides(self):
        body = service_error(403, "PERMISSION_DENIED", "no")

        assert type(error_of_response(response(200, body).as_error(), "ask")) is e.GeminiAuthError

    @pytest.mark.parametrize(
        "body",
        [
            "<html>login</html>",
            [],
            {"error": "no"},
            {"error": {"code": 403, "message": "no status"}},
            {"error": {"code": 200, "status": "UNKNOWN"}},
            {"error": {"code": "403", "status": "PERMISSION_DENIED"}},
        ],
    )
    def test_anything_else_is_of_a_gateway(self, body):
        error = error_of_response(response(200, body).as_error(), "ask")

        assert type(error) is e.GeminiServiceError
        assert error.http_status == 502


class TestUploadBackEnd:
    @pytest.mark.parametrize("status", [400, 429, 503])
    def test_tells_of_full_storage_in_plain_text(self, status):
        upload = response(status, "Quota exceeded for file_storage_bytes", x_goog_upload_status="final")

        assert type(error_of_response(upload, "ask")) is e.GeminiStorageFullError

    def test_plain_text_with_an_upload_status_is_its_own(self):
        refused = response(400, "Unsupported MIME type: x/y", x_goog_upload_status="final")

        assert type(error_of_response(refused, "upload 'a'")) is e.GeminiInputError

    def test_ended_session_can_be_replaced(self):
        ended = response(400, "Upload has already been terminated.")

        assert type(error_of_response(ended, "upload 'a'")) is e.GeminiServiceError

    def test_plain_text_cannot_say_that_a_name_is_taken(self):
        taken = response(409, "Invalid offset", x_goog_upload_status="active")

        assert type(error_of_response(taken, "upload 'a'")) is not e.GeminiNameTakenError


class TestQuotaThatNoTimeHelps:
    @pytest.mark.parametrize(
        ("message", "details"),
        [
            ("You exceeded your quota", [{"violations": [{"quotaId": "RequestsPerDay", "quotaValue": "0"}]}]),
            ("* Quota exceeded for metric: free_tier_requests, limit: 0\nPlease retry in 28s.", [DAILY]),
            ("Your prepayment credits are depleted. Please go to AI Studio.", None),
            ("gemini-x doesn't have a free quota tier.", [{"retryDelay": "28s"}]),
            ("gemini-x does not have a free tier.", None),
            ("This model is not available in the free tier.", None),
            ("gemini-x is only accessible to billed users at this time.", None),
            ("gemini-x is only available on paid tiers.", None),
            ("gemini-x requires a paid plan.", None),
            ("There is no free tier for gemini-x.", None),
            ("Your prepaid credits have been exhausted.", None),
            ("Your credit balance is too low to use the Gemini API.", None),
            ("You have run out of free credits.", None),
            ("Your project has exceeded its monthly spending cap.", None),
            ("The billing account of project 7 is disabled.", None),
            ("You have reached your monthly spend limit.", None),
            ("You are out of credits.", None),
            ("Insufficient prepaid credits.", None),
            ("Kontingent aufgebraucht, Limit: 0", None),
            ("CachedContentStorageTokensPerModelFreeTier limit exceeded: limit=0, requested=1120", None),
            ("You exceeded your quota", [{"violations": [{"quotaId": "RequestsPerMinute", "quotaValue": 0}]}]),
            ("You exceeded your quota", [{"metadata": {"quota_limit_value": "0"}}]),
        ],
    )
    def test_is_permanent(self, message, details):
        error = error_of_response(response(429, service_error(429, "RESOURCE_EXHAUSTED", message, details)), "ask")

        assert type(error) is e.GeminiAuthError

    @pytest.mark.parametrize(
        "message",
        [
            "limit: 20, model: x",
            "limit: 0.5",
            "You exceeded your current quota, please check your plan and billing details.",
            "limit=1000, requested=1120",
            "free_tier_requests, limit: 5",
            "You exceeded the quota of the free tier: 10 requests a minute.",
            "Quota exceeded for quota metric 'Requests' of the free tier, see billing",
        ],
    )
    def test_is_not_seen_in_a_limit_that_is_there(self, message):
        error = error_of_response(response(429, service_error(429, "RESOURCE_EXHAUSTED", message)), "ask")

        assert type(error) is e.GeminiRateLimitError

    def test_is_not_seen_in_a_fraction(self):
        body = service_error(429, "RESOURCE_EXHAUSTED", "quota", [{"violations": [{"quotaValue": 0.5}]}])

        assert type(error_of_response(response(429, body), "ask")) is e.GeminiRateLimitError


class TestRedirect:
    @pytest.mark.parametrize(
        ("status", "location", "says"),
        [
            (301, "https://user:secret@right.example:8080/v1?secret", "to https://right.example:8080 (HTTP 301)"),
            (308, "/elsewhere?secret", "redirects (HTTP 308)"),
            (302, "http://[::1", "redirects (HTTP 302)"),
            (307, None, "check the connection's host"),
        ],
    )
    def test_names_only_the_origin(self, status, location, says):
        headers = {"location": location} if location else {}

        error = error_of_response(ApiResponse(status, headers), "get files/abc")

        assert type(error) is e.GeminiServiceError
        assert says in str(error)
        assert "secret" not in str(error)


class TestRetryAfter:
    @pytest.mark.parametrize(("delay", "seconds"), [("28s", 28.0), ("1.5s", 1.5), ("9223372036854775807s", math.inf)])
    def test_of_the_body_is_kept(self, delay, seconds):
        body = service_error(429, "RESOURCE_EXHAUSTED", "slow down", [{"retryDelay": delay}])

        assert error_of_response(response(429, body), "ask").retry_after == seconds

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [("7", 7.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("soon", None), ("", None), ("9" * 19, math.inf)],
    )
    @pytest.mark.parametrize("status", [429, 503])
    def test_of_the_header_counts_if_the_body_has_none(self, status, header, seconds):
        assert error_of_response(response(status, retry_after=header), "ask").retry_after == seconds

    def test_of_the_body_comes_first(self):
        body = service_error(429, "RESOURCE_EXHAUSTED", "slow down", [{"retryDelay": "28s"}])

        assert error_of_response(response(429, body, retry_after="7"), "ask").retry_after == 28.0

    def test_is_found_in_a_stringified_body(self):
        assert retry_after_of(response(429, {"error": '{"details": [{"retryDelay": "3600s"}]}'})) == 3600

    @pytest.mark.parametrize(
        ("words", "seconds"),
        [
            ("Please retry in 28.5s.", 28.5),
            ("Please retry in 512ms.", 0.512),
            ("Please retry in 1h2m3.5s.", 3723.5),
            ("Please try again in 20s.", 20.0),
            ("Please retry in a moment.", None),
            ("Please retry in 3 days.", None),
        ],
    )
    def test_is_found_in_words_if_nothing_else_tells_it(self, words, seconds):
        body = service_error(429, "RESOURCE_EXHAUSTED", words)

        assert error_of_response(response(429, body), "ask").retry_after == seconds
        assert error_of_response(response(429, body, retry_after="7"), "ask").retry_after == 7.0

    def test_date_is_compared_with_the_clock_of_the_service(self):
        headers = {"retry-after": "Wed, 25 Nov 2026 12:01:00 GMT", "date": "Wed, 25 Nov 2026 12:00:00 GMT"}

        assert retry_after_of(ApiResponse(503, headers)) == 60.0

    def test_daily_quota_lasts_until_midnight_in_california(self):
        body = service_error(429, "RESOURCE_EXHAUSTED", "quota", [DAILY, {"retryDelay": "28s"}])
        now = datetime(2026, 7, 1, 12, tzinfo=UTC)

        error = error_of_response(response(429, body), "ask", clock=FakeClock(now=now.timestamp()))

        assert type(error) is e.GeminiRateLimitError
        # 07:00 UTC in summer.
        assert now + timedelta(seconds=error.retry_after) == datetime(2026, 7, 2, 7, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("message", "details", "is_daily"),
        [
            ("metric: x/generate_requests_per_model_per_day, limit: 250", None, True),
            ("Too many requests per day", None, True),
            ("Too many requests per minute", None, False),
            ("No more requests per day", [{"violations": [{"quotaId": "RequestsPerMinute"}]}], False),
        ],
    )
    def test_daily_quota_is_known_by_words_if_there_are_no_details(self, message, details, is_daily):
        body = service_error(429, "RESOURCE_EXHAUSTED", message, details)

        error = error_of_response(response(429, body), "ask")

        assert type(error) is e.GeminiRateLimitError
        assert ("daily quota" in error.message) is is_daily


class TestCombined:
    def test_two_of_a_class_are_one_of_that_class(self):
        assert type(combined([e.GeminiAuthError("a"), e.GeminiAuthError("b")], "both")) is e.GeminiAuthError

    def test_keeps_what_each_knows(self):
        slow, slower = e.GeminiRateLimitError("a", 30), e.GeminiRateLimitError("b", 3600)

        error = combined([slow, slower], "both")

        assert (error.retry_after, error.errors, error.message) == (3600, (slow, slower), "both")

    def test_adds_up_files_and_bytes(self):
        failed = combined(
            [e.GeminiFileFailedError("a", ["files/a"]), e.GeminiFileFailedError("b", ["files/b"])], "both"
        )
        full = combined([e.GeminiStorageFullError("a", 10), e.GeminiStorageFullError("b", 20)], "both")

        assert failed.file_names == ("files/a", "files/b")
        assert full.missing_bytes == 30

    def test_is_permanent_only_if_all_are(self):
        errors = [e.GeminiInputError("a"), e.GeminiServiceError("b")]

        assert type(combined(errors, "x")) is e.GeminiServiceError
        assert type(combined(errors, "x", prefer=[e.GeminiPermanentError])) is e.GeminiInputError


def test_unreachable_service_is_named_with_the_address_and_without_the_key():
    error = unreachable(ConnectionError("no route for KEY"), "list files", "https://host", ("KEY",))

    assert error.message == "Cannot list files: https://host cannot be reached (ConnectionError: no route for ***)."
    assert error.unreachable


@pytest.mark.parametrize(
    ("status", "body", "unanswered"),
    [
        (500, service_error(500, "INTERNAL", "no"), False),
        (503, service_error(503, "UNAVAILABLE", "overloaded"), False),
        (504, service_error(504, "DEADLINE_EXCEEDED", "too late"), True),
        (408, b"", True),
        (502, b"<html>", True),
        (503, b"<html>", False),
        (404, b"<html>", False),
    ],
)
def test_request_may_have_been_carried_out_if_its_answer_was_lost_on_the_way(status, body, unanswered):
    error = error_of_response(response(status, body), "ask x")

    assert isinstance(error, e.GeminiServiceError)
    assert error.unanswered is unanswered


def test_only_permanent_errors_are_not_retried_by_airflow():
    kinds = [kind for kind in vars(e).values() if isinstance(kind, type) and issubclass(kind, e.GeminiFilesError)]

    assert {kind for kind in kinds if issubclass(kind, AirflowFailException)} == {
        e.GeminiPermanentError,
        e.GeminiInputError,
        e.GeminiAuthError,
        e.GeminiFileGoneError,
        e.GeminiFileFailedError,
        e.GeminiNoAnswerError,
        e.GeminiBatchGoneError,
        e.GeminiBatchFailedError,
        e.GeminiBatchCancelledError,
        e.GeminiBatchRowsError,
        e.GeminiDocumentFailedError,
        e.GeminiStoreGoneError,
        e.GeminiCacheGoneError,
        e.GeminiCacheTooSmallError,
    }


def test_docstring_of_the_module_draws_every_error():
    names = {n for n, k in vars(e).items() if isinstance(k, type) and issubclass(k, e.GeminiFilesError)}

    assert names - set(e.__doc__.split()) == set()
