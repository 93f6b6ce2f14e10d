"""Prices of models, as a file of the user lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from airflow_provider_gemini_files.common.settings import read_settings
from airflow_provider_gemini_files.costs.spent import Kind, Usage
from airflow_provider_gemini_files.exceptions import GeminiInputError

_MILLION = 1_000_000
_HOUR = 3600


def _day(value: Any) -> date:
    if not isinstance(value, str):
        raise ValueError("not a day")
    return date.fromisoformat(value)


# Strict: true and the text of a number are no prices. More than the limit would be no number in JSON once multiplied.
Price = Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
_PRICE: Any = {"expected": "a number from 0 to 1,000,000,000"}
_TEXT: Any = {"expected": "a text"}


class ModelPrice(BaseModel):
    """The prices of a model, for a million tokens each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Price = Field(
        description="Tokens that are sent: prompt, files, what tools add, and the contents of new caches.",
        json_schema_extra=_PRICE,
    )
    output: Price = Field(description="Tokens that are received: answer and thoughts.", json_schema_extra=_PRICE)
    cached_input: Price | None = Field(
        None,
        description="Tokens of the prompt that come from a cache. Without it, calls with such tokens have no price.",
        json_schema_extra=_PRICE,
    )
    cache_storage: Price | None = Field(
        None,
        description="Tokens that are stored in a cache, for each hour. Without it, caches have no price.",
        json_schema_extra=_PRICE,
    )
    batch_share: Share | None = Field(
        None,
        description="What input and output cost in a batch, as a part of the prices above; `0.5` is half of them. "
        "Tokens from a cache are assumed to cost the same as elsewhere. Without it, batches have no price.",
        json_schema_extra={"expected": "a number from 0 to 1"},
    )

    def missing(self, kind: Kind, usage: Usage) -> str | None:
        """Return the field without which there is no price for some usage; None if all are there."""
        needed = {
            "batch_share": kind is Kind.BATCH,
            "cached_input": usage.cached > 0,
            "cache_storage": usage.token_seconds > 0,
        }
        return next((name for name, is_needed in needed.items() if is_needed and getattr(self, name) is None), None)

    def cost_of(self, kind: Kind, usage: Usage) -> Decimal:
        """Return what some usage costs, of which no price is :meth:`missing`."""
        share = _exact(self.batch_share) if kind is Kind.BATCH else Decimal(1)
        # Cached tokens are part of the prompt, not of what tools have added.
        fresh = max(usage.prompt - usage.cached, 0) + usage.tools
        own = share * (fresh * _exact(self.input) + usage.output * _exact(self.output))
        stored = usage.token_seconds * _exact(self.cache_storage) / _HOUR
        return (own + usage.cached * _exact(self.cached_input) + stored) / _MILLION


class PriceList(BaseModel):
    """Prices that are valid from a day on."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

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

    def cost_of(self, model: str, kind: Kind, usage: Usage) -> tuple[Decimal | None, str | None]:
        """
        Return what some usage of a model costs.

        :return: the cost; or None, and the field that the model lacks, if it is listed.
        """
        price = self.price_of(model)
        if price is None:
            return None, None
        lacks = price.missing(kind, usage)
        return (None, lacks) if lacks else (price.cost_of(kind, usage), None)

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
        given = json.loads(text, object_pairs_hook=lambda pairs: _without_repetition(pairs, path))
    except (ValueError, RecursionError) as error:
        raise GeminiInputError(f"The prices in {path} are not valid JSON: {error}.") from error
    lists = given if isinstance(given, list) else [given]
    if not lists or not all(isinstance(one, dict) for one in lists):
        raise GeminiInputError(f"The prices in {path} must be an object with the prices, or an array of such objects.")
    dated = [_dated(one, path) for one in lists]
    if len({one.currency for one in dated}) > 1:
        currencies = ", ".join(sorted({one.currency for one in dated}))
        raise GeminiInputError(f"The prices in {path} must be in one currency; got {currencies}.")
    if len({one.valid_from for one in dated}) < len(dated):
        raise GeminiInputError(f"The prices in {path} have two entries with the same valid_from.")
    return Prices(dated)


def _without_repetition(pairs: list[tuple[str, Any]], path: str) -> dict[str, Any]:
    """Return an object; JSON would take the last of two prices without a word."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise GeminiInputError(f"The prices in {path} have {name!r} twice in the same object.")
        found[name] = value
    return found


def _dated(given: Mapping[str, Any], path: str) -> DatedPrices:
    listed = read_settings(PriceList, given, f"The prices in {path}:")
    models: dict[str, ModelPrice] = {}
    for told, prices in listed.models.items():
        # As names of models are in XCom.
        name = told.removeprefix("models/")
        if not name or "*" in name[:-1]:
            raise GeminiInputError(f"The prices in {path}: {told!r} is not the name of a model; a * must be its end.")
        if name in models:
            raise GeminiInputError(f"The prices in {path} have {name!r} twice, with and without models/.")
        models[name] = _price(prices, name, path)
    return DatedPrices(listed.currency, listed.valid_from, listed.source, models)


def _price(given: Any, name: str, path: str) -> ModelPrice:
    where = f"The prices in {path}: models.{name}:"
    if not isinstance(given, dict):
        raise GeminiInputError(f"{where} must be an object with input and output; got {given!r}.")
    return read_settings(ModelPrice, given, where)


def _exact(price: float | None) -> Decimal:
    """Return a price as the file has it: 0.1 is a tenth, of which sums are exact."""
    return Decimal(repr(price or 0.0))
