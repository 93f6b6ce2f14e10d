"""The fields of a Gemini connection: the one source of the form, of the reading and of the table in docs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from airflow_provider_gemini_files.common.limits import DEFAULT_QUOTA_BYTES, MIN_TIMEOUT_SECONDS

CONN_TYPE = "gemini"
HOOK_NAME = "Google Gemini API"
DEFAULT_CONN_ID = "gemini_default"
DEFAULT_HOST = "https://generativelanguage.googleapis.com"
#: The model of Google's own examples in November 2026.
DEFAULT_MODEL = "gemini-3.8-flash"
#: Read in this order if the connection has no key.
KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")


def _no_bool(value: Any) -> Any:
    """Refuse true and false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


class ConnectionExtras(BaseModel):
    """The extras of a connection; any other is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_version: Annotated[
        str, Field(title="API version", pattern=r"^v\d+[a-z0-9]*$", examples=["v1beta", "v1", "v1alpha"])
    ] = Field(
        "v1beta",
        description="API version, part of every URL.",
        json_schema_extra={"expected": "a version like 'v1beta'"},
    )
    model: str = Field(
        DEFAULT_MODEL,
        title="Default model",
        min_length=1,
        description="Model for tasks that do not set one.",
        json_schema_extra={"expected": "the name of a model"},
    )
    quota_bytes: Annotated[int, BeforeValidator(_no_bool)] = Field(
        DEFAULT_QUOTA_BYTES,
        title="Storage quota (bytes)",
        ge=1,
        description="Size of the project's storage in bytes; Google provides 20 GiB.",
        json_schema_extra={"expected": "a whole number of bytes, at least 1"},
    )
    timeout: Annotated[float, BeforeValidator(_no_bool)] = Field(
        600.0,
        title="Timeout (seconds)",
        ge=MIN_TIMEOUT_SECONDS,
        # Ten years; also keeps infinity and NaN out.
        le=10 * 365 * 86_400,
        allow_inf_nan=False,
        description=f"Seconds for a request of an upload or to a model; at least {MIN_TIMEOUT_SECONDS}.",
        json_schema_extra={"expected": f"a number of seconds, at least {MIN_TIMEOUT_SECONDS}"},
    )
    max_retries: Annotated[int, BeforeValidator(_no_bool)] = Field(
        4,
        title="Retries of a request",
        ge=0,
        le=100,
        description="How often a failed request is repeated within an attempt of a task.",
        json_schema_extra={"expected": "a whole number from 0 to 100"},
    )
    upload_via_host: bool = Field(
        False,
        title="Upload via host",
        description="Send uploads to the connection's host, not to the one the service names, as some gateways need.",
        json_schema_extra={"expected": "true or false"},
    )


def connection_type() -> dict[str, Any]:
    """Return the connection type and its form, in the form of a provider's metadata."""
    properties = ConnectionExtras.model_json_schema()["properties"]
    return {
        "connection-type": CONN_TYPE,
        "hook-class-name": "airflow_provider_gemini_files.hooks.gemini_files.GeminiFilesHook",
        "hook-name": HOOK_NAME,
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "port", "login"],
            "relabeling": {"password": "API key", "host": "Base URL"},
            "placeholders": {"password": f"empty: {' or '.join(KEY_VARIABLES)} of the workers", "host": DEFAULT_HOST},
        },
        "conn-fields": {name: _form_field(name, shape) for name, shape in properties.items()},
    }


def _form_field(name: str, shape: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: shape[key] for key in ("minimum", "maximum", "default") if key in shape}
    kept["type"] = "boolean" if shape["type"] == "boolean" else [shape["type"], "null"]
    if "examples" in shape:
        kept["enum"] = shape["examples"]
    if name == "model":
        # Empty in the form: the default of this package may move with Google's.
        del kept["default"]
    return {"label": shape["title"], "description": shape["description"], "schema": kept}
