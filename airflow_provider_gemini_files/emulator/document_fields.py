"""The fields of a request that creates a store or adds a document, within the service's limits."""

from __future__ import annotations

import re
import sys
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import get, get_int, get_object, get_objects, get_text
from airflow_provider_gemini_files.emulator.stores import DEFAULT_EMBEDDING_MODEL, MAX_CHUNK_TOKENS

MAX_DOCUMENT_BYTES = 100 * 1024**2
_MAX_METADATA = 20
_MAX_NAME_LENGTH = 512
_MODEL = re.compile(r"models/gemini-embedding-(001|2|2-preview)")


def check_size(size: int) -> None:
    """
    Check the size of a document.

    :param size: in bytes.
    :raises ApiError: 400 for more than 100 MiB.
    """
    if size > MAX_DOCUMENT_BYTES:
        raise errors.too_large(size, MAX_DOCUMENT_BYTES)


def check_type(mime_type: str) -> None:
    """
    Check the type of a document; how the service refuses others is not known.

    :raises ApiError: 400 for audio and video.
    """
    if mime_type.partition("/")[0].lower() in ("audio", "video"):
        raise errors.unsupported_mime(mime_type)


def read_display_name(body: dict[str, Any], kind: str) -> str | None:
    """
    Return the display name; None if it is not set.

    :param kind: name of the resource, for the error.
    :raises ApiError: 400 for more than 512 characters.
    """
    name = get_text(body, "displayName")
    if name and len(name) > _MAX_NAME_LENGTH:
        raise errors.invalid(f"* {kind}.display_name: must have at most {_MAX_NAME_LENGTH} characters.\n")
    return name


def read_embedding_model(body: dict[str, Any]) -> str:
    """
    Return the embedding model of a store.

    :raises ApiError: 400 for a model that is not one.
    """
    model = get_text(body, "embeddingModel") or DEFAULT_EMBEDDING_MODEL
    if not _MODEL.fullmatch(model):
        raise errors.invalid(f"* FileSearchStore.embedding_model: {model} is not an embedding model.\n")
    return model


def read_chunking(body: dict[str, Any]) -> tuple[int, int]:
    """
    Return the words of a chunk, and how many of them it shares with the next.

    :raises ApiError: 400 if the service does not accept them.
    """
    config = get_object(get_object(body, "chunkingConfig"), "whiteSpaceConfig")
    size, overlap = get_int(config, "maxTokensPerChunk"), get_int(config, "maxOverlapTokens") or 0
    size = MAX_CHUNK_TOKENS if size is None else size
    field = "* ChunkingConfig.white_space_config"
    if not 1 <= size <= MAX_CHUNK_TOKENS:
        raise errors.invalid(f"{field}.max_tokens_per_chunk: must be between 1 and {MAX_CHUNK_TOKENS}.\n")
    if not 0 <= overlap < size:
        raise errors.invalid(f"{field}.max_overlap_tokens: must be at least 0 and less than the tokens of a chunk.\n")
    return size, overlap


def read_metadata(body: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Return the custom metadata as the resource shows it.

    :raises ApiError: 400 for more than 20 entries, and for one without a key or with a value that is not one of text,
        number and list of texts.
    """
    entries = get_objects(body, "customMetadata")
    if len(entries) > _MAX_METADATA:
        raise errors.invalid(f"* Document.custom_metadata: must have at most {_MAX_METADATA} elements.\n")
    return [_entry(entry) for entry in entries]


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    key = get_text(entry, "key")
    if not key:
        raise errors.invalid("* Document.custom_metadata.key: must be set.\n")
    values = {name: read(entry, name) for name, read in _VALUES.items() if get(entry, name) is not None}
    if len(values) != 1:
        raise errors.invalid(f"* Document.custom_metadata: {key} must have one value.\n")
    return {"key": key, **values}


def _number(entry: dict[str, Any], name: str) -> float:
    value = get(entry, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > sys.float_info.max:
        raise errors.invalid(f'Invalid value at "{name}".')
    return value


def _texts(entry: dict[str, Any], name: str) -> dict[str, list[str]]:
    values = get(get_object(entry, name), "values") or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise errors.invalid(f'Invalid value at "{name}".')
    return {"values": values}


_VALUES = {"stringValue": get_text, "numericValue": _number, "stringListValue": _texts}
