"""The only module that speaks to google-genai; it is imported when the first call to a model is made."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import pydantic
from google import genai
from google.genai import errors, types

from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.files.answers import error_from_answer, no_answer
from airflow_provider_gemini_files.hooks.connection import GeminiConnection

_Model = TypeVar("_Model", bound=pydantic.BaseModel)
#: For counting, which generates nothing; the connection's timeout is for uploads and answers.
_QUICK = types.HttpOptions(timeout=60_000)


def _transport_errors() -> tuple[type[Exception], ...]:
    """Return what the SDK lets through when the line breaks: 2.x speaks httpx, 3.x httpx2, aiohttp if it is there."""
    found: list[type[Exception]] = [OSError]
    for module, name in (("httpx", "TransportError"), ("httpx2", "TransportError"), ("aiohttp", "ClientError")):
        try:
            found.append(getattr(importlib.import_module(module), name))
        except ImportError:
            continue
    return tuple(found)


_LINE_ERRORS = _transport_errors()


def build_client(connection: GeminiConnection) -> genai.Client:
    """Return a client that reads nothing from the environment: version and host are the connection's."""
    return genai.Client(
        vertexai=False,
        api_key=connection.api_key,
        http_options=types.HttpOptions(
            base_url=connection.base_url,
            api_version=connection.api_version,
            timeout=round(connection.timeout * 1000),
            # The key would go along.
            client_args={"follow_redirects": False},
            async_client_args={"follow_redirects": False},
        ),
    )


@contextmanager
def _our_errors(doing: str) -> Iterator[None]:
    """
    Raise the error of our tree that an error of the SDK means: of the service, of the line, or of what was given.

    :param doing: what is tried, for the message.
    """
    try:
        yield
    except errors.APIError as error:
        details = error.details if isinstance(error.details, Mapping) else str(error.message or "")
        headers = getattr(error.response, "headers", None) or {}
        location = headers.get("location")
        raise error_from_answer(error.code, details, doing, headers.get("retry-after"), location) from error
    except _LINE_ERRORS as error:
        raise no_answer(error, doing) from error
    except (json.JSONDecodeError, errors.UnknownApiResponseError, pydantic.ValidationError) as error:
        raise GeminiServiceError(
            f"Cannot {doing}: the answer cannot be read ({error}). A retry can succeed."
        ) from error
    except ValueError as error:
        # Fields that only another of Google's APIs has are refused when the request is written.
        raise GeminiInputError(f"Cannot {doing}: generation_config cannot be sent: {error}") from error


def generate_content(
    client: genai.Client, model: str, turns: list[dict[str, Any]], config: types.GenerateContentConfig
) -> dict[str, Any]:
    """Ask a model; return its answer in REST spelling."""
    contents: list[Any] = content_of(turns)
    with _our_errors(f"generate content with {model}"):
        response = client.models.generate_content(model=model, contents=contents, config=config)
    return response.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"parsed", "sdk_http_response"})


def count_tokens(client: genai.Client, model: str, turns: list[dict[str, Any]]) -> int:
    """Count the tokens of what would be asked."""
    contents: list[Any] = content_of(turns)
    config = types.CountTokensConfig(http_options=_QUICK)
    with _our_errors(f"count tokens with {model}"):
        return client.models.count_tokens(model=model, contents=contents, config=config).total_tokens or 0


def content_of(turns: list[dict[str, Any]]) -> list[types.Content]:
    """
    Check turns with the SDK's own types.

    :raises GeminiInputError: naming each field that is wrong.
    """
    return [_checked(types.Content, turn, "contents") for turn in turns]


def content_config(
    given: Mapping[str, Any] | None, system_instruction: str | None, json_schema: dict[str, Any] | None = None
) -> types.GenerateContentConfig:
    """
    Check a configuration with the SDK's own types.

    :param json_schema: what the answer is to follow.
    :raises GeminiInputError: naming each field that is wrong.
    """
    # Tools here are declarations, never Python functions that the SDK could call by itself.
    fields = {"automatic_function_calling": {"disable": True}, **(given or {})}
    if system_instruction is not None:
        fields["system_instruction"] = system_instruction
    if json_schema is not None:
        fields |= {"response_mime_type": "application/json", "response_json_schema": json_schema}
    return _checked(types.GenerateContentConfig, fields, "generation_config")


def _checked(kind: type[_Model], fields: Mapping[str, Any], what: str) -> _Model:
    try:
        return kind.model_validate(fields)
    except pydantic.ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise GeminiInputError(f"{what} is not valid: {wrong}.") from error
