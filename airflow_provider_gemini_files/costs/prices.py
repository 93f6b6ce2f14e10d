"""Prices of models, as a file of the user lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from airflow_provider_gemini_files.common.settings import read_settings
from airflow_provider_gemini_files.costs.spent import Tokens
from airflow_provider_gemini_files.exceptions import GeminiInputError

_MILLION = 1_000_000


def _day(value: Any) -> date:
    if not isinstance(value, str):
        raise ValueError("not a day")
    return date.fromisoformat(value)


# Strict: true and the text of a number are no prices.
Price = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
_PRICE: Any = {"expected": "a number, at least 0"}
_TEXT: Any = {"expected": "a text"}


class ModelPrice(BaseModel):
    """The prices of a model, for a million tokens each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Price = Field(
        description="Tokens that are sent: prompt, files, and what tools add.", json_schema_extra=_PRICE
    )
    output: Price = Field(description="Tokens that are received: answer and thoughts.", json_schema_extra=_PRICE)
    cached_input: Price | None = Field(
        None,
        description="Tokens of the prompt that come from a cache. Without it, calls with such tokens have no price.",
        json_schema_extra=_PRICE,
    )
    batch_share: Share | None = Field(
        None,
        description="What input and output cost in a batch, as a part of the prices above; `0.5` is half of them. "
        "Tokens from a cache cost the same as elsewhere. Without it, batches have no price.",
        json_schema_extra={"expected": "a number from 0 to 1"},
    )

    def cost_of(self, tokens: Tokens, *, is_batch: bool) -> float | None:
        """Return what calls cost; None if a price is missing."""
        share = self.batch_share if is_batch else 1.0
        if share is None or (tokens.cached and self.cached_input is None):
            return None
        fresh = max(tokens.input - tokens.cached, 0)
        own = share * (fresh * self.input + tokens.output * self.output)
        return (own + tokens.cached * (self.cached_input or 0.0)) / _MILLION


class PriceList(BaseModel):
    """Prices that are valid from a day on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str = Field(
        description="What amounts are in, such as `USD`.", min_length=1, max_length=12, json_schema_extra=_TEXT
    )
    valid_from: Annotated[date, BeforeValidator(_day)] = Field(
        description="The first day, in UTC, on which these prices apply.",
        json_schema_extra={"expected": "a day like 2026-11-01"},
    )
    source: str | None = Field(None, description="Where the prices come from.", json_schema_extra=_TEXT)
    models: Mapping[str, Any] = Field(
        description="The prices of each model. A name that ends with `*` is for all models whose names begin so; the "
        "longest one applies.",
        json_schema_extra={"expected": "an object of models and their prices"},
    )


@dataclass(frozen=True)
class DatedPrices:
    """A price list, checked."""

    currency: str
    valid_from: date
    source: str | None
    models: Mapping[str, ModelPrice]

    def price_of(self, model: str) -> ModelPrice | None:
        """Return the prices of a model; None if it is not listed."""
        if model in self.models:
            return self.models[model]
        patterns = [name for name in self.models if name.endswith("*") and model.startswith(name[:-1])]
        return self.models[max(patterns, key=len)] if patterns else None

    def to_dict(self) -> dict[str, str | None]:
        """Return what tells a person which prices these are."""
        return {"currency": self.currency, "valid_from": self.valid_from.isoformat(), "source": self.source}


class Prices:
    """
    The price lists of a file.

    :param lists: of one currency, each from another day on.
    """

    def __init__(self, lists: Sequence[DatedPrices]) -> None:
        self._lists = sorted(lists, key=lambda one: one.valid_from, reverse=True)
        self.currency = self._lists[0].currency

    def of_day(self, day: date) -> DatedPrices | None:
        """Return the prices of a day; None if there were none yet."""
        return next((one for one in self._lists if one.valid_from <= day), None)


def read_prices(text: str | bytes, path: str) -> Prices:
    """
    Read a file of prices: a price list, or a JSON array of several.

    :param path: of the file, for errors.
    :raises GeminiInputError: naming the file, and each field that is wrong.
    """
    try:
        given = json.loads(text)
    except ValueError as error:
        raise GeminiInputError(f"The prices in {path} are no valid JSON: {error}.") from error
    lists = given if isinstance(given, list) else [given]
    if not lists or not all(isinstance(one, dict) for one in lists):
        raise GeminiInputError(f"The prices in {path} must be an object with the prices, or an array of such objects.")
    dated = [_dated(one, path) for one in lists]
    if len({one.currency for one in dated}) > 1:
        currencies = ", ".join(sorted({one.currency for one in dated}))
        raise GeminiInputError(f"The prices in {path} must be in one currency; got {currencies}.")
    if len({one.valid_from for one in dated}) < len(dated):
        raise GeminiInputError(f"The prices in {path} have two lists with the same valid_from.")
    return Prices(dated)


def _dated(given: Mapping[str, Any], path: str) -> DatedPrices:
    listed = read_settings(PriceList, given, f"The prices in {path}:")
    models = {name: _price(prices, name, path) for name, prices in listed.models.items()}
    return DatedPrices(listed.currency, listed.valid_from, listed.source, models)


def _price(given: Any, name: str, path: str) -> ModelPrice:
    where = f"The prices in {path}: models.{name}:"
    if not isinstance(given, dict):
        raise GeminiInputError(f"{where} must be an object with input and output; got {given!r}.")
    return read_settings(ModelPrice, given, where)
