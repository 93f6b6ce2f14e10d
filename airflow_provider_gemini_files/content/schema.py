"""The schema that an answer must follow, given in one of three ways, and the check of an answer against it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import isroutine
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from airflow_provider_gemini_files.common.redaction import storable
from airflow_provider_gemini_files.content.json_text import read_json
from airflow_provider_gemini_files.exceptions import GeminiInputError

#: Errors that are reported for one answer; the model needs no more to correct it.
_MAX_ERRORS = 10
#: Characters that are shown of a JSON schema; Airflow keeps them for the last runs of a task.
_MAX_SHOWN = 2000
#: What Airflow puts before the name of a Dag's file when it imports it as a module.
_DAG_FILE = re.compile(r"\bunusual_prefix_[0-9a-f]+_")
#: Characters of one of them.
_MAX_MESSAGE = 500
#: Keywords whose values are data, and keywords whose values have names of the author's choice.
_DATA_KEYWORDS = {"const", "default", "enum", "example", "examples"}
_NAMING_KEYWORDS = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}


@dataclass(frozen=True)
class Schema:
    """
    What an answer must look like.

    :param json_schema: the JSON schema that is sent to the service.
    :param validate: returns the JSON value of a text that follows the schema, else raises ValueError.
    :param type_name: the dotted name of the type that it was made of; None of a JSON schema.
    """

    json_schema: dict[str, Any]
    validate: Callable[[str], Any]
    type_name: str | None = None

    @classmethod
    def of(cls, given: Any) -> Schema:
        """
        Read a schema.

        :param given: a pydantic model class or another type that pydantic knows (``list[Invoice]``), the dotted path
            to one, a JSON schema as a dict, or what was read before.
        :raises GeminiInputError: for anything else.
        """
        if isinstance(given, Schema):
            return given
        if isinstance(given, Mapping):
            return _of_json_schema(dict(given))
        return _of_type(_imported(given) if isinstance(given, str) else given)

    def __str__(self) -> str:
        """Return what people are shown: the name of the type and the JSON schema, cut if it is long."""
        text = str(storable(json.dumps(self.json_schema, indent=2, ensure_ascii=False, default=str)))
        shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}\n… ({len(text)} characters)"
        return f"{self.type_name}\n{shown}" if self.type_name else shown

    def judge(self, text: str) -> tuple[Any, str | None]:
        """Return the JSON value of an answer and None; or None and what is wrong with it, one line for each place."""
        try:
            return self.validate(text), None
        except ValueError as error:
            return None, str(error)
        except Exception as error:
            # Of the author's validators, which pydantic lets through: the answer is paid for, and others follow.
            return None, f"a validator raised {type(error).__name__}: {_cut(str(error))}"


def _imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    if not module or not name:
        raise GeminiInputError(f"response_schema is the dotted path to a pydantic model, got {path!r}.")
    try:
        return getattr(import_module(module), name)
    except Exception as error:
        raise GeminiInputError(
            f"response_schema {path!r} cannot be imported on this worker ({type(error).__name__}): {error}."
        ) from error


def _of_type(kind: Any) -> Schema:
    import pydantic

    if isroutine(kind):
        # Pydantic would call it with what the model answers.
        raise GeminiInputError(f"response_schema is a pydantic model or another type; {kind!r} is a function.")
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

    return Schema(json_schema, validate, _name_of(kind))


def _name_of(kind: Any) -> str:
    """Return the dotted name of a type; Airflow imports the file of a Dag under a name that is longer than it."""
    name = f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)
    return _DAG_FILE.sub("", name)


def _as_the_model_reads_it(adapter: Any, instance: Any, answered: Any) -> Any:
    """
    Return an instance as JSON from which the model reads the same instance.

    Aliases for reading and for writing can differ, so each way of writing is tried. If none can be read back, what the
    model answered is returned, which was read just now.
    """
    for by_alias in (True, False):
        try:
            written = adapter.dump_json(instance, by_alias=by_alias)
            # Compared as Python values: those of secrets are masked in JSON.
            plain = [adapter.dump_python(one, by_alias=by_alias) for one in (adapter.validate_json(written), instance)]
            if plain[0] == plain[1]:
                return read_json(written.decode())[0]
        except ValueError:
            continue
    return answered


def _of_json_schema(json_schema: dict[str, Any]) -> Schema:
    import jsonschema

    kind = jsonschema.Draft202012Validator
    json_schema = _plain(json_schema)
    try:
        kind.check_schema(json_schema)
        # Only once, however often it is referred to.
        for referred in {id(one): one for one in _referred(json_schema)}.values():
            kind.check_schema(referred)
        # Any value will do to find references that only lead to each other.
        list(kind(json_schema).iter_errors(None))
    except RecursionError:
        raise GeminiInputError(
            "response_schema refers to itself without end, or is nested too deeply to check an answer against it."
        ) from None
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
            raise ValueError("nested too deeply to be checked against the schema") from None
        if errors:
            raise ValueError("\n".join(_line(error.path, error.message) for error in errors[:_MAX_ERRORS]))
        return value

    return Schema(json_schema, validate)


def _plain(json_schema: dict[str, Any]) -> dict[str, Any]:
    """
    Return a schema as it is sent, in which tuples are lists and all keys are texts.

    :raises GeminiInputError: if it cannot be written as JSON.
    """
    try:
        plain: dict[str, Any] = json.loads(json.dumps(json_schema, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise GeminiInputError(f"response_schema cannot be written as JSON: {error}.") from error
    return plain


def _referred(json_schema: Mapping[str, Any]) -> Iterator[Any]:
    """
    Yield what the references of a schema refer to.

    :raises GeminiInputError: for a reference that leads nowhere: the service refuses it, or it would be found only when
        an answer that was paid for is checked. Nothing is downloaded, so a reference to another document leads nowhere.
    """
    schemas = list(_subschemas(json_schema))
    # The outermost schema of a document comes first.
    documents = {base: schema for schema, base in reversed(schemas)}
    anchors = {
        f"{base}#{name}": schema for schema, base in schemas for name in _texts(schema, "$anchor", "$dynamicAnchor")
    }
    references = [(base, one) for schema, base in schemas for one in _texts(schema, "$ref", "$dynamicRef")]
    for base, reference in references:
        uri = base + reference if reference.startswith("#") else urljoin(base, reference)
        try:
            yield anchors[uri] if uri in anchors else _at(documents, uri)
        except (LookupError, ValueError):
            raise GeminiInputError(
                f"response_schema has a $ref to {reference!r}, which is not in it: refer to a part of the same schema, "
                "as in '#/$defs/Line'."
            ) from None


def _subschemas(schema: Mapping[str, Any], base: str = "") -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield a schema and those within it, each with the URI of the document that it is part of."""
    for identifier in _texts(schema, "$id"):
        base = urldefrag(urljoin(base, identifier))[0]
    yield schema, base
    for keyword, value in schema.items():
        if keyword in _DATA_KEYWORDS:
            continue
        values = value.values() if keyword in _NAMING_KEYWORDS and isinstance(value, Mapping) else value
        for inner in [values] if isinstance(values, Mapping) else values if isinstance(values, Iterable) else []:
            if isinstance(inner, Mapping):
                yield from _subschemas(inner, base)


def _texts(schema: Mapping[str, Any], *keywords: str) -> list[str]:
    return [schema[keyword] for keyword in keywords if isinstance(schema.get(keyword), str)]


def _at(documents: Mapping[str, Any], uri: str) -> Any:
    """
    Return what a URI points to, whose fragment is a JSON pointer.

    :raises LookupError: if there is nothing, or ValueError.
    """
    document, fragment = urldefrag(uri)
    found = documents[document]
    start, *tokens = unquote(fragment).split("/")
    if start:
        raise LookupError(uri)
    for token in tokens:
        key = token.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping | list):
            raise LookupError(uri)
        found = found[int(key)] if isinstance(found, list) else found[key]
    return found


def _line(path: Any, message: str) -> str:
    where = ".".join(map(str, path))
    return f"{where}: {_cut(message)}" if where else _cut(message)


def _cut(message: str) -> str:
    """Return the beginning of a message, which can quote the whole answer."""
    return message if len(message) <= _MAX_MESSAGE else f"{message[: _MAX_MESSAGE - 1]}…"
