"""Reading settings with pydantic, with errors in the words of this project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from airflow_provider_gemini_files.exceptions import GeminiInputError

Model = TypeVar("Model", bound=BaseModel)


def input_error(error: ValidationError, model: type[BaseModel], where: str) -> GeminiInputError:
    """
    Return one sentence for each wrong field: its name, what is expected, and what was given.

    :param where: what the fields belong to, as in ``"Connection 'x': extra"``.
    """
    told = "; ".join(dict.fromkeys(_told(entry, model) for entry in error.errors(include_url=False)))
    return GeminiInputError(f"{where} {told}.")


def read_settings(model: type[Model], given: Mapping[str, Any], where: str) -> Model:
    """
    Return the settings.

    :param where: see :func:`input_error`.
    :raises GeminiInputError: if a field is unknown or its value cannot be used.
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise input_error(error, model, where) from None


def _told(entry: Any, model: type[BaseModel]) -> str:
    if not entry["loc"]:
        return str(entry["msg"]).removeprefix("Value error, ").rstrip(".")
    name = str(entry["loc"][0])
    if entry["type"] == "extra_forbidden":
        return f"{name} is unknown; there are {', '.join(model.model_fields)}"
    extra = model.model_fields[name].json_schema_extra
    expected = extra.get("expected") if isinstance(extra, dict) else None
    reason = f"must be {expected}" if expected else str(entry["msg"])
    return f"{name} {reason}; got {entry['input']!r}"
