"""
What an error response means: read once here for our own calls, for uploads and for the SDK's calls.

Only the Gemini API's own JSON can say that a file is gone, that a name is taken or that the storage is full. What a
gateway or proxy answers in between is a failure on the way, which changes nothing and may pass.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import pendulum

from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.redaction import origin_of, shown_text
from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiCacheGoneError,
    GeminiCacheTooSmallError,
    GeminiFileFailedError,
    GeminiFileGoneError,
    GeminiFileNotActiveError,
    GeminiFilesError,
    GeminiInputError,
    GeminiNameTakenError,
    GeminiPermanentError,
    GeminiRateLimitError,
    GeminiServiceError,
    GeminiStorageFullError,
    GeminiStoreGoneError,
    GeminiUrlNotFetchedError,
)

#: Where the API key is, unless the caller knows it better.
KEY_PLACE = "the connection's password (API key)"
#: The names of google.rpc.Code, one of which is in every error of the service.
_RPC_CODES = frozenset(
    {
        "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
        "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
    }
)  # fmt: skip
#: One of these is in the text of every storage error seen; one variant hides it in the message of another error.
_STORAGE_MARKS = ("file_storage_bytes", "FileStorageBytesPerProject")
#: The same of file search stores. The exact name is not known: a quota of this kind counts bytes, not requests.
_STORES_FULL = re.compile(r"file_?search\w*(?:storage|bytes)", re.IGNORECASE)
#: As in ``GenerateRequestsPerDayPerProjectPerModel-FreeTier``; quotes are escaped if the details are a text in a text.
_DAILY = re.compile(r'quotaId\\?":\s*\\?"[^"]*PerDay')
#: The same in the words of a response without details, as in ``generate_requests_per_model_per_day``.
_DAILY_WORDS = re.compile(r"\bper[ _]day\b|_per_day\b", re.IGNORECASE)
_RETRY_DELAY = re.compile(r'retryDelay\\?":\s*\\?"(\d+(?:\.\d+)?)s')
#: The same in the words of a response without details: ``Please retry in 28.5s.``, also ``512.3ms`` and ``1h2m3s``.
_RETRY_WORDS = re.compile(r"\b(?:retry|try again) in ((?:\d+(?:\.\d+)?(?:h|ms|m|s))+)")
_TIME_UNITS = re.compile(r"([\d.]+)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
#: A quota of nothing: the key's plan does not include the model, so that no amount of time helps.
_NO_QUOTA = re.compile(
    r'(?:quotaValue|quota_limit_value)\\?":\s*(?:\\?"0\\?"|0\b(?!\.))|\blimit\s?[:=]\s*0\b(?![.,]\d)', re.IGNORECASE
)
_NO_FREE_TIER = re.compile(
    r"does(?:n't| not) have a free|not available (?:in|on|for) (?:the )?free|no free (?:quota|tier)"
    r"|only (?:accessible|available) (?:to|in|on|for) (?:the )?(?:billed|paid)|requires (?:billing|a paid)",
    re.IGNORECASE,
)
_NO_CREDITS = re.compile(
    r"(?:credits?|balance)\b.{0,40}\b(?:depleted|exhausted|used up|run out|too low)|out of (?:\w+ )?credits?"
    r"|insufficient (?:\w+ )?(?:credits?|balance|funds)|spend(?:ing)? (?:cap|limit)"
    r"|billing account\b.{0,60}\b(?:disabled|suspended|closed)",
    re.IGNORECASE,
)
_NOT_HERE = re.compile(r"user location is not supported|not available in your (?:country|region)", re.IGNORECASE)
#: Google's own tests show the words, but not the status.
_NO_DOCUMENT = re.compile(r"\bDocuments? does not exist")
#: As in ``Cached content is too small. total_token_count=7, min_total_token_count=1024``.
_CACHE_TOO_SMALL = re.compile(r"cached content is too small|minimum token count to start caching", re.IGNORECASE)
_TOKENS = re.compile(r"\btotal_token_count\s*=\s*(\d+)")
_MIN_TOKENS = re.compile(r"\bmin_total_token_count\s*=\s*(\d+)")
#: Timeouts of the service or a gateway: the request may still have been carried out.
_UNANSWERED_STATUSES = (408, 499, 504)
#: A longer delay is no advice: the service has answered 2**63 - 1 seconds.
_MAX_RETRY_DELAY = 86_400.0
#: Google counts the requests of a day from midnight there (its page on rate limits).
_QUOTA_ZONE = "America/Los_Angeles"
#: The service does not choose between two credentials, and we never send two.
_OVERLOADED = (
    "The request arrived with an API key and a bearer token, of which only one was sent: a gateway or proxy has added "
    "the other."
)
_SENT_BY = "x-goog-upload-status"
#: Where a message is found, the best first: beside ``faultstring``, ``detail`` has only a code.
_MESSAGE_KEYS = ("error", "fault", "faultstring", "detail", "message", "msg", "errors", "title")


@dataclass(frozen=True)
class ApiResponse:
    """
    An HTTP response as it came.

    :param headers: with lower-case names.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @cached_property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode("utf-8", "replace")

    @cached_property
    def data(self) -> Any:
        """Return the JSON of the body; None if it is not JSON."""
        try:
            data = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        # A stream that is a JSON array wraps its error in one.
        return data[0] if isinstance(data, list) and len(data) == 1 else data

    @cached_property
    def service_error(self) -> Mapping[str, Any] | None:
        """Return the ``error`` object of the Gemini API's own error; None if someone else answered."""
        error = self.data.get("error") if isinstance(self.data, dict) else None
        if not isinstance(error, dict) or error.get("code") != self.status:
            return None
        return error if error.get("status") in _RPC_CODES else None

    def as_error(self) -> ApiResponse:
        """Return a response without a result as the error that it is, whatever its status: the service's, or 502."""
        error = self.data.get("error") if isinstance(self.data, dict) else None
        code = error.get("code") if isinstance(error, dict) else None
        inner = ApiResponse(code if isinstance(code, int) else 0, self.headers, self.body)
        is_error = 400 <= inner.status < 600 and inner.service_error is not None
        return inner if is_error else ApiResponse(502, self.headers, self.body)


def error_of_response(
    response: ApiResponse,
    doing: str,
    *,
    file: str | None = None,
    secrets: Sequence[str] = (),
    key_place: str = KEY_PLACE,
    advice: str | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> GeminiFilesError:
    """
    Return the error that a response means.

    :param response: its status is 300 or more, or its body is not what was asked for.
    :param doing: what was attempted, for the message: ``"get files/abc"``.
    :param file: the file whose resource was asked for, if it was one.
    :param secrets: texts that must not be shown, such as the API key.
    :param key_place: where the API key is, such as ``"the password of connection 'gemini_default'"``.
    :param advice: what to do if the sender lacks the permission to do this; to check the key if None.
    """
    advice = advice or f"Check the API key in {key_place}, and the permissions and billing of its project."
    error = _error_of(response, doing, file, secrets, key_place, advice, clock)
    error.http_status = response.status
    return error


def _error_of(
    response: ApiResponse,
    doing: str,
    file: str | None,
    secrets: Sequence[str],
    key_place: str,
    advice: str,
    clock: Clock,
) -> GeminiFilesError:
    status = response.status
    if status < 400:
        return _redirected(response, doing)
    reason = _reason(response, secrets)
    message = f"Cannot {doing}: {reason} (HTTP {status})."
    if _is_own(response) and any(mark in response.text for mark in _STORAGE_MARKS):
        return GeminiStorageFullError(
            f"{message} The storage of the key's project is full. Waiting does not free it: delete files, or let them "
            "expire (48 hours after their upload), then retry.",
            retry_after=retry_after_of(response, clock=clock),
        )
    if status == 429:
        return _too_many(response, message, clock)
    if status in (408, 499) or status >= 500:
        # A gateway may have lost the answer of a request that the service has carried out.
        by_gateway = response.service_error is None and status >= 500 and status != 503
        return GeminiServiceError(
            f"{message} The service failed; a retry can succeed.",
            retry_after_of(response, clock=clock),
            unanswered=by_gateway or status in _UNANSWERED_STATUSES,
        )
    if status == 413:
        return GeminiInputError(
            f"{message} The request is too large for the service, or for a gateway or proxy on the way: upload files "
            "instead of sending inline data, or raise the gateway's limit."
        )
    if not _is_own(response):
        return GeminiServiceError(
            f"{message} This is not the Gemini API's own response: a gateway or proxy may have sent it, or the "
            "connection's host or api_version is wrong. Nothing was changed because of it; a retry can succeed.",
            retry_after_of(response, clock=clock),
        )
    return _refused(response, message, file, key_place, advice)


def _is_own(response: ApiResponse) -> bool:
    """Return whether the service itself has answered: its uploads do so in plain text, too."""
    return response.service_error is not None or _SENT_BY in response.headers


def unreachable(error: Exception, doing: str, where: str, secrets: Sequence[str] = ()) -> GeminiServiceError:
    """
    Return the error that a broken or impossible connection means.

    :param where: the address that was called, and the proxy if there is one.
    """
    what = f"{type(error).__name__}: {shown_text(error, secrets)}" if str(error) else type(error).__name__
    return GeminiServiceError(f"Cannot {doing}: {where} cannot be reached ({what}).", unreachable=True)


def retry_after_of(response: ApiResponse, *, clock: Clock = SYSTEM_CLOCK) -> float | None:
    """
    Return the seconds that a response asks to wait, by its RetryInfo or its ``Retry-After``.

    :return: None if it does not say, infinity if it names more than a day.
    """
    found = _RETRY_DELAY.search(response.text)
    seconds = float(found[1]) if found else _header_seconds(response, clock)
    if seconds is None and (words := _RETRY_WORDS.search(response.text)):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _TIME_UNITS.findall(words[1]))
    return seconds if seconds is None or seconds <= _MAX_RETRY_DELAY else math.inf


def combined(
    errors: Sequence[GeminiFilesError], message: str, prefer: Sequence[type[GeminiFilesError]] = ()
) -> GeminiFilesError:
    """
    Return one error for one or more, of their class, with the message given and all that each of them knows.

    :param prefer: classes that win if one of the errors has them, first first; else an error that a retry can mend
        wins, so that the result is permanent only if all are.
    """
    chosen = next((error for kind in prefer for error in errors if isinstance(error, kind)), None)
    first = chosen or next((error for error in errors if not isinstance(error, GeminiPermanentError)), errors[0])
    kind = type(first)
    delays = [error.retry_after for error in errors if error.retry_after is not None]
    known: dict[str, Any] = {"retry_after": max(delays) if delays else None, "errors": errors}
    if issubclass(kind, GeminiFileFailedError):
        known["file_names"] = [
            n for error in errors if isinstance(error, GeminiFileFailedError) for n in error.file_names
        ]
    if issubclass(kind, GeminiStorageFullError):
        known["missing_bytes"] = sum(e.missing_bytes for e in errors if isinstance(e, GeminiStorageFullError))
    return kind(message, **known)


def _redirected(response: ApiResponse, doing: str) -> GeminiFilesError:
    origin = origin_of(response.headers.get("location", ""))
    target = f" to {origin}" if origin else ""
    message = (
        f"Cannot {doing}: the service redirects{target} (HTTP {response.status}). Redirects are not followed, so that "
        "credentials stay with the connection's host."
    )
    # A proxy's login page redirects for a while; only the permanent forms name a new address of the service.
    if response.status in (301, 308):
        message += " If that is the service's address, put it into the connection's host."
    return GeminiServiceError(f"{message} If a retry also fails, check the connection's host.")


def _reason(response: ApiResponse, secrets: Sequence[str]) -> str:
    """Return the words of whoever answered, in one line."""
    if response.text.lstrip()[:1] == "<":
        return "the response is an HTML page"
    return shown_text(_words(response.data, response.text), secrets).rstrip(". ") or "no reason given"


def _words(data: Any, text: str) -> str:
    """Find the message in the forms that the service and gateways use; some capitalise the keys."""
    if not isinstance(data, dict):
        return text
    fields = {str(key).lower(): value for key, value in data.items()}
    for key in _MESSAGE_KEYS:
        inner = fields.get(key)
        if isinstance(inner, list):
            inner = next(filter(None, inner), None)
        if isinstance(inner, dict) and inner:
            return _words(inner, "") or json.dumps(inner)
        if inner and not isinstance(inner, bool):
            return str(inner)
    return ""


def _too_many(response: ApiResponse, message: str, clock: Clock) -> GeminiFilesError:
    delay = retry_after_of(response, clock=clock)
    if response.service_error is not None:
        text = response.text
        if _STORES_FULL.search(text):
            return GeminiStorageFullError(
                f"{message} The file search stores of the key's project are full. Documents do not expire: delete "
                "some, or choose a plan with larger stores, then retry.",
                retry_after=delay,
            )
        if permanent := _no_quota(response, message):
            return permanent
        if _DAILY.search(text) or ("quotaId" not in text and _DAILY_WORDS.search(text)):
            # The delay in the response is that of the quota per minute.
            now = pendulum.from_timestamp(clock.now())
            midnight = now.in_timezone(_QUOTA_ZONE).add(days=1).start_of("day")
            return GeminiRateLimitError(
                f"{message} The daily quota is used up; it resets at {midnight.in_timezone('UTC')}.",
                (midnight - now).total_seconds(),
            )
    asked = f" The service asks to wait {delay:.0f} s." if delay is not None and math.isfinite(delay) else ""
    return GeminiRateLimitError(message + asked, delay)


def _no_quota(response: ApiResponse, message: str) -> GeminiAuthError | None:
    """Return the error of a 429 that waiting does not help."""
    words = _words(response.data, "")
    if _NO_CREDITS.search(words):
        return GeminiAuthError(f"{message} Add credits or billing to the key's project in Google AI Studio.")
    if _NO_QUOTA.search(response.text) or _NO_FREE_TIER.search(words):
        return GeminiAuthError(
            f"{message} This key's project has no quota at all for this model, so waiting does not help: choose "
            "another model, or a plan that includes it."
        )
    return None


def _header_seconds(response: ApiResponse, clock: Clock) -> float | None:
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    moment = date_of(value)
    if moment is None:
        return None
    # By the service's own clock, if it gives its time.
    now = date_of(response.headers.get("date", ""))
    return max(0.0, moment - (clock.now() if now is None else now))


def date_of(header: str) -> float | None:
    """Return an HTTP date in seconds since the epoch; None for anything else."""
    try:
        return parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError):
        return None


def _refused(response: ApiResponse, message: str, file: str | None, key_place: str, advice: str) -> GeminiFilesError:
    """Return the error of a request that the service itself does not accept."""
    error = response.service_error or {}
    said = str(error.get("message", "")) or response.text
    status = response.status
    if status == 409 and response.service_error is not None:
        if error.get("status") == "ABORTED":
            return GeminiServiceError(f"{message} A retry can succeed.")
        return GeminiNameTakenError(message)
    if response.service_error is not None and status in (403, 404) and "CachedContent not found" in said:
        return GeminiCacheGoneError(
            f"{message} The cache was deleted, has expired, or belongs to another project than the connection's key; "
            "the service does not say which."
        )
    if response.service_error is not None and status == 403 and "access the FileSearchStore" in said:
        return GeminiStoreGoneError(
            f"{message} The file search store was deleted, or belongs to another project than the connection's key."
        )
    if response.service_error is not None and _NO_DOCUMENT.search(said):
        return GeminiStoreGoneError(f"{message} The document was deleted.")
    if response.service_error is not None and (
        (status == 403 and "access the File" in said) or (status == 404 and file is not None)
    ):
        return GeminiFileGoneError(
            f"{message} The file was deleted, has expired (48 hours), or belongs to another project than the "
            "connection's key; the service does not say which. Upload it again."
        )
    if status == 404:
        return GeminiInputError(f"{message} Check the model's name and the connection's api_version and host.")
    if status in (401, 402, 403):
        return GeminiAuthError(f"{message} {_OVERLOADED if 'OVERLOADED_CREDENTIALS' in response.text else advice}")
    return _bad_request(message, response.text, key_place)


def _bad_request(message: str, text: str, key_place: str) -> GeminiFilesError:
    if "API_KEY_INVALID" in text or "API key not valid" in text or "API key expired" in text:
        return GeminiAuthError(f"{message} Put a valid API key into {key_place}.")
    if _NOT_HERE.search(text):
        return GeminiAuthError(
            f"{message} The service does not answer this project, or calls from this place: enable billing for the "
            "key's project, or run the task on a worker in a supported region."
        )
    if "not in an ACTIVE state" in text:
        return GeminiFileNotActiveError(
            f"{message} It is still PROCESSING, or has FAILED or expired: wait for it with GeminiFileStateSensor."
        )
    if "Cannot fetch content from the provided URL" in text:
        return GeminiUrlNotFetchedError(
            f"{message} A retry often succeeds; if not, check that the URL is public and has not expired, or upload "
            "the "
            "file."
        )
    if _CACHE_TOO_SMALL.search(text):
        return GeminiCacheTooSmallError(
            f"{message} Send the contents with each request instead.", _count(_TOKENS, text), _count(_MIN_TOKENS, text)
        )
    if "already been terminated" in text:
        return GeminiServiceError(f"{message} The upload session has ended; a retry opens a new one.")
    return GeminiInputError(f"{message} The service does not accept the request; the same request would fail again.")


def _count(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return int(found[1]) if found else None
