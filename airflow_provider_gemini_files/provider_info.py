"""What Airflow is told about this provider; read at start-up, so nothing heavy is imported here."""

from __future__ import annotations

from typing import Any

from airflow_provider_gemini_files.files.limits import DEFAULT_QUOTA_BYTES, MIN_TIMEOUT_SECONDS

_PACKAGE = "airflow_provider_gemini_files"
_INTEGRATION = "Google Gemini Files"

#: The connection form; Airflow 3.2 and later read it here, 3.1 through the hook.
CONNECTION_TYPE: dict[str, Any] = {
    "connection-type": "gemini",
    "hook-class-name": f"{_PACKAGE}.hooks.gemini_files.GeminiFilesHook",
    "hook-name": "Google Gemini API",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "login"],
        "relabeling": {"password": "API key", "host": "Base URL"},
        "placeholders": {
            "password": "empty: GEMINI_API_KEY or GOOGLE_API_KEY of the workers",
            "host": "https://generativelanguage.googleapis.com",
        },
    },
    "conn-fields": {
        "api_version": {
            "label": "API version",
            "description": "Version in the path of every call.",
            "schema": {"type": ["string", "null"], "enum": ["v1beta", "v1", "v1alpha"], "default": "v1beta"},
        },
        "model": {
            "label": "Default model",
            "description": "Model of tasks that name none.",
            "schema": {"type": ["string", "null"]},
        },
        "quota_bytes": {
            "label": "Storage quota (bytes)",
            "description": "Storage of the key's project; Google gives 20 GiB.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "default": DEFAULT_QUOTA_BYTES},
        },
        "timeout": {
            "label": "Timeout (seconds)",
            "description": "For one request of an upload or an answer; the service refuses less than 10.",
            "schema": {"type": ["number", "null"], "minimum": MIN_TIMEOUT_SECONDS, "default": 600},
        },
        "max_retries": {
            "label": "Retries of a request",
            "description": "How often a request that failed on the way is sent again within one try of a task.",
            "schema": {"type": ["integer", "null"], "minimum": 0, "default": 4},
        },
    },
}


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _INTEGRATION, "python-modules": [f"{_PACKAGE}.{name}" for name in names]}]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, by Airflow's schema."""
    return {
        "package-name": "airflow-provider-gemini-files",
        "name": _INTEGRATION,
        "description": "The life of a Gemini API file: upload, wait, generate, delete.",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://ai.google.dev/gemini-api/docs/files",
                "tags": ["google", "ai"],
            }
        ],
        "hooks": _modules("hooks.gemini_files"),
        "operators": _modules("operators.files", "operators.content", "operators.storage"),
        "sensors": _modules("sensors.files", "sensors.storage"),
        "triggers": _modules("triggers.files", "triggers.storage"),
        "cli": [f"{_PACKAGE}.cli.get_commands"],
        "bundles": _modules("dags.bundle"),
        "connection-types": [CONNECTION_TYPE],
        "asset-uris": [
            {
                "schemes": ["gemini-files"],
                "handler": f"{_PACKAGE}.assets.sanitize_uri",
                "factory": f"{_PACKAGE}.assets.create_asset",
                "to_openlineage_converter": f"{_PACKAGE}.assets.to_openlineage",
            }
        ],
        "task-decorators": [{"name": "gemini", "class-name": f"{_PACKAGE}.decorators.content.gemini_task"}],
        "extra-links": [f"{_PACKAGE}.links.GeminiFileLink", f"{_PACKAGE}.links.GeminiCleanupReportLink"],
    }
