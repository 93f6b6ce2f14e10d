from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import pytest
from pydantic import BaseModel, Field, field_validator

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


@pytest.mark.parametrize("given", [Invoice, "a_module_of_theirs.Invoice", JSON_SCHEMA])
def test_a_schema_is_given_in_three_ways(given, monkeypatch):
    monkeypatch.setitem(sys.modules, "a_module_of_theirs", SimpleNamespace(Invoice=Invoice))
    schema = Schema.of(given)

    assert set(schema.json_schema["properties"]) == {"number", "lines"}
    assert schema.judge(GOOD) == ({"number": "7", "lines": [{"what": "a", "sum": 1}]}, None)


def test_what_comes_out_can_be_read_into_the_model_again():
    value, _ = Schema.of(Invoice).judge(GOOD)

    assert Invoice.model_validate(value).lines[0].amount == 1


def test_other_types_that_pydantic_knows_will_do():
    assert Schema.of(list[Invoice]).judge(f"[{GOOD}]")[0][0]["number"] == "7"


@pytest.mark.parametrize(
    ("given", "text", "wrong"),
    [
        (Invoice, "no json", "Invalid JSON"),
        (Invoice, '{"number": "7"}', "lines: Field required"),
        (Invoice, '{"number": "a", "lines": []}', "number: Value error, a number has digits only"),
        (Invoice, '{"number": "7", "lines": [{"what": "a", "sum": -1}]}', r"lines\.0\.sum: "),
        (JSON_SCHEMA, "no json", "it is no JSON"),
        (JSON_SCHEMA, '{"number": NaN}', "it is no JSON"),
        (JSON_SCHEMA, "{}", "'number' is a required property"),
        (JSON_SCHEMA, '{"number": 7}', "number: 7 is not of type 'string'"),
    ],
)
def test_an_answer_that_does_not_follow_it_is_told_where(given, text, wrong):
    value, told = Schema.of(given).judge(text)

    assert value is None
    assert re.search(wrong, told)


def test_not_all_of_many_errors_are_told():
    lines = ", ".join("{}" for _ in range(50))

    _, told = Schema.of(Invoice).judge(f'{{"number": "7", "lines": [{lines}]}}')

    assert len(told.splitlines()) == 10


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("Invoice", "dotted path to a pydantic model, got 'Invoice'"),
        ("no_such_module.Invoice", "cannot be imported on this worker"),
        ("json.Invoice", "cannot be imported on this worker"),
        ({"type": "OBJECT"}, "no JSON schema: .*lower case"),
        (5, "pydantic cannot use 5"),
    ],
)
def test_what_is_no_schema_is_refused(given, told):
    with pytest.raises(GeminiInputError, match=told):
        Schema.of(given)
