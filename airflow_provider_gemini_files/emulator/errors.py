"""The errors of the service, each in one place, with the body that users report."""

from __future__ import annotations

from typing import Any

_TYPE = "type.googleapis.com/google.rpc."
_INT64_MAX_SECONDS = "9223372036854775807s"
_QUOTA_LINK = {
    "description": "Learn more about Gemini API quotas",
    "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
}
_QUOTA_TEXT = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this "
    "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)
_REQUESTS_METRIC = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
_MODEL = "gemini-2.5-flash"


class ServiceError(Exception):
    """
    An error response of the service; subclasses add the body.

    :param code: HTTP status.
    :param message: the service's own words.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers: dict[str, str] = {}


class ApiError(ServiceError):
    """
    An error response in JSON.

    :param status: name of the gRPC status.
    :param details: list of ``google.rpc`` messages.
    """

    def __init__(self, code: int, status: str, message: str, details: list[dict[str, Any]] | None = None) -> None:
        super().__init__(code, message)
        self.status = status
        self.details = details or []
        #: Whether the error is the only element of an array, as in a stream that is a JSON array.
        self.wrapped = False

    def body(self) -> Any:
        """Return the JSON envelope; empty ``details`` are omitted."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = self.details
        return [{"error": error}] if self.wrapped else {"error": error}


class TextError(ServiceError):
    """
    An error response in plain text, as upload URLs return it.

    :param upload_status: value of ``x-goog-upload-status``; None: no such header.
    """

    def __init__(self, code: int, message: str, upload_status: str | None = None) -> None:
        super().__init__(code, message)
        if upload_status:
            self.headers["x-goog-upload-status"] = upload_status


class RawError(ServiceError):
    """
    A response that a test scripted.

    :param content: a text; any other value is sent as JSON.
    :param headers: additional headers.
    :param content_type: type of the body; None: ``text/plain`` or ``application/json``.
    """

    def __init__(
        self, code: int, content: Any = None, headers: dict[str, str] | None = None, content_type: str | None = None
    ) -> None:
        super().__init__(code, content if isinstance(content, str) else "")
        self.content = content
        self.headers.update(headers or {})
        self.content_type = content_type


def no_permission(file_id: str) -> ApiError:
    """Return the error for a file that never existed, was deleted, has expired or belongs to another project."""
    message = f"You do not have permission to access the File {file_id} or it may not exist."
    return ApiError(403, "PERMISSION_DENIED", message)


def invalid(message: str) -> ApiError:
    """Return the error for a request that the service does not accept."""
    return ApiError(400, "INVALID_ARGUMENT", message)


def id_too_long(request: str, field: str = "name") -> ApiError:
    """Return the error for an id of more than 40 characters, in the validator's own layout."""
    return invalid(f"* {request}.{field}: File ID (name excluding 'files/') cannot be more than 40 characters.\n")


def id_malformed(request: str, field: str = "name") -> ApiError:
    """Return the error for an id with other characters than lower-case letters, digits and inner dashes."""
    rule = "File ID can only contain lowercase alphanumeric characters or dashes, and cannot begin or end with a dash."
    return invalid(f"* {request}.{field}: {rule}\n")


def too_large(size: int, limit: int) -> ApiError:
    """Return the error for a file over the limit; the service's own words are not known. Sizes are in bytes."""
    return invalid(f"File size {size} exceeds the maximum of {limit} bytes.")


def already_exists() -> ApiError:
    """Return the error for a name that is taken."""
    return ApiError(409, "ALREADY_EXISTS", "Requested entity already exists")


def unsupported_mime(mime_type: str) -> ApiError:
    """Return the error for an unsupported MIME type; the service sends it when the upload is finalized."""
    return invalid(f"Unsupported MIME type: {mime_type}")


def not_active(file_id: str) -> ApiError:
    """Return the error for a prompt with a file that is PROCESSING or FAILED."""
    message = f"The File {file_id} is not in an ACTIVE state and usage is not allowed."
    return ApiError(400, "FAILED_PRECONDITION", message)


def unsupported_uri(uri: str) -> ApiError:
    """Return the error for a URI in a prompt that is neither a file nor a URL the model can use."""
    return invalid(f"Invalid or unsupported file uri: {uri}")


def unfetchable() -> ApiError:
    """Return the error for a URL in a prompt that cannot be fetched; some users got it for valid signed URLs."""
    return invalid("Cannot fetch content from the provided URL.")


def model_not_found(model: str, version: str, method: str = "generateContent") -> ApiError:
    """Return the error for a model that does not exist or is retired."""
    message = (
        f"models/{model} is not found for API version {version}, or is not supported for {method}. "
        "Call ListModels to see the list of available models and their supported methods."
    )
    return ApiError(404, "NOT_FOUND", message)


def no_key() -> ApiError:
    """Return the error for a request without an API key."""
    message = (
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API."
    )
    return ApiError(403, "PERMISSION_DENIED", message)


def bad_key() -> ApiError:
    """Return the error for an invalid API key: a 400, not a 401."""
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
    """Return the error for a full storage: a 429, although waiting does not help. The limit is in bytes."""
    message = (
        f"{_QUOTA_TEXT}\n"
        f"* Quota exceeded for metric: generativelanguage.googleapis.com/file_storage_bytes, limit: {limit}"
    )
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/file_storage_bytes",
        "quotaId": "FileStorageBytesPerProject",
        "quotaValue": str(limit),
    }
    return _quota_exceeded(message, violation, _INT64_MAX_SECONDS)


def stores_full(limit: int) -> ApiError:
    """Return the error for full file search stores, as of a full storage: the service's own form is not known."""
    metric = "generativelanguage.googleapis.com/file_search_storage_bytes"
    violation = {
        "quotaMetric": metric,
        "quotaId": "FileSearchStorageBytesPerProject",
        "quotaValue": str(limit),
    }
    message = f"{_QUOTA_TEXT}\n* Quota exceeded for metric: {metric}, limit: {limit}"
    return _quota_exceeded(message, violation, _INT64_MAX_SECONDS)


def terminated(upload_status: str | None = None) -> TextError:
    """Return the error for bytes that are sent to an ended session: a 400 that requires a new session."""
    return TextError(400, "Upload has already been terminated.", upload_status)


def outage() -> TextError:
    """Return the error of an upload endpoint that is down: a 503 with an empty body."""
    return TextError(503, "")


def overloaded() -> ApiError:
    """Return the error of an overloaded model."""
    return ApiError(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")


def internal() -> ApiError:
    """Return the error that some users got for a file that was just uploaded."""
    return ApiError(500, "INTERNAL", "Failed to convert server response to JSON")


def exhausted() -> ApiError:
    """Return the error for too many requests, in its form without details."""
    return ApiError(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")


def rate_limit(retry_seconds: float, model: str = _MODEL) -> ApiError:
    """Return the error for too many requests a minute; its RetryInfo gives the delay."""
    return _quota_exceeded(_QUOTA_TEXT, _requests_violation("Minute", 5, model), f"{retry_seconds:g}s")


def daily_quota(retry_seconds: float, model: str = _MODEL) -> ApiError:
    """Return the error for too many requests a day; its RetryInfo is as short as that of a rate limit."""
    message = f"{_QUOTA_TEXT}\n* Quota exceeded for metric: {_REQUESTS_METRIC}, limit: 250, model: {model}"
    return _quota_exceeded(message, _requests_violation("Day", 250, model), f"{retry_seconds:g}s")


def no_quota(retry_seconds: float, model: str = _MODEL) -> ApiError:
    """Return the error for a model that the project's plan does not include: a quota of 0 requests a day."""
    message = f"{_QUOTA_TEXT}\n* Quota exceeded for metric: {_REQUESTS_METRIC}, limit: 0, model: {model}"
    return _quota_exceeded(message, _requests_violation("Day", 0, model), f"{retry_seconds:g}s")


def no_free_tier(retry_seconds: float, model: str = "Gemini 2.5 Pro Preview") -> ApiError:
    """Return the error for a free project that uses a paid model; it has a RetryInfo although waiting does not help."""
    message = (
        f"{model} doesn't have a free quota tier. For more information on this error, head to: "
        "https://ai.google.dev/gemini-api/docs/rate-limits."
    )
    return _quota_exceeded(message, {}, f"{retry_seconds:g}s")


def no_batches(retry_seconds: float, model: str = _MODEL) -> ApiError:
    """Return the error for a batch of a free project: a quota of 0 tokens; the metric's own name is not known."""
    metric = "generativelanguage.googleapis.com/batch_enqueued_tokens_free_tier"
    violation = {
        "quotaMetric": metric,
        "quotaId": "BatchEnqueuedTokensPerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": "0",
    }
    message = f"{_QUOTA_TEXT}\n* Quota exceeded for metric: {metric}, limit: 0, model: {model}"
    return _quota_exceeded(message, violation, f"{retry_seconds:g}s")


def batch_quota() -> ApiError:
    """
    Return the error for too many batches, or too many tokens in them.

    Reports of it neither name the limit nor have a RetryInfo.
    """
    message = f"{_QUOTA_TEXT} To monitor your current usage, head to: https://ai.dev/rate-limit. "
    return ApiError(429, "RESOURCE_EXHAUSTED", message, [{"@type": f"{_TYPE}Help", "links": [_QUOTA_LINK]}])


def credits_depleted() -> ApiError:
    """Return the error for a prepaid project without credits; it has no details."""
    message = (
        "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to manage your "
        "project and billing."
    )
    return ApiError(429, "RESOURCE_EXHAUSTED", message)


def suspended(key: str) -> ApiError:
    """Return the error for a suspended key, whose message and details repeat the key."""
    info = _error_info("CONSUMER_SUSPENDED")
    info["metadata"]["containerInfo"] = f"api_key:{key}"
    message = f"Permission denied: Consumer 'api_key:{key}' has been suspended."
    return ApiError(403, "PERMISSION_DENIED", message, [info])


def forbidden(reason: str | None = None) -> ApiError:
    """
    Return the error for a key that may not use this service.

    :param reason: reason in the details, such as ``API_KEY_SERVICE_BLOCKED``; None: no details.
    """
    details = [_error_info(reason)] if reason else None
    return ApiError(403, "PERMISSION_DENIED", "The caller does not have permission", details)


def short_deadline(seconds: float) -> ApiError:
    """Return the error for a client deadline under ten seconds."""
    message = f"Manually set deadline {seconds:g}s is too short. Minimum allowed deadline is 10s."
    return invalid(message)


def overloaded_credentials() -> ApiError:
    """Return the error for an API key together with a bearer token."""
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
    """Return the error for a missing bearer token."""
    message = (
        "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other "
        "valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    return ApiError(401, "UNAUTHENTICATED", message)


def no_download(file_id: str) -> ApiError:
    """Return the error for the download of an uploaded file; the service's own words are not known."""
    return invalid(f"The File {file_id} was uploaded and cannot be downloaded; only generated files can.")


def no_access(kind: str, item_id: str) -> ApiError:
    """Return the error for another kind of resource that does not exist or belongs to another project."""
    message = f"You do not have permission to access the {kind} {item_id} or it may not exist."
    return ApiError(403, "PERMISSION_DENIED", message)


def no_cache() -> ApiError:
    """Return the error for a cached content that does not exist or has expired."""
    return ApiError(403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)")


def no_caching(model: str) -> ApiError:
    """Return the error for a model without explicit caching; the service's own words are not known."""
    return invalid(f"Model models/{model} does not support cached content.")


def cache_too_small(count: int, minimum: int) -> ApiError:
    """Return the error for a content that has too few tokens to be cached."""
    return invalid(f"Cached content is too small. total_token_count={count}, min_total_token_count={minimum}")


def cache_with_settings() -> ApiError:
    """Return the error for a request that sets what only its cached content may set, even if it is the same."""
    message = (
        "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config."
        "\n\nProposed fix: move those values to CachedContent from GenerateContent request."
    )
    return invalid(message)


def cache_of_other_model(model: str, cache_model: str) -> ApiError:
    """Return the error for a cached content that was created for another model; both with ``models/``."""
    message = f"Model used by GenerateContent request ({model}) and CachedContent ({cache_model}) has to be the same."
    return invalid(message)


def no_object_access(uri: str) -> ApiError:
    """Return the error for an object that the service agent may not read; the service's own words are not known."""
    message = f"The service agent does not have storage.objects.get access to {uri}, or it may not exist."
    return ApiError(403, "PERMISSION_DENIED", message)


def not_found(message: str) -> ApiError:
    """Return the error for a missing resource of a kind for which the service reports 404."""
    return ApiError(404, "NOT_FOUND", message)


def precondition(message: str) -> ApiError:
    """Return the error for an operation that the resource's state does not allow."""
    return ApiError(400, "FAILED_PRECONDITION", message)


def unimplemented(message: str) -> ApiError:
    """Return the error for something that the service can do and the emulator cannot."""
    return ApiError(501, "UNIMPLEMENTED", message)


def failed(error: Exception) -> ApiError:
    """Return the error for an exception in the emulator: a bug, or a request shape that no client sends."""
    return ApiError(500, "INTERNAL", f"The emulator failed: {error!r}")


def _requests_violation(period: str, limit: int, model: str) -> dict[str, Any]:
    return {
        "quotaMetric": _REQUESTS_METRIC,
        "quotaId": f"GenerateRequestsPer{period}PerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": str(limit),
    }


def _quota_exceeded(message: str, violation: dict[str, Any], retry_delay: str) -> ApiError:
    details: list[dict[str, Any]] = [
        {"@type": f"{_TYPE}QuotaFailure", "violations": [violation]},
        {"@type": f"{_TYPE}Help", "links": [_QUOTA_LINK]},
        {"@type": f"{_TYPE}RetryInfo", "retryDelay": retry_delay},
    ]
    return ApiError(429, "RESOURCE_EXHAUSTED", message, details)
