"""The provider's metadata; Airflow reads it at start-up, so nothing heavy is imported here."""

from __future__ import annotations

from typing import Any

from airflow_provider_gemini_files.hooks.extras import connection_type

_PACKAGE = "airflow_provider_gemini_files"
_INTEGRATION = "Google Gemini Files"

#: Resources with operators, sensors and triggers.
_RESOURCES = ("files", "batches", "file_search", "storage")
#: The pages that say how to use them.
_GUIDES = (
    *("connection", "uploads", "ways_in", "content", "caches", "batches", "file_search", "storage", "ui"),
    *("testing", "emulator", "cookbook", "maintenance", "own_code"),
)


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _INTEGRATION, "python-modules": [f"{_PACKAGE}.{name}" for name in names]}]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, by Airflow's schema."""
    return {
        "package-name": "airflow-provider-gemini-files",
        "name": _INTEGRATION,
        "description": "Upload files to the Gemini API, ask models about them, and clean up.",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://ai.google.dev/gemini-api/docs/files",
                "how-to-guide": [f"/docs/{guide}.md" for guide in _GUIDES],
                "logo": "/docs/images/logo.svg",
                "tags": ["google", "ai"],
            }
        ],
        "hooks": _modules("hooks.gemini_files"),
        "operators": _modules(*(f"operators.{name}" for name in ("content", "caches", *_RESOURCES))),
        "sensors": _modules(*(f"sensors.{name}" for name in _RESOURCES)),
        "triggers": _modules(*(f"triggers.{name}" for name in _RESOURCES)),
        "notifications": [f"{_PACKAGE}.notifications.storage.GeminiStorageAlert"],
        "cli": [f"{_PACKAGE}.cli.get_commands"],
        "bundles": _modules("dags.bundle"),
        "connection-types": [connection_type()],
        "asset-uris": [
            {
                "schemes": ["gemini-files"],
                "handler": f"{_PACKAGE}.assets.sanitize_uri",
                "factory": f"{_PACKAGE}.assets.create_asset",
                "to_openlineage_converter": f"{_PACKAGE}.assets.to_openlineage",
            }
        ],
        "config": {
            "gemini_files": {
                "description": "Settings of the Gemini Files provider.",
                "options": {
                    "deployment": {
                        "description": "Identity of this Airflow deployment, part of the mark of each uploaded file: "
                        "up to 32 letters, digits, dots, dashes and underscores. If empty, it is created once and kept "
                        "in the Airflow Variable gemini_files_deployment.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "production",
                        "default": "",
                    },
                    "allowed_local_paths": {
                        "description": "Directories, separated by commas, outside of which no local file is uploaded. "
                        "If empty, any file that the worker can read is.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/data/landing,/data/archive",
                        "default": "",
                    },
                    "prices_file": {
                        "description": "JSON file with the prices of models, from which the page and the command line "
                        "compute what calls have cost. It is read by the API server and the command line, and by "
                        "workers that have it, for metrics and events of assets. If empty, only tokens are told.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/etc/airflow/gemini_prices.json",
                        "default": "",
                    },
                },
            }
        },
        "task-decorators": [{"name": "gemini", "class-name": f"{_PACKAGE}.decorators.content.gemini_task"}],
        "extra-links": [
            f"{_PACKAGE}.links.Gemini{name}Link" for name in ("File", "FileSearchStore", "Batch", "CleanupReport")
        ],
    }
