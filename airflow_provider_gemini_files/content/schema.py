"""The schema an answer is to follow, given in three ways, and the judgement of an answer by it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from airflow_provider_gemini_files.exceptions import GeminiInputError

#: Errors of one answer that are told; a repair needs no more to see what is wrong.
_TOLD_ERRORS = 10


@dataclass(frozen=True)
class Schema:
    """
    What an answer is to look like.

    :param json_schema: what the service is told.
    :param validate: returns the JSON value of a text that follows it, else raises ValueError.
    """

    json_schema: dict[str, Any]
    validate: Callable[[str], Any]

    @classmethod
    def of(cls, given: Any) -> Schema:
        """
        Read a schema.

        :param given: a pydantic model class or another type that pydantic knows (``list[Invoice]``), the dotted path
            to one, or a JSON schema as a dict.
        :raises GeminiInputError: for anything else.
        """
        if isinstance(given, Mapping):
            return _of_json_schema(dict(given))
        return _of_type(_imported(given) if isinstance(given, str) else given)

    def judge(self, text: str) -> tuple[Any, str | None]:
        """Return the JSON value of an answer, and None; or what is wrong with it, a line for each place."""
        try:
            return self.validate(text), None
        except ValueError as error:
            return None, str(error)


def _imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    if not module or not name:
        raise GeminiInputError(f"response_schema is the dotted path to a pydantic model, got {path!r}.")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise GeminiInputError(f"response_schema {path!r} cannot be imported on this worker: {error}.") from error


def _of_type(kind: Any) -> Schema:
    import pydantic

    try:
        adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)
        json_schema = adapter.json_schema()
    except (pydantic.errors.PydanticUserError, TypeError) as error:
        raise GeminiInputError(
            "response_schema is a pydantic model, the dotted path to one, or a JSON schema as a dict; pydantic cannot "
            f"use {kind!r}: {str(error).splitlines()[0]}"
        ) from error

    def validate(text: str) -> Any:
        try:
            # By alias both ways: what comes out can be read into the model again.
            return json.loads(adapter.dump_json(adapter.validate_json(text), by_alias=True))
        except pydantic.ValidationError as error:
            # The input is left out: it is told once, and not for each error.
            wrong = [
                _line(entry["loc"], entry["msg"]) for entry in error.errors(include_url=False, include_input=False)
            ]
            raise ValueError("\n".join(wrong[:_TOLD_ERRORS])) from None

    return Schema(json_schema, validate)


def _of_json_schema(json_schema: dict[str, Any]) -> Schema:
    import jsonschema

    kind = jsonschema.Draft202012Validator
    try:
        kind.check_schema(json_schema)
    except jsonschema.SchemaError as error:
        raise GeminiInputError(
            f"response_schema is no JSON schema: {_line(error.path, error.message)}. Types are written in lower case, "
            "as in {'type': 'object'}."
        ) from error

    def validate(text: str) -> Any:
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except ValueError as error:
            raise ValueError(f"it is no JSON: {error}") from None
        errors = sorted(kind(json_schema).iter_errors(value), key=lambda error: list(map(str, error.path)))
        if errors:
            raise ValueError("\n".join(_line(error.path, error.message) for error in errors[:_TOLD_ERRORS]))
        return value

    return Schema(json_schema, validate)


def _line(path: Any, message: str) -> str:
    where = ".".join(map(str, path))
    return f"{where}: {message}" if where else message


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
