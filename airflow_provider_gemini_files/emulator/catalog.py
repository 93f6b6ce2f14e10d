"""The catalogue of models, and the methods list and get."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.call import Call
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.paging import page

_RETIRED = re.compile(r"gemini-1[.-]")
_GEMINI_2_0 = re.compile(r"gemini-2\.0[.-]")
_END_OF_2_0 = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
_END_OF_2_5 = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
#: The models that answer for those of Gemini 2.5 that are retired.
_SUCCESSORS = {"gemini-2.5-pro": "gemini-3.8-flash", "gemini-2.5-flash": "gemini-3.5-flash-lite"}
_WITHOUT_CACHES = re.compile(r"gemini-4[.-]")
#: Google's page on file search lists no model before Gemini 3, but the SDK's own test uses gemini-2.5-flash.
_WITHOUT_FILE_SEARCH = re.compile(r"gemini-2\.(?!5-flash$)")
_CACHES = "createCachedContent"
_GENERATES = ("generateContent", "countTokens", _CACHES, "batchGenerateContent")
_EMBEDS = ("embedContent", "countTokens", "asyncBatchEmbedContent")


@dataclass(frozen=True)
class Model:
    """
    A model of the catalogue.

    :param created: its position in the list, as a time.
    """

    id: str
    created: float
    display_name: str

    def to_json(self) -> dict[str, Any]:
        """Return the resource."""
        return {
            "name": f"models/{self.id}",
            "version": "001",
            "displayName": self.display_name,
            "description": f"Emulated {self.display_name}",
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": self._methods(),
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "maxTemperature": 2,
        }

    def _methods(self) -> list[str]:
        if "embedding" in self.id:
            return list(_EMBEDS)
        return [method for method in _GENERATES if method != _CACHES or has_caches(self.id)]


#: The listed models. All other current ``gemini-`` names work as well, so tests do not depend on this list.
MODELS = [
    Model(name, float(order), name.replace("-", " ").title())
    for order, name in enumerate(
        (
            "gemini-embedding-001",
            "gemini-2.5-flash-lite",
            "gemini-2.5-pro",
            "gemini-2.5-flash",
            "gemini-3-flash-preview",
            "gemini-3.1-pro-preview",
            "gemini-3.1-flash-lite",
            "gemini-embedding-2",
            "gemini-3.5-flash",
            "gemini-3.5-flash-lite",
            "gemini-3.6-flash",
            "gemini-3.7-flash",
            "gemini-3.8-flash",
            "gemini-4-argon",
        ),
        1,
    )
]


def check_model(call: Call, model: str, method: str = "generateContent") -> None:
    """
    Check that a model exists: a Gemini model that is not retired; aliases ``-latest`` exist in ``v1beta`` only.

    :param method: name of the method, for the error.
    :raises ApiError: 404 if it does not.
    """
    retired = _RETIRED.match(model) or (_GEMINI_2_0.match(model) and call.now >= _END_OF_2_0)
    unknown_alias = model.endswith("-latest") and call.version != "v1beta"
    if not model.startswith("gemini-") or retired or unknown_alias:
        raise errors.model_not_found(model, call.version, method)


def answering_model(model: str, now: float) -> str:
    """Return the model that answers a request at a time: the given one, or its successor if it is retired."""
    return _SUCCESSORS.get(model, model) if now >= _END_OF_2_5 else model


def reads_urls(model: str) -> bool:
    """Return whether URLs of other sites can be in a prompt for a model."""
    return not _GEMINI_2_0.match(model)


def has_caches(model: str) -> bool:
    """Return whether a model supports cached contents."""
    return not _WITHOUT_CACHES.match(model)


def min_cache_tokens(model: str) -> int:
    """Return the smallest number of tokens that can be cached for a model."""
    return 2048 if model.startswith("gemini-2.5-flash-lite") else 1024


def has_file_search(model: str) -> bool:
    """Return whether a model supports file search."""
    return not _WITHOUT_FILE_SEARCH.match(model)


async def get_model(call: Call) -> dict[str, Any]:
    """Return one model."""
    call.authenticate()
    name = call.params["model"]
    check_model(call, name)
    return next((m for m in MODELS if m.id == name), Model(name, 0, name)).to_json()


async def list_models(call: Call) -> dict[str, Any]:
    """Return a page of the models."""
    call.authenticate()
    current = [model for model in MODELS if answering_model(model.id, call.now) == model.id]
    shown, token = page(call, current, "ListModelsRequest", default=50, largest=1000)
    body: dict[str, Any] = {"models": [model.to_json() for model in shown], "nextPageToken": token}
    return {key: value for key, value in body.items() if value}


METHODS = [
    Method(("list_models",), ("GET",), "/models", list_models),
    Method(("get_model",), ("GET",), "/models/{model}", get_model),
]
