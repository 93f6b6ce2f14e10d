"""What an error answer of the service means, decided once for the SDK's calls and for our own."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pendulum

from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiFileGoneError,
    GeminiFileNotActiveError,
    GeminiFilesError,
    GeminiInputError,
    GeminiNameTakenError,
    GeminiRateLimitError,
    GeminiServiceError,
    GeminiStorageFullError,
)

#: Either stands in the text of every storage error seen; one variant hides it in a stringified message.
_STORAGE_MARKS = ("file_storage_bytes", "FileStorageBytesPerProject")
_RETRY_DELAY = re.compile(r'"retryDelay":\s*"(\d+(?:\.\d+)?)s"')
#: No more of an address is told than this: its user and its query may be secret.
_ORIGIN = re.compile(r"(https?://)(?:[^/?#]*@)?([^/?#@]+)")
#: A longer delay is no advice: the service has answered 2**63 - 1 seconds.
_MAX_RETRY_DELAY = 86_400.0
#: As in ``GenerateRequestsPerDayPerProjectPerModel-FreeTier``.
_DAILY = re.compile(r'"quotaId":\s*"[^"]*PerDay')
#: Where the midnight is at which Google begins to count a day's requests anew (its page on rate limits).
_QUOTA_ZONE = "America/Los_Angeles"


def error_from_answer(
    code: int, body: Mapping[str, Any] | str, doing: str, retry_after: str | None = None, location: str | None = None
) -> GeminiFilesError:
    """
    Return the error that an answer means.

    :param code: HTTP status, 300 or more.
    :param body: the JSON body, or its text where it is none (the upload back end answers plain text).
    :param doing: what was tried, for the message: ``"get files/abc"``.
    :param retry_after: the answer's ``Retry-After`` header: seconds, or a date.
    :param location: the answer's ``Location`` header.
    """
    if code < 400:
        return _elsewhere(code, doing, location)
    text = body if isinstance(body, str) else json.dumps(body)
    message = f"Cannot {doing}: {_message(body)} (HTTP {code})."
    if code == 429:
        return _too_many(message, text, retry_after)
    if code in (408, 499) or code >= 500:
        failure = GeminiServiceError(f"{message} The service failed; a retry can succeed.")
        failure.retry_after = _delay(text, retry_after)
        return failure
    if code == 409:
        return GeminiNameTakenError(message)
    if code in (401, 403, 404):
        return _not_allowed(code, message, text)
    return _bad_request(message, text)


def no_answer(error: Exception, doing: str) -> GeminiServiceError:
    """Return the error that a broken line means; ``doing`` as for :func:`error_from_answer`."""
    return GeminiServiceError(f"Cannot {doing}: the service cannot be reached ({type(error).__name__}: {error}).")


def _elsewhere(code: int, doing: str, location: str | None) -> GeminiFilesError:
    found = _ORIGIN.match(location or "")
    where = f", at {found[1]}{found[2]}" if found else ""
    message = f"Cannot {doing}: the service is elsewhere{where} (HTTP {code}), and the key is not sent there."
    if code in (301, 308):
        return GeminiInputError(f"{message} Put the right address into the connection's host.")
    return GeminiServiceError(f"{message} Check the connection's host if a retry fails, too.")


def _message(body: Mapping[str, Any] | str) -> str:
    if isinstance(body, str):
        if body.lstrip().startswith("<"):
            return "the answer is an HTML page; is the connection's host a Gemini API?"
        return body.strip().rstrip(".")[:500] or "no reason given"
    inner = body.get("error", body)
    message = inner.get("message") if isinstance(inner, Mapping) else None
    return str(message or "no reason given").strip().rstrip(". ")


def _too_many(message: str, text: str, retry_after: str | None) -> GeminiFilesError:
    if any(mark in text for mark in _STORAGE_MARKS):
        return GeminiStorageFullError(
            f"{message} The storage of the key's project is full. Waiting does not free it: delete files, or let "
            "them expire (48 hours after their upload), then retry."
        )
    if _DAILY.search(text):
        # The delay that comes with it is that of the quota per minute.
        midnight = pendulum.tomorrow(_QUOTA_ZONE)
        return GeminiRateLimitError(
            f"{message} The quota of the day is used up; it is counted anew from {midnight.in_timezone('UTC')} on.",
            (midnight - pendulum.now()).total_seconds(),
        )
    delay = _delay(text, retry_after)
    asked = f" The service asks to wait {delay:.0f} s." if delay is not None and math.isfinite(delay) else ""
    return GeminiRateLimitError(message + asked, delay)


def _delay(text: str, retry_after: str | None) -> float | None:
    """Return the seconds that an answer asks to wait, by its RetryInfo or its header."""
    found = _RETRY_DELAY.search(text)
    seconds = float(found[1]) if found else _header_seconds(retry_after)
    return seconds if seconds is None or seconds <= _MAX_RETRY_DELAY else math.inf


def _header_seconds(retry_after: str | None) -> float | None:
    if not retry_after:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - datetime.now(UTC).timestamp())


def _not_allowed(code: int, message: str, text: str) -> GeminiFilesError:
    if "access the File" in text or (code == 404 and "files/" in message):
        return GeminiFileGoneError(
            f"{message} The file was deleted, has expired (48 hours), or belongs to another project than the "
            "connection's key; the service does not say which. Upload it again."
        )
    if code == 404:
        return GeminiInputError(f"{message} Check the model's name and the connection's api_version and host.")
    return GeminiAuthError(f"{message} Check the API key of the connection, and its project's rights and billing.")


def _bad_request(message: str, text: str) -> GeminiFilesError:
    if "API_KEY_INVALID" in text or "API key not valid" in text:
        return GeminiAuthError(f"{message} Put a valid API key into the connection's password (API key).")
    if "not in an ACTIVE state" in text:
        return GeminiFileNotActiveError(
            f"{message} It is still PROCESSING, or has FAILED or expired: wait for it with GeminiFileStateSensor."
        )
    if "already been terminated" in text:
        return GeminiServiceError(f"{message} The upload session is dead; a retry opens a new one.")
    return GeminiInputError(f"{message} The service does not accept the request; a retry would fail alike.")
