"""The only module that uses google-genai; it is imported when the first call to a model is made."""

from __future__ import annotations

import contextvars
import importlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

import pydantic
from google import genai
from google.genai import errors, types

from airflow_provider_gemini_files.common.failures import ApiResponse, error_of_response, unreachable
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.hooks.connection import GeminiConnection
from airflow_provider_gemini_files.hooks.environment import environment_error
from airflow_provider_gemini_files.transfer.certificates import ssl_context

T = TypeVar("T")
_Model = TypeVar("_Model", bound=pydantic.BaseModel)
#: Seconds for counting, which generates nothing; the connection's timeout is for uploads and answers.
_QUICK = 60.0
#: Seconds that a call may take beyond its timeout: to connect, and to send inline data.
_MARGIN = 60.0


def _exceptions(*names: str) -> tuple[type[Exception], ...]:
    """Return the exceptions of these names, of each HTTP client that the SDK may use."""
    found: list[type[Exception]] = []
    for module in ("httpx", "httpx2", "aiohttp"):
        try:
            client = importlib.import_module(module)
        except ImportError:
            continue
        found += [getattr(client, name) for name in names if hasattr(client, name)]
    return tuple(found)


_TRANSPORT_ERRORS: tuple[type[Exception], ...] = (OSError, *_exceptions("TransportError", "ClientError"))
#: The request has not been sent as a whole, so nothing was billed.
_NOT_SENT: tuple[type[Exception], ...] = (
    ConnectionRefusedError,
    *_exceptions("ConnectError", "ConnectTimeout", "PoolTimeout", "WriteError", "WriteTimeout", "UnsupportedProtocol",
                 "ProxyError", "LocalProtocolError", "ClientConnectorError"),
)  # fmt: skip
_TIMEOUTS: tuple[type[Exception], ...] = (TimeoutError, *_exceptions("ReadTimeout"))
#: What the HTTP clients raise for a proxy or certificates that cannot be used.
_UNUSABLE: tuple[type[Exception], ...] = (ImportError, OSError, ValueError, *_exceptions("InvalidURL"))
#: At least one of these is in each response of generateContent.
_RESULTS = {"candidates", "promptFeedback", "usageMetadata", "modelVersion"}


def build_client(connection: GeminiConnection) -> genai.Client:
    """
    Return a client that reads nothing from the environment: version and host are the connection's.

    :raises GeminiInputError: if the environment's proxy or certificates cannot be used.
    """
    try:
        certificates = ssl_context()
        return genai.Client(
            vertexai=False,
            api_key=connection.api_key,
            http_options=types.HttpOptions(
                base_url=connection.base_url,
                api_version=connection.api_version,
                timeout=round(connection.timeout * 1000),
                # The key would be sent along.
                client_args={"follow_redirects": False, "verify": certificates},
                # The SDK hands "ssl" on to the client that has an argument of this name.
                async_client_args={"follow_redirects": False, "verify": certificates, "ssl": certificates},
            ),
        )
    except _UNUSABLE as error:
        raise environment_error(error) from error


def _within(seconds: float, call: Callable[[], T]) -> T:
    """
    Return what a call returns.

    The timeout of the HTTP clients starts again with each byte that arrives, also within the headers, and the SDK has
    no other. So the call runs in a thread, which is left to itself when the time is over.

    :raises TimeoutError: after these seconds, and a margin.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    # As a daemon, it does not keep the task's process from ending.
    threading.Thread(target=contextvars.copy_context().run, args=(run,), name="gemini-model", daemon=True).start()
    return future.result(seconds + _MARGIN)


@contextmanager
def _our_errors(doing: str, connection: GeminiConnection, timeout: float) -> Iterator[None]:
    """
    Raise the error of our tree that an error of the SDK means: of the service, of the transport, or of the input.

    :param doing: what is attempted, for the message.
    :param timeout: seconds that the response may take.
    """
    try:
        yield
    except errors.APIError as error:
        # The error has all that the SDK's says, which would only make the traceback in the log longer.
        raise error_of_response(
            _response_of(error), doing, secrets=(connection.api_key,), key_place=connection.key_place
        ) from None
    except _TRANSPORT_ERRORS as error:
        raise _transport_failure(error, doing, connection, timeout) from error
    except (
        json.JSONDecodeError, RecursionError, errors.UnknownApiResponseError, pydantic.ValidationError,
    ) as error:  # fmt: skip
        raise GeminiServiceError(
            f"Cannot {doing}: the response cannot be read ({shown_text(error)}). A retry can succeed.", unanswered=True
        ) from error
    except ValueError as error:
        # Fields that only another of Google's APIs has are refused when the request is written.
        raise GeminiInputError(f"Cannot {doing}: generation_config cannot be sent: {error}") from error


def _response_of(error: errors.APIError) -> ApiResponse:
    """Return the response behind an error of the SDK: as it came, or as much as the SDK has kept."""
    raw = error.response
    headers = {str(name).lower(): str(value) for name, value in dict(getattr(raw, "headers", None) or {}).items()}
    try:
        body = bytes(getattr(raw, "content", b"") or b"")
    except Exception:  # the body of a streamed response may not have been read
        body = b""
    return ApiResponse(error.code, headers, body or json.dumps(error.details).encode())


def _transport_failure(
    error: Exception, doing: str, connection: GeminiConnection, timeout: float
) -> GeminiServiceError:
    if isinstance(error, _NOT_SENT):
        return unreachable(error, doing, connection.address(), (connection.api_key,))
    reason = (
        f"no answer within {timeout:g} s"
        if isinstance(error, _TIMEOUTS)
        else f"the connection broke before the answer came ({type(error).__name__}: "
        f"{shown_text(error, (connection.api_key,))})"
    )
    return GeminiServiceError(
        f"Cannot {doing}: {reason}. The request was sent to {connection.address()} and may have been carried out and "
        "billed.",
        unanswered=True,
    )


def generate_content(
    client: genai.Client,
    connection: GeminiConnection,
    model: str,
    turns: list[dict[str, Any]],
    config: types.GenerateContentConfig,
) -> dict[str, Any]:
    """
    Send a request to a model; return the JSON of its response.

    The SDK's own reading drops fields that it does not know, such as ``finishMessage``.
    """
    contents: list[Any] = content_of(turns)
    doing = f"generate content with {model}"
    raw = config.model_copy(update={"should_return_http_response": True})
    with _our_errors(doing, connection, connection.timeout):
        response = _within(
            connection.timeout,
            lambda: client.models.generate_content(model=model, contents=contents, config=raw),
        )
        body = response.sdk_http_response.body if response.sdk_http_response else None
        data = json.loads((body or "null").removeprefix("\ufeff"))
    if not isinstance(data, dict) or not _RESULTS & data.keys():
        error = ApiResponse(200, {}, (body or "").encode()).as_error()
        if error.service_error is not None:
            raise error_of_response(error, doing, secrets=(connection.api_key,))
        words = shown_text(body or "nothing", (connection.api_key,))
        raise GeminiServiceError(
            f"Cannot {doing}: the response is not the Gemini API's: {words}. A gateway may have sent it; a retry can "
            "succeed.",
            unanswered=True,
        )
    return data


def count_tokens(client: genai.Client, connection: GeminiConnection, model: str, turns: list[dict[str, Any]]) -> int:
    """Return the number of tokens of what would be sent."""
    contents: list[Any] = content_of(turns)
    config = types.CountTokensConfig(http_options=types.HttpOptions(timeout=round(_QUICK * 1000)))
    doing = f"count tokens with {model}"
    with _our_errors(doing, connection, _QUICK):
        total = _within(
            _QUICK, lambda: client.models.count_tokens(model=model, contents=contents, config=config).total_tokens
        )
    if total is None:
        raise GeminiServiceError(f"Cannot {doing}: the response has no count. A retry can succeed.")
    return total


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

    :param json_schema: what the answer has to follow.
    :raises GeminiInputError: naming each field that is wrong.
    """
    # Tools here are declarations, never Python functions that the SDK could call by itself.
    fields = {"automatic_function_calling": {"disable": True}, **(given or {})}
    if system_instruction is not None:
        fields["system_instruction"] = system_instruction
    if json_schema is not None:
        fields |= {"response_mime_type": "application/json", "response_json_schema": json_schema}
    config = _checked(types.GenerateContentConfig, fields, "generation_config")
    if odd := [tool for tool in config.tools or () if not isinstance(tool, types.Tool)]:
        raise GeminiInputError(
            f"generation_config cannot be written as JSON: {odd[0]!r} is no tool. Declare functions as JSON."
        )
    return config


def can_continue(config: types.GenerateContentConfig) -> bool:
    """Return whether the rest of an answer that comes in pieces may be asked for, and this SDK can ask for it."""
    is_known = "continuation_token" in type(config).model_fields
    return is_known and getattr(config, "automatic_continuation", None) is not False


def continued(config: types.GenerateContentConfig, token: str) -> types.GenerateContentConfig:
    """Return the configuration of the request for the next piece of an answer; the token is sent as it came."""
    return config.model_copy(update={"continuation_token": token})


def _checked(kind: type[_Model], fields: Mapping[str, Any], what: str) -> _Model:
    try:
        return kind.model_validate(fields)
    except pydantic.ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise GeminiInputError(f"{what} is not valid: {wrong}.") from error


#: Fields of a configuration that are beside ``generationConfig`` in a request.
_BESIDE = (
    "systemInstruction", "tools", "toolConfig", "safetySettings", "cachedContent", "labels", "serviceTier",
    "continuationToken", "store",
)  # fmt: skip
#: Fields that the SDK itself acts on.
_OF_SDK = ("automaticFunctionCalling", "automaticContinuation", "httpOptions", "shouldReturnHttpResponse")
#: Fields that only another of Google's APIs has; the SDK refuses them.
_ELSEWHERE = (
    "routingConfig", "modelSelectionConfig", "audioTimestamp", "modelArmorConfig", "generationOutputConfig",
    "safetySettings.method", "toolConfig.functionCallingConfig.streamFunctionCallArguments",
    "imageConfig.personGeneration", "imageConfig.prominentPeople", "imageConfig.outputMimeType",
    "imageConfig.outputCompressionQuality", "imageConfig.imageOutputOptions",
    "tools.retrieval", "tools.enterpriseWebSearch", "tools.parallelAiSearch", "tools.exaAiSearch",
    "tools.googleSearch.blockingConfidence", "tools.googleSearch.excludeDomains", "tools.googleMaps.groundingTypes",
)  # fmt: skip


def request_json(turns: list[dict[str, Any]], config: types.GenerateContentConfig) -> dict[str, Any]:
    """
    Return the JSON of a request as the SDK would send it; the SDK has no public way to write one.

    :raises GeminiInputError: for a field that this API does not have.
    """
    fields = _fields_of(config)
    if wrong := [path for path in _ELSEWHERE if _has(fields, path.split("."))]:
        raise GeminiInputError(f"generation_config has {', '.join(wrong)}, which the Gemini API does not have.")
    for name in _OF_SDK:
        fields.pop(name, None)
    if config.system_instruction is not None:
        fields["systemInstruction"] = _instruction(config.system_instruction)
    if (cache := fields.get("cachedContent")) and "/" not in cache:
        fields["cachedContent"] = f"cachedContents/{cache}"
    if isinstance(voice := fields.get("speechConfig"), str):
        fields["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
    request = {"contents": [_json(content) for content in content_of(turns)]}
    request |= {name: fields.pop(name) for name in _BESIDE if name in fields}
    return request | ({"generationConfig": fields} if fields else {})


def _has(value: Any, path: list[str]) -> bool:
    """Return whether there is something at a path of keys, in any item of the lists on it."""
    if isinstance(value, list):
        return any(_has(one, path) for one in value)
    return not path or (isinstance(value, dict) and path[0] in value and _has(value[path[0]], path[1:]))


def _fields_of(config: types.GenerateContentConfig) -> dict[str, Any]:
    if isinstance(config.response_schema, dict):
        schema = _checked(types.Schema, config.response_schema, "response_schema of generation_config")
        config = config.model_copy(update={"response_schema": schema})
    try:
        return _json(config)
    except ValueError as error:
        raise GeminiInputError(
            f"generation_config cannot be written as JSON: {error}. Declare functions as JSON, and pass a class as "
            "response_schema of the operator."
        ) from error


def _instruction(given: Any) -> dict[str, Any]:
    """Return a system instruction as content; it can be given as a text, a part, or a list of these."""
    if isinstance(given, types.Content):
        return _json(given)
    parts = [
        types.Part(text=one) if isinstance(one, str) else one for one in (given if isinstance(given, list) else [given])
    ]
    return {"parts": [_json(part) for part in parts], "role": "user"}


def _json(model: pydantic.BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)
