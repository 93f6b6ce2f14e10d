"""The error answers of the service, each in one place, with the body users report."""

from __future__ import annotations

from typing import Any

_TYPE = "type.googleapis.com/google.rpc."
_INT64_MAX_SECONDS = "9223372036854775807s"


class ApiError(Exception):
    """An error answer: HTTP status, gRPC status name, message and details."""

    def __init__(self, code: int, status: str, message: str, details: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.details = details or []

    def body(self) -> dict[str, Any]:
        """Return the JSON envelope; ``details`` is left out when there are none."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = self.details
        return {"error": error}


class UploadError(Exception):
    """An error of the upload back end, which answers plain text and an upload status."""

    def __init__(self, code: int, message: str, upload_status: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.upload_status = upload_status


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


def model_not_found(model: str, version: str) -> ApiError:
    """Answer for a model that does not exist or is retired."""
    message = (
        f"models/{model} is not found for API version {version}, or is not supported for generateContent. "
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
            {
                "@type": f"{_TYPE}ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            },
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
    link = {
        "description": "Learn more about Gemini API quotas",
        "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
    }
    return ApiError(
        429,
        "RESOURCE_EXHAUSTED",
        message,
        [
            {"@type": f"{_TYPE}QuotaFailure", "violations": [violation]},
            {"@type": f"{_TYPE}Help", "links": [link]},
            {"@type": f"{_TYPE}RetryInfo", "retryDelay": _INT64_MAX_SECONDS},
        ],
    )
