"""The error answers of the service, each in one place, with the body users report."""

from __future__ import annotations

from typing import Any

_TYPE = "type.googleapis.com/google.rpc."
_INT64_MAX_SECONDS = "9223372036854775807s"
_QUOTA_LINK = {
    "description": "Learn more about Gemini API quotas",
    "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
}


class ServiceError(Exception):
    """What the service answers instead of a result: HTTP status and headers; the body is the subclass's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers: dict[str, str] = {}


class ApiError(ServiceError):
    """An error answer in JSON: HTTP status, gRPC status name, message and details."""

    def __init__(self, code: int, status: str, message: str, details: list[dict[str, Any]] | None = None) -> None:
        super().__init__(code, message)
        self.status = status
        self.details = details or []
        #: A stream that is a JSON array gives its error as the array's only element.
        self.wrapped = False

    def body(self) -> Any:
        """Return the JSON envelope; ``details`` is left out when there are none."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = self.details
        return [{"error": error}] if self.wrapped else {"error": error}


class TextError(ServiceError):
    """An error answer in plain text, as the upload back end gives it, with the upload status if it tells one."""

    def __init__(self, code: int, message: str, upload_status: str | None = None) -> None:
        super().__init__(code, message)
        if upload_status:
            self.headers["x-goog-upload-status"] = upload_status


class RawError(ServiceError):
    """An error answer a test wrote itself: a text, or anything else as JSON."""

    def __init__(self, code: int, content: Any = None) -> None:
        super().__init__(code, content if isinstance(content, str) else "")
        self.content = content


def no_permission(file_id: str) -> ApiError:
    """Answer for a file that is absent, deleted, expired or another project's: all alike."""
    message = f"You do not have permission to access the File {file_id} or it may not exist."
    return ApiError(403, "PERMISSION_DENIED", message)


def invalid(message: str) -> ApiError:
    """Answer for a request the service does not accept."""
    return ApiError(400, "INVALID_ARGUMENT", message)


def id_too_long(request: str, field: str = "name") -> ApiError:
    """Answer for an id of more than 40 characters, in the validator's own layout."""
    return invalid(f"* {request}.{field}: File ID (name excluding 'files/') cannot be more than 40 characters.\n")


def id_malformed(request: str, field: str = "name") -> ApiError:
    """Answer for an id with other characters than lower-case letters, digits and inner dashes."""
    rule = "File ID can only contain lowercase alphanumeric characters or dashes, and cannot begin or end with a dash."
    return invalid(f"* {request}.{field}: {rule}\n")


def too_large(size: int, limit: int) -> ApiError:
    """Answer for a file over the limit; the service's own words are not known."""
    return invalid(f"File size {size} exceeds the maximum of {limit} bytes.")


def already_exists() -> ApiError:
    """Answer for a name that is taken."""
    return ApiError(409, "ALREADY_EXISTS", "Requested entity already exists")


def unsupported_mime(mime_type: str) -> ApiError:
    """Answer for a MIME type the service does not take; it comes when the upload is finalized."""
    return invalid(f"Unsupported MIME type: {mime_type}")


def not_active(file_id: str) -> ApiError:
    """Answer for a file used in a prompt while it is PROCESSING or FAILED."""
    message = f"The File {file_id} is not in an ACTIVE state and usage is not allowed."
    return ApiError(400, "FAILED_PRECONDITION", message)


def model_not_found(model: str, version: str, method: str = "generateContent") -> ApiError:
    """Answer for a model that does not exist or is retired."""
    message = (
        f"models/{model} is not found for API version {version}, or is not supported for {method}. "
        "Call ListModels to see the list of available models and their supported methods."
    )
    return ApiError(404, "NOT_FOUND", message)


def no_key() -> ApiError:
    """Answer for a request without an API key."""
    message = (
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API."
    )
    return ApiError(403, "PERMISSION_DENIED", message)


def bad_key() -> ApiError:
    """Answer for an API key that is not valid: a 400, not a 401."""
    message = "API key not valid. Please pass a valid API key."
    return ApiError(
        400,
        "INVALID_ARGUMENT",
        message,
        [
            _error_info("API_KEY_INVALID"),
            {"@type": f"{_TYPE}LocalizedMessage", "locale": "en-US", "message": message},
        ],
    )


def storage_full(limit: int) -> ApiError:
    """Answer for a project whose files take all its storage: a 429 that waiting does not cure."""
    message = (
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.\n"
        f"* Quota exceeded for metric: generativelanguage.googleapis.com/file_storage_bytes, limit: {limit}"
    )
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/file_storage_bytes",
        "quotaId": "FileStorageBytesPerProject",
        "quotaValue": str(limit),
    }
    return _quota_exceeded(message, violation, _INT64_MAX_SECONDS)


def terminated(upload_status: str | None = None) -> TextError:
    """Answer for bytes sent to a session that is over: a 400 that only a new session cures."""
    return TextError(400, "Upload has already been terminated.", upload_status)


def outage() -> TextError:
    """Answer of an upload endpoint that is down: a 503 with nothing in it."""
    return TextError(503, "")


def overloaded() -> ApiError:
    """Answer of a model with too much to do."""
    return ApiError(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")


def internal() -> ApiError:
    """Answer seen now and then for a file that was just uploaded."""
    return ApiError(500, "INTERNAL", "Failed to convert server response to JSON")


def exhausted() -> ApiError:
    """Answer for too many requests, without any details."""
    return ApiError(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")


def rate_limit(retry_seconds: float, model: str = "gemini-2.5-flash") -> ApiError:
    """Answer for too many requests a minute; it tells when to come back."""
    message = (
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
    )
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": "5",
    }
    return _quota_exceeded(message, violation, f"{retry_seconds:g}s")


def forbidden(reason: str | None = None) -> ApiError:
    """
    Answer for a key that may not use this service.

    :param reason: why, in the details, such as ``API_KEY_SERVICE_BLOCKED``.
    """
    details = [_error_info(reason)] if reason else None
    return ApiError(403, "PERMISSION_DENIED", "The caller does not have permission", details)


def short_deadline(seconds: float) -> ApiError:
    """Answer for a client that gives the service less than ten seconds."""
    message = f"Manually set deadline {seconds:g}s is too short. Minimum allowed deadline is 10s."
    return invalid(message)


def overloaded_credentials() -> ApiError:
    """Answer for a new-style key together with a bearer token: one of them is too many."""
    message = (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    return ApiError(401, "UNAUTHENTICATED", message, [_error_info("OVERLOADED_CREDENTIALS")])


def _error_info(reason: str) -> dict[str, Any]:
    return {
        "@type": f"{_TYPE}ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }


def unauthenticated() -> ApiError:
    """Answer for a method that wants a bearer token and got none."""
    message = (
        "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other "
        "valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    return ApiError(401, "UNAUTHENTICATED", message)


def no_download(file_id: str) -> ApiError:
    """Answer for the bytes of a file that somebody uploaded; the service's own words are not known."""
    return invalid(f"The File {file_id} was uploaded and cannot be downloaded; only generated files can.")


def no_access(kind: str, item_id: str) -> ApiError:
    """Answer for another resource that is absent or another project's."""
    message = f"You do not have permission to access the {kind} {item_id} or it may not exist."
    return ApiError(403, "PERMISSION_DENIED", message)


def no_cache() -> ApiError:
    """Answer for a cached content that is absent or expired."""
    return ApiError(403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)")


def not_found(message: str) -> ApiError:
    """Answer for a resource whose absence is no secret."""
    return ApiError(404, "NOT_FOUND", message)


def precondition(message: str) -> ApiError:
    """Answer for what cannot be done in this state."""
    return ApiError(400, "FAILED_PRECONDITION", message)


def unimplemented(message: str) -> ApiError:
    """Answer for what the emulator cannot do; the service could."""
    return ApiError(501, "UNIMPLEMENTED", message)


def failed(error: Exception) -> ApiError:
    """Answer for a request the emulator stumbles over: its own mistake, or a shape that no client sends."""
    return ApiError(500, "INTERNAL", f"The emulator failed: {error!r}")


def _quota_exceeded(message: str, violation: dict[str, Any], retry_delay: str) -> ApiError:
    details: list[dict[str, Any]] = [
        {"@type": f"{_TYPE}QuotaFailure", "violations": [violation]},
        {"@type": f"{_TYPE}Help", "links": [_QUOTA_LINK]},
        {"@type": f"{_TYPE}RetryInfo", "retryDelay": retry_delay},
    ]
    return ApiError(429, "RESOURCE_EXHAUSTED", message, details)
