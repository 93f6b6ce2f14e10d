"""Values that conform to a schema, for replies in JSON."""

from __future__ import annotations

import contextlib
import random
from typing import Any

from airflow_provider_gemini_files.emulator import errors

_MAX_ATTEMPTS = 20
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_KEPT = ("enum", "format", "minimum", "maximum", "pattern", "title", "description", "default", *_COUNTS)
#: In place of the library's own counter, which cannot be copied from Python 3.14 on; only its `$provider` reads it.
_STATE = {"__counter__": None}
_SNAKE = {"min_items", "max_items", "min_length", "max_length", "any_of", "property_ordering"}


def prepare() -> None:
    """Import the library if it is installed; the first import takes seconds."""
    with contextlib.suppress(ImportError):
        import jsf  # noqa: F401


def instance(schema: Any, *, seed: str, gemini: bool) -> Any:
    """
    Return a value that conforms to a schema; the same for the same seed.

    :param gemini: whether the schema is of the service's own kind (``responseSchema``), not a JSON Schema.
    :raises ApiError: 501 if the library is not installed or finds no value.
    """
    try:
        import jsonschema
        from jsf import JSF
    except ImportError:
        raise errors.unimplemented(
            "Answers that follow a schema need the extra: pip install 'airflow-provider-gemini-files[emulator]'."
        ) from None
    wanted = to_json_schema(schema) if gemini else schema
    before = random.getstate()
    try:
        random.seed(seed)
        for _ in range(_MAX_ATTEMPTS):
            value = JSF(wanted, initial_state=_STATE, allow_none_optionals=0.0).generate()
            if jsonschema.Draft202012Validator(wanted).is_valid(value):
                return value
    except Exception as error:  # any failure of the library becomes a 501
        raise errors.unimplemented(f"The emulator cannot follow this schema ({error!r}); script the answer.") from error
    finally:
        random.setstate(before)
    raise errors.unimplemented("The emulator found no value for this schema; script the answer.")


def to_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a ``responseSchema``, which has upper-case types, counts as strings and an order."""
    given = {_camel(key): value for key, value in schema.items()}
    result: dict[str, Any] = {key: given[key] for key in _KEPT if key in given}
    result |= {key: int(given[key]) for key in _COUNTS if key in given}
    if result.get("format") == "enum":
        del result["format"]
    if "type" in given:
        result["type"] = str(given["type"]).lower()
    if "items" in given:
        result["items"] = to_json_schema(given["items"])
    if "anyOf" in given:
        result["anyOf"] = [to_json_schema(option) for option in given["anyOf"]]
    if properties := given.get("properties"):
        order = [name for name in given.get("propertyOrdering", []) if name in properties]
        names = order + [name for name in properties if name not in order]
        result["properties"] = {name: to_json_schema(properties[name]) for name in names}
        # Models fill in optional properties, too.
        result["required"] = names
    return result


def _camel(key: str) -> str:
    if key not in _SNAKE:
        return key
    head, *rest = key.split("_")
    return head + "".join(word.capitalize() for word in rest)
