"""The schema that an answer must follow, given in one of three ways, and the check of an answer against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from airflow_provider_gemini_files.content.json_text import read_json
from airflow_provider_gemini_files.exceptions import GeminiInputError

#: Errors that are reported for one answer; the model needs no more to correct it.
_MAX_ERRORS = 10


@dataclass(frozen=True)
class Schema:
    """
    What an answer must look like.

    :param json_schema: the JSON schema that is sent to the service.
    :param validate: returns the JSON value of a text that follows the schema, else raises ValueError.
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
        """Return the JSON value of an answer and None; or None and what is wrong with it, one line for each place."""
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
        value, json_text = read_json(text)
        try:
            return _as_the_model_reads_it(adapter, adapter.validate_json(json_text), value)
        except pydantic.ValidationError as error:
            # Without the input, which would be repeated in each error.
            wrong = [
                _line(entry["loc"], entry["msg"]) for entry in error.errors(include_url=False, include_input=False)
            ]
            raise ValueError("\n".join(wrong[:_MAX_ERRORS])) from None

    return Schema(json_schema, validate)


def _as_the_model_reads_it(adapter: Any, instance: Any, answered: Any) -> Any:
    """
    Return an instance as JSON from which the model reads the same instance.

    Aliases for reading and for writing can differ, so each way of writing is tried. If none can be read back, what the
    model answered is returned, which was read just now.
    """
    for by_alias in (True, False):
        try:
            written = adapter.dump_json(instance, by_alias=by_alias)
            read_back = adapter.validate_json(written)
            if adapter.dump_json(read_back, by_alias=by_alias) == written:
                return read_json(written.decode())[0]
        except ValueError:
            continue
    return answered


def _of_json_schema(json_schema: dict[str, Any]) -> Schema:
    import jsonschema

    kind = jsonschema.Draft202012Validator
    try:
        kind.check_schema(json_schema)
    except jsonschema.SchemaError as error:
        raise GeminiInputError(
            f"response_schema is not a valid JSON schema: {_line(error.path, error.message)}. Types are written in "
            "lower case, as in {'type': 'object'}."
        ) from error

    def validate(text: str) -> Any:
        value, _ = read_json(text)
        try:
            errors = sorted(kind(json_schema).iter_errors(value), key=lambda error: list(map(str, error.path)))
        except RecursionError:
            raise ValueError("nested too deep to be checked against the schema") from None
        if errors:
            raise ValueError("\n".join(_line(error.path, error.message) for error in errors[:_MAX_ERRORS]))
        return value

    return Schema(json_schema, validate)


def _line(path: Any, message: str) -> str:
    where = ".".join(map(str, path))
    return f"{where}: {message}" if where else message
