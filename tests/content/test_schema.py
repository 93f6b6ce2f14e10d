from __future__ import annotations

import json
import re
import sys
from types import SimpleNamespace

import pytest
from pydantic import BaseModel, Field, SecretStr, computed_field, field_validator

from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.exceptions import GeminiInputError


class Line(BaseModel):
    what: str
    amount: float = Field(ge=0, alias="sum")


class Invoice(BaseModel):
    number: str
    lines: list[Line]

    @field_validator("number")
    @classmethod
    def _digits(cls, number: str) -> str:
        if not number.isdigit():
            raise ValueError("a number has digits only")
        return number


JSON_SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "string"}, "lines": {"type": "array"}},
    "required": ["number"],
}
GOOD = '{"number": "7", "lines": [{"what": "a", "sum": 1}]}'


@pytest.mark.parametrize("given", [Invoice, "a_users_module.Invoice", JSON_SCHEMA])
def test_schema_is_accepted_in_three_forms(given, monkeypatch):
    monkeypatch.setitem(sys.modules, "a_users_module", SimpleNamespace(Invoice=Invoice))
    schema = Schema.of(given)

    assert set(schema.json_schema["properties"]) == {"number", "lines"}
    assert schema.judge(GOOD) == ({"number": "7", "lines": [{"what": "a", "sum": 1}]}, None)


class Defaults(BaseModel):
    number: str = "0"


class ValidationAlias(BaseModel):
    number: str = Field(validation_alias="invoice_no")
    lines: list[Line] = []


class OptionalValidationAlias(BaseModel):
    number: str | None = Field(None, validation_alias="invoice_no")


class BothAliases(BaseModel):
    number: str = Field(validation_alias="invoice_no", serialization_alias="no")


class ByName(BaseModel, populate_by_name=True):
    number: str = Field(validation_alias="invoice_no")


class Computed(BaseModel, extra="forbid"):
    number: str = Field(alias="invoice_no")

    @computed_field
    def label(self) -> str:
        return f"No. {self.number}"


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Invoice, GOOD),
        (ValidationAlias, '{"invoice_no": "7", "lines": [{"what": "a", "sum": 1}]}'),
        (OptionalValidationAlias, '{"invoice_no": "7"}'),
        (BothAliases, '{"invoice_no": "7"}'),
        (ByName, '{"invoice_no": "7"}'),
        (Computed, '{"invoice_no": "7"}'),
    ],
)
def test_model_reads_back_what_is_returned(model, text):
    value, wrong = Schema.of(model).judge(text)

    assert wrong is None
    assert model.model_validate(value) == model.model_validate_json(text)
    assert model.model_validate(value).number == "7"


def test_defaults_are_filled_in():
    assert Schema.of(Defaults).judge("{}") == ({"number": "0"}, None)


def test_other_types_that_pydantic_knows_are_accepted():
    assert Schema.of(list[Invoice]).judge(f"[{GOOD}]")[0][0]["number"] == "7"


@pytest.mark.parametrize(
    ("given", "text", "wrong"),
    [
        (Invoice, "no json", "^not valid JSON"),
        (Invoice, '{"number": "7"}', "lines: Field required"),
        (Invoice, '{"number": "a", "lines": []}', "number: Value error, a number has digits only"),
        (Invoice, '{"number": "7", "lines": [{"what": "a", "sum": -1}]}', r"lines\.0\.sum: "),
        (JSON_SCHEMA, "no json", "^not valid JSON"),
        (JSON_SCHEMA, '{"number": NaN}', "^not valid JSON: NaN is not a JSON number"),
        (JSON_SCHEMA, "{}", "'number' is a required property"),
        (JSON_SCHEMA, '{"number": 7}', "number: 7 is not of type 'string'"),
    ],
)
def test_answer_that_does_not_follow_the_schema_is_refused_with_the_place(given, text, wrong):
    value, problem = Schema.of(given).judge(text)

    assert value is None
    assert re.search(wrong, problem)


def test_at_most_ten_errors_are_reported():
    lines = ", ".join("{}" for _ in range(50))

    _, problem = Schema.of(Invoice).judge(f'{{"number": "7", "lines": [{lines}]}}')

    assert len(problem.splitlines()) == 10


NESTED: dict = {}
for _ in range(5000):
    NESTED = {"items": NESTED}
CIRCULAR: dict = {"type": "object"}
CIRCULAR["properties"] = {"a": CIRCULAR}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("Invoice", "dotted path to a pydantic model, got 'Invoice'"),
        ("no_such_module.Invoice", "cannot be imported on this worker"),
        ("json.Invoice", "cannot be imported on this worker"),
        ({"type": "OBJECT"}, "not a valid JSON schema: .*lower case"),
        (5, "pydantic cannot use 5"),
        ({"$ref": "#/$defs/Line"}, r"a \$ref to '#/\$defs/Line', which is not in it"),
        ({"type": "array", "items": {"$ref": "#/$defs/Lime"}, "$defs": {"Line": {}}}, "'#/\\$defs/Lime'"),
        ({"properties": {"a": {"anyOf": [{"$ref": "#line"}]}}}, "'#line'"),
        ({"$ref": "line.json"}, "'line.json'"),
        # Nothing is downloaded.
        ({"$ref": "http://169.254.169.254/line.json"}, "'http://169.254.169.254/line.json'"),
        ({"$ref": "#/$defs/Line/items/x", "$defs": {"Line": {"items": [{}]}}}, "not a valid JSON schema|is not in it"),
        ({"$ref": "#/allOf/7", "allOf": [{}]}, "'#/allOf/7'"),
        ({"$ref": "#/title", "title": "no schema"}, "not a valid JSON schema"),
        ({"$ref": "#/components/Line", "components": {"Line": {"type": "OBJECT"}}}, "not a valid JSON schema"),
        ({"properties": {"$ref": {"$ref": "#/nowhere"}}}, "'#/nowhere'"),
        ({"$ref": "#"}, "refers to itself without end"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "without end"),
        (NESTED, "cannot be written as JSON|nested too deeply"),
        (CIRCULAR, "cannot be written as JSON: Circular reference"),
        ({"minimum": float("nan")}, "cannot be written as JSON"),
        ({"enum": {"a"}}, "cannot be written as JSON: Object of type set"),
        ({"title": "\ud800"}, "cannot be written as JSON"),
        (len, "is a function"),
        ("os.path.join", "is a function"),
    ],
)
def test_invalid_schema_is_refused(given, message):
    with pytest.raises(GeminiInputError, match=message):
        Schema.of(given)


def test_module_that_cannot_be_imported_is_an_input_error(tmp_path, monkeypatch):
    (tmp_path / "broken_models.py").write_text("raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(GeminiInputError, match=r"cannot be imported on this worker \(RuntimeError\): no licence"):
        Schema.of("broken_models.Invoice")


@pytest.mark.parametrize("given", [Invoice, JSON_SCHEMA])
def test_fenced_answer_is_accepted(given):
    value, wrong = Schema.of(given).judge(f"```json\n{GOOD}\n```")

    assert (value["number"], wrong) == ("7", None)


@pytest.mark.parametrize("given", [dict, list[float], {"type": "object"}, {}])
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[" * 2000 + "]" * 2000, "nested more than 100 levels deep"),
        ("[1e999]", "0: a number that is not finite"),
        ("[NaN]", "not valid JSON"),
    ],
)
def test_json_that_cannot_be_stored_is_refused(given, text, wrong):
    assert Schema.of(given).judge(text)[1].startswith(wrong)


def test_part_that_refers_to_itself_without_end_is_an_error():
    schema = Schema.of({"properties": {"a": {"$ref": "#/properties/a"}}})

    assert schema.judge("{}") == ({}, None)
    assert schema.judge('{"a": 1}') == (None, "nested too deeply to be checked against the schema")


class Faulty(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def look_up(cls, name: str) -> str:
        return {"known": name}[name]


def test_error_of_a_validator_is_what_is_wrong_with_the_answer():
    assert Schema.of(Faulty).judge('{"name": "other"}') == (None, "a validator raised KeyError: 'other'")


class Account(BaseModel):
    owner: str
    number: SecretStr


def test_secret_is_not_masked():
    assert Schema.of(Account).judge('{"owner": "a", "number": "7"}') == ({"owner": "a", "number": "7"}, None)


@pytest.mark.parametrize("given", [{"type": "object", "additionalProperties": False}, {"type": "array"}])
def test_long_answer_is_not_quoted_in_full(given):
    _, problem = Schema.of(given).judge(json.dumps({f"key {at}": at for at in range(1000)}))

    assert len(problem) == 500
    assert problem.endswith("…")


def test_tuples_are_lists():
    schema = Schema.of({"enum": ("a", "b")})

    assert schema.json_schema == {"enum": ["a", "b"]}
    assert schema.judge('"a"') == ("a", None)


TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name"],
}


@pytest.mark.parametrize(
    "json_schema",
    [
        TREE,
        {"$ref": "#/$defs/Tree", "$defs": {"Tree": {**TREE, "properties": {"name": {"$ref": "#/$defs/a~1b%20~0c"}}},
                                           "a/b ~c": {"type": "string"}}},
        {"$ref": "#tree", "$defs": {"Tree": {"$anchor": "tree", **TREE}}},
        {"$ref": "#/definitions/Tree", "definitions": {"Tree": TREE}},
        {"$id": "https://example.com/forest", "$ref": "https://example.com/forest#/$defs/Tree",
         "$defs": {"Tree": TREE}},
        {"$id": "https://example.com/forest", "$ref": "tree",
         "$defs": {"Tree": {"$id": "tree", "$ref": "#/$defs/Own", "$defs": {"Own": TREE}}}},
        {"allOf": [TREE, {"$ref": "#/allOf/0"}]},
        {"$ref": "#/components/Tree", "components": {"Tree": {**TREE, "properties": {}}}},
        # These are names and data, not references.
        {**TREE, "properties": {**TREE["properties"], "$ref": {"const": {"$ref": "#/nowhere"}}}},
        {**TREE, "examples": [{"$ref": "#/nowhere"}], "default": {"$ref": "#/nowhere"}},
    ],
)  # fmt: skip
def test_reference_within_the_schema_is_accepted(json_schema):
    schema = Schema.of(json_schema)

    assert schema.judge('{"name": "oak"}') == ({"name": "oak"}, None)
    assert (schema.judge("{}")[1] or "").splitlines()[0] == "'name' is a required property"


def test_recursive_schema_checks_every_level():
    _, wrong = Schema.of(TREE).judge('{"name": "oak", "children": [{"name": "twig", "children": [{}]}]}')

    assert wrong == "children.0.children.0: 'name' is a required property"
