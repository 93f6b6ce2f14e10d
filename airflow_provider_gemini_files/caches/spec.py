"""A cache that is to be created."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.caches.cache import check_model
from airflow_provider_gemini_files.caches.mark import fingerprint_in, marked_name
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile

#: Part of each fingerprint: another way to write contents must not find caches of the former one.
_FORMAT = "1"


@dataclass(frozen=True)
class CacheSpec:
    """
    What a cache is to hold, and for how long.

    :param model: the only model that can use it, without ``models/``.
    :param ttl: seconds that it is to live, from its creation or from the moment at which it is found.
    :param display_name: with the mark by which it is found.
    """

    contents: Contents
    model: str
    ttl: float
    display_name: str
    system_instruction: str | None = None

    @classmethod
    def of(
        cls,
        contents: Contents,
        *,
        model: str,
        ttl: float,
        system_instruction: str | None,
        conn_id: str,
        owner: Owner | None,
        label: str,
    ) -> CacheSpec:
        """
        Return the spec of a task instance for some contents.

        :param conn_id: part of the fingerprint, as two connections can be two projects.
        :param owner: the task instance; its identity is part of the fingerprint.
        :param label: begins the display name.
        :raises GeminiInputError: for a model without caches, or a text that cannot be sent.
        """
        model = model.removeprefix("models/")
        check_model(model)
        if contents.sources:
            raise GeminiInputError(
                f"{contents.sources[0].where} is a source: upload it with GeminiUploadFileOperator, and pass the file, "
                "which requests need if the cache is skipped or gone."
            )
        task = [owner.deployment, *owner.run, owner.task_id, owner.map_index] if owner else []
        identity = [_FORMAT, task, conn_id, model, contents.by_name(), system_instruction]
        fingerprint = hashlib.sha256(_dumped(identity, default=_digest)).hexdigest()[:24]
        return cls(contents, model, ttl, marked_name(label, fingerprint), system_instruction)

    @property
    def fingerprint(self) -> str | None:
        """Return the fingerprint, which is the same for each attempt of a task instance with the same contents."""
        return fingerprint_in(self.display_name)

    def body(self, files: Sequence[GeminiFile]) -> dict[str, Any]:
        """
        Return the body of the request that creates the cache.

        :param files: the files of the contents, in the order of their names.
        """
        turns = self.contents.turns(dict(zip(self.contents.names, files, strict=True)))
        body: dict[str, Any] = {
            "model": self.model if "/" in self.model else f"models/{self.model}",
            "displayName": self.display_name,
            "contents": in_json(turns),
            "ttl": ttl_text(self.ttl),
        }
        if self.system_instruction is not None:
            body["systemInstruction"] = {"role": "user", "parts": [{"text": self.system_instruction}]}
        return body


def ttl_text(seconds: float) -> str:
    """Return a duration as the service reads it, in whole seconds."""
    return f"{math.ceil(seconds)}s"


def in_json(turns: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return turns in the service's form as JSON values: inline data becomes base64, what is not set is left out."""
    return [{**turn, "parts": [_part_in_json(part) for part in turn["parts"]]} for turn in turns]


def _part_in_json(part: Mapping[str, Any]) -> dict[str, Any]:
    told = dict(part)
    if inline := told.get("inlineData"):
        told["inlineData"] = {**inline, "data": base64.b64encode(inline["data"]).decode()}
    if file := told.get("fileData"):
        told["fileData"] = {key: value for key, value in file.items() if value is not None}
    return told


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _dumped(value: Any, **options: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, **options).encode()
    except UnicodeEncodeError as error:
        raise GeminiInputError(
            f"The contents contain a lone surrogate (half of a character), which cannot be sent: {error}."
        ) from error
