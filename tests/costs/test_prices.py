"""Price lists, and what calls cost by them."""

from __future__ import annotations

import json
import math
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_gemini_files.costs.prices import ModelPrice, Prices, read_prices
from airflow_provider_gemini_files.costs.spent import Kind, Usage
from airflow_provider_gemini_files.exceptions import GeminiInputError

FLASH = {"input": 0.3, "output": 2.5, "cached_input": 0.03, "batch_share": 0.5}
LIST: dict[str, Any] = {
    "currency": "USD",
    "valid_from": "2026-11-01",
    "source": "the price page",
    "models": {"gemini-3.8-flash": FLASH},
}
MILLION = 1_000_000


def read(given: Any) -> Prices:
    return read_prices(json.dumps(given), "/prices.json")


def test_call_costs_by_fresh_cached_and_received_tokens():
    price = ModelPrice(**FLASH)
    tokens = Usage(calls=1, prompt=3 * MILLION, tools=MILLION, cached=2 * MILLION, answer=MILLION, thoughts=MILLION)

    assert price.cost_of(Kind.ANSWER, tokens) == Decimal("5.66")
    # Only what comes from a cache costs the same in a batch.
    assert price.cost_of(Kind.BATCH, tokens) == Decimal("2.86")


def test_price_that_is_missing_is_not_guessed():
    price = ModelPrice(input=1, output=2)

    assert price.cost_of(Kind.ANSWER, Usage(prompt=MILLION)) == 1
    assert price.missing(Kind.ANSWER, Usage(prompt=MILLION)) is None
    assert price.missing(Kind.ANSWER, Usage(prompt=MILLION, cached=1)) == "cached_input"
    assert price.missing(Kind.BATCH, Usage(prompt=MILLION)) == "batch_share"
    assert price.missing(Kind.CACHE, Usage(prompt=MILLION, token_seconds=1)) == "cache_storage"
    assert price.missing(Kind.CACHE, Usage(prompt=MILLION)) is None


def test_more_cached_tokens_than_sent_ones_give_no_credit():
    assert ModelPrice(**FLASH).cost_of(Kind.ANSWER, Usage(cached=MILLION)) == Decimal("0.03")


def test_list_of_the_day_applies():
    prices = read([LIST, {**LIST, "valid_from": "2026-12-01", "source": None}])

    assert prices.of_day(date(2026, 10, 31)) is None
    found = [prices.of_day(day) for day in (date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 1))]
    assert [one and one.source for one in found] == ["the price page", "the price page", None]
    assert found[0]
    assert found[0].to_dict() == {
        "currency": "USD",
        "valid_from": "2026-11-01",
        "source": "the price page",
    }


@pytest.mark.parametrize(
    ("model", "input_price"),
    [("gemini-3.8-flash", 3), ("gemini-3.8-flash-001", 2), ("gemini-3.8-pro", 1), ("other", None)],
)
def test_longest_name_that_fits_applies(model, input_price):
    names = {"gemini-*": 1, "gemini-3.8-flash*": 2, "gemini-3.8-flash": 3}
    prices = read({**LIST, "models": {name: {"input": price, "output": 1} for name, price in names.items()}})
    listed = prices.of_day(date(2026, 11, 1))

    assert listed
    price = listed.price_of(model)
    assert (price and price.input) == input_price


def test_prices_are_those_of_the_model_that_xcom_names():
    models = {"models/flash": 1, "tunedModels/films*": 2, "*": 3}
    prices = read({**LIST, "models": {name: {"input": price, "output": 1} for name, price in models.items()}})
    listed = prices.of_day(date(2026, 11, 1))

    assert listed
    told = [listed.price_of(model) for model in ("flash", "tunedModels/films-1", "pro")]
    assert [one and one.input for one in told] == [1, 2, 3]


def test_cache_costs_its_tokens_once_and_its_storage_by_the_hour():
    price = ModelPrice(**FLASH, cache_storage=1.5)

    assert price.cost_of(Kind.CACHE, Usage(prompt=MILLION, token_seconds=2 * 3600 * MILLION)) == Decimal("3.3")


def test_tokens_of_tools_are_not_taken_for_cached_ones():
    price = ModelPrice(**FLASH)

    assert price.cost_of(Kind.ANSWER, Usage(tools=MILLION, cached=MILLION)) == Decimal("0.33")


def test_sum_of_many_small_amounts_is_exact():
    price = ModelPrice(input=0.1, output=0)

    assert sum(price.cost_of(Kind.ANSWER, Usage(prompt=1)) for _ in range(1000)) == Decimal("0.0001")


def test_file_may_begin_with_a_byte_order_mark():
    assert read_prices(b"\xef\xbb\xbf" + json.dumps(LIST).encode(), "/prices.json").currency == "USD"


def test_example_of_the_documentation_is_read():
    page = Path(__file__).parents[2] / "docs" / "cost.md"
    [example] = re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)

    listed = read_prices(example, "cost.md").of_day(date(2026, 11, 1))
    assert listed
    assert listed.price_of("gemini-3.5-flash") == ModelPrice(**FLASH, cache_storage=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{", "The prices in /prices.json are not valid JSON: "),
        ("[]", "must be an object with the prices, or an array of such objects"),
        ("[5]", "must be an object with the prices, or an array of such objects"),
        ({**LIST, "valid_from": "soon"}, "valid_from must be a day like 2026-11-01; got 'soon'"),
        ({**LIST, "valid_from": 20261101}, "valid_from must be a day like 2026-11-01; got 20261101"),
        ({**LIST, "currency": 5}, "currency must be a text; got 5"),
        ({**LIST, "currency": "  "}, "currency must be a text; got '  '"),
        ({**LIST, "per": 1000}, "per is unknown; there are currency, valid_from, source, models"),
        ({**LIST, "models": []}, "models must be an object of models and their prices"),
        ({**LIST, "models": {"a": 5}}, "models.a: must be an object with input and output; got 5"),
        ({**LIST, "models": {"a": {**FLASH, "input": "0.3"}}}, "/prices.json: models.a: input must be a number"),
        ({**LIST, "models": {"a": {**FLASH, "output": True}}}, "models.a: output must be a number from 0 to"),
        ({**LIST, "models": {"a": {**FLASH, "output": -1}}}, "output must be a number from 0 to 1,000,000,000; got -1"),
        ({**LIST, "models": {"a": {**FLASH, "output": math.nan}}}, "output must be a number from 0 to"),
        ({**LIST, "models": {"a": {**FLASH, "output": math.inf}}}, "output must be a number from 0 to"),
        ({**LIST, "models": {"a": {**FLASH, "output": 10**400}}}, "output must be a number from 0 to"),
        ({**LIST, "models": {"a": {**FLASH, "cache_storage": 1e300}}}, "cache_storage must be a number from 0 to"),
        ({**LIST, "models": {"gemini-*-pro": FLASH}}, "'gemini-*-pro' is not the name of a model; a * must be its end"),
        ({**LIST, "models": {"": FLASH}}, "'' is not the name of a model"),
        ({**LIST, "models": {"a": FLASH, "models/a": FLASH}}, "have 'a' twice, with and without models/"),
        ('{"models": {"a": 1, "a": 2}}', "have 'a' twice in the same object"),
        ("[" * 100_000, "are not valid JSON"),
        ({**LIST, "models": {"a": {**FLASH, "batch_share": 50}}}, "models.a: batch_share must be a number from 0 to 1"),
        ({**LIST, "models": {"a": {"input": 1}}}, "models.a: output must be a number from 0 to 1,000,000,000"),
        ([LIST, {**LIST, "valid_from": "2026-12-01", "currency": "EUR"}], "must be in one currency; got EUR, USD"),
        ([LIST, LIST], "two entries with the same valid_from"),
    ],
)  # fmt: skip
def test_error_names_the_file_and_the_field(given, message):
    text = given if isinstance(given, str) else json.dumps(given)

    with pytest.raises(GeminiInputError) as caught:
        read_prices(text, "/prices.json")
    assert message in str(caught.value)
    assert "/prices.json" in str(caught.value)
