from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.content.json_text import MAX_DEPTH, read_json

SAFE_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | SAFE_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(SAFE_TEXT, inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"a": "[1]"}\n```',
        '```\n{"a": "[1]"}\n```\n',
        '```json {"a": "[1]"} ```',
        '```json\n{"a": "[1]"}',
        '\ufeff{"a": "[1]"}',
        'Here is the invoice:\n{"a": "[1]"}',
        '{"a": "[1]"}\nI hope this helps!',
        'As asked [see above]:\n\n```json\n{"a": "[1]"}\n```\nDone.',
    ],
)
def test_one_json_value_is_unwrapped_and_logged(text, caplog):
    value, found = read_json(text)

    assert value == {"a": "[1]"}
    assert json.loads(found) == value
    assert "other text around its JSON" in caplog.text


def test_scalar_in_a_fence_is_unwrapped():
    assert read_json("```json\n42\n```")[0] == 42


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "",
        '{"a": 1} {"a": 2}',
        'Either {"a": 1} or {"a": 2}',
        '```json\n{"a": 1}\n```\nor\n```json\n{"a": 2}\n```',
        '[{"a": 1}, {"a": 2}',
        '[{"a": 1}',
        '{"outer": {"a": 1}',
        'of [1]: {"a": 1}',
        "the answer is 42",
        '{"a": NaN}',
        '{"a": -Infinity}',
    ],
)
def test_ambiguous_or_broken_json_is_refused(text):
    with pytest.raises(ValueError, match=r"^not valid JSON"):
        read_json(text)


@given(VALUES)
def test_plain_json_is_returned_as_it_is(value):
    text = json.dumps(value)

    assert read_json(text) == (value, text)


def test_plain_json_is_not_logged(caplog):
    with caplog.at_level(logging.DEBUG):
        read_json(' {"a": "```json"}\n')

    assert caplog.text == ""


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 2_000, 100_000])
@pytest.mark.parametrize("form", ["{}", "Here it is: {}", "```json\n{}\n```"])
def test_deeply_nested_json_is_refused(depth, form):
    with pytest.raises(ValueError, match="nested more than 100 levels deep"):
        read_json(form.replace("{}", "[" * depth + "]" * depth))


def test_json_of_the_greatest_depth_is_accepted():
    assert read_json("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"lines": [{"sum": 1e999}]}', r"^lines\.0\.sum: a number that is not finite"),
        ("-1e999", "^a number that is not finite"),
        (r'{"a": "x\u0000y"}', "^a: a NUL character"),
        (r'{"x\u0000y": 1}', "^a NUL character"),
        (r'{"a": ["\ud83d"]}', r"^a\.0: half of a character \(a lone surrogate\)"),
        ('"\ud83d"', "^half of a character"),
    ],
)
def test_value_that_cannot_be_stored_is_refused_with_its_place(text, problem):
    with pytest.raises(ValueError, match=problem):
        read_json(text)


def test_surrogate_pair_is_one_character():
    assert read_json(r'"\ud83d\ude00"')[0] == "😀"
