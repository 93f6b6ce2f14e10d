"""The catalogue of models, and the methods list and get."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.call import Call
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.paging import page

_RETIRED = re.compile(r"gemini-(1|2\.0)[.-]")
#: Google's page on file search lists no model before Gemini 3, but the SDK's own test uses gemini-2.5-flash.
_WITHOUT_FILE_SEARCH = re.compile(r"gemini-2\.(?!5-flash$)")
_GENERATES = ("generateContent", "countTokens", "createCachedContent", "batchGenerateContent")
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
            "supportedGenerationMethods": list(_EMBEDS if "embedding" in self.id else _GENERATES),
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "maxTemperature": 2,
        }


#: The listed models. All other current ``gemini-`` names work as well, so tests do not depend on this list.
MODELS = [
    Model(name, float(order), name.replace("-", " ").title())
    for order, name in enumerate(
        ("gemini-embedding-001", "gemini-2.5-flash-lite", "gemini-2.5-pro", "gemini-2.5-flash"), 1
    )
]


def check_model(model: str, version: str, method: str = "generateContent") -> None:
    """
    Check that a model exists: a Gemini model that is not retired.

    :param method: name of the method, for the error.
    :raises ApiError: 404 if it does not.
    """
    if not model.startswith("gemini-") or _RETIRED.match(model):
        raise errors.model_not_found(model, version, method)


def has_file_search(model: str) -> bool:
    """Return whether a model supports file search."""
    return not _WITHOUT_FILE_SEARCH.match(model)


async def get_model(call: Call) -> dict[str, Any]:
    """Return one model."""
    call.authenticate()
    name = call.params["model"]
    check_model(name, call.version)
    return next((m for m in MODELS if m.id == name), Model(name, 0, name)).to_json()


async def list_models(call: Call) -> dict[str, Any]:
    """Return a page of the models."""
    call.authenticate()
    shown, token = page(call, MODELS, "ListModelsRequest", default=50, largest=1000)
    body: dict[str, Any] = {"models": [model.to_json() for model in shown], "nextPageToken": token}
    return {key: value for key, value in body.items() if value}


METHODS = [
    Method(("list_models",), ("GET",), "/models", list_models),
    Method(("get_model",), ("GET",), "/models/{model}", get_model),
]
