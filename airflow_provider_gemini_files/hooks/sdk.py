"""The only module that speaks to google-genai; it is imported when the first call is made."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import pydantic
from google import genai
from google.genai import errors, types

from airflow_provider_gemini_files.exceptions import GeminiFilesError, GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.files.answers import error_from_answer
from airflow_provider_gemini_files.files.limits import LIST_PAGE_SIZE
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.connection import GeminiConnection

#: For a call that only reads or writes metadata; the connection's timeout is for uploads and answers.
_FILE_CALL = types.HttpOptions(timeout=60_000)


def _transport_errors() -> tuple[type[Exception], ...]:
    """Return what the SDK lets through when the line breaks: 2.x speaks httpx, 3.x httpx2, aiohttp if it is there."""
    found: list[type[Exception]] = [OSError]
    for module, name in (("httpx", "TransportError"), ("httpx2", "TransportError"), ("aiohttp", "ClientError")):
        try:
            found.append(getattr(importlib.import_module(module), name))
        except ImportError:
            continue
    return tuple(found)


#: What a call of the SDK raises when the service refuses or the line breaks.
CALL_ERRORS: tuple[type[Exception], ...] = (errors.APIError, *_transport_errors())


def build_client(connection: GeminiConnection) -> genai.Client:
    """Return a client that reads nothing from the environment: version and host are the connection's."""
    return genai.Client(
        vertexai=False,
        api_key=connection.api_key,
        http_options=types.HttpOptions(
            base_url=connection.base_url,
            api_version=connection.api_version,
            timeout=round(connection.timeout * 1000),
        ),
    )


def error_of(error: Exception, doing: str) -> GeminiFilesError:
    """
    Return the error of our tree that one of :data:`CALL_ERRORS` means.

    :param doing: what was tried, for the message: ``"get files/abc"``.
    """
    if isinstance(error, errors.APIError):
        details = error.details if isinstance(error.details, Mapping) else str(error.message or "")
        return error_from_answer(error.code, details, doing)
    return GeminiServiceError(f"Cannot {doing}: the service cannot be reached ({type(error).__name__}: {error}).")


def get_file(client: genai.Client, name: str) -> GeminiFile:
    """Ask for a file."""
    return _file(client.files.get(name=name, config=types.GetFileConfig(http_options=_FILE_CALL)))


async def aget_file(client: genai.Client, name: str) -> GeminiFile:
    """Ask for a file from an event loop."""
    return _file(await client.aio.files.get(name=name, config=types.GetFileConfig(http_options=_FILE_CALL)))


async def alist_pages(client: genai.Client, names: Collection[str] | None = None) -> AsyncIterator[list[GeminiFile]]:
    """Ask for all files from an event loop; yield for each page those of some names, or all where None."""
    config = types.ListFilesConfig(page_size=LIST_PAGE_SIZE, http_options=_FILE_CALL)
    pager = await client.aio.files.list(config=config)
    while True:
        # Only what is wanted is converted: most of a long list is not.
        yield [_file(file) for file in pager.page if names is None or file.name in names]
        try:
            await pager.next_page()
        except IndexError:
            return


def list_files(client: genai.Client) -> list[GeminiFile]:
    """Ask for all files, page after page."""
    config = types.ListFilesConfig(page_size=LIST_PAGE_SIZE, http_options=_FILE_CALL)
    # By name, as a file can come again on the next page when others are uploaded meanwhile.
    return list({str(file.name): _file(file) for file in client.files.list(config=config)}.values())


def ping(client: genai.Client) -> None:
    """Make the cheapest call that needs a valid key and a Files API."""
    client.files.list(config=types.ListFilesConfig(page_size=1, http_options=_FILE_CALL))


def delete_file(client: genai.Client, name: str) -> None:
    """Delete a file."""
    client.files.delete(name=name, config=types.DeleteFileConfig(http_options=_FILE_CALL))


def generate_content(
    client: genai.Client, model: str, files: list[GeminiFile], prompt: str, config: types.GenerateContentConfig
) -> dict[str, Any]:
    """Show a model files, then a prompt; return its answer in REST spelling."""
    shown = [types.Part.from_uri(file_uri=str(file.uri), mime_type=file.mime_type) for file in files]
    content = types.Content(role="user", parts=[*shown, types.Part.from_text(text=prompt)])
    response = client.models.generate_content(model=model, contents=content, config=config)
    return response.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"parsed", "sdk_http_response"})


def content_config(given: Mapping[str, Any] | None, system_instruction: str | None) -> types.GenerateContentConfig:
    """
    Check a configuration with the SDK's own types.

    :raises GeminiInputError: naming each field that is wrong.
    """
    # Tools here are declarations, never Python functions that the SDK could call by itself.
    fields = {"automatic_function_calling": {"disable": True}, **(given or {})}
    if system_instruction is not None:
        fields["system_instruction"] = system_instruction
    try:
        return types.GenerateContentConfig(**fields)
    except pydantic.ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise GeminiInputError(f"generation_config is not valid: {wrong}.") from error


def _file(file: types.File) -> GeminiFile:
    return GeminiFile.from_api(file.model_dump(mode="json", by_alias=True, exclude_none=True))
