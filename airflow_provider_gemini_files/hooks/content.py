"""The hook's calls for content: ask a model, count what it would cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import tenacity

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.content.answer import Answer
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.exceptions import (
    GeminiFileGoneError,
    GeminiFileNotActiveError,
    GeminiInputError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.base import GeminiBaseHook

if TYPE_CHECKING:
    from google.genai import types  # noqa: TID251 - for type checkers only

T = TypeVar("T")
Turns = list[dict[str, Any]]
#: How often a file that is ACTIVE may be refused by a model until that is believed: after 15 seconds.
_JUST_ACTIVE_TRIES = 5
#: What ``response_schema`` sets, and so nobody else does; the SDK takes both spellings.
_SET_BY_SCHEMA = {
    "response_mime_type", "response_schema", "response_json_schema",
    "responseMimeType", "responseSchema", "responseJsonSchema",
}  # fmt: skip
#: A configuration can come from who triggers a run, who must not send the key elsewhere.
_SET_BY_CONNECTION = {"http_options", "httpOptions"}


class ContentCalls(GeminiBaseHook):
    """What can be asked of a model."""

    def generate_content(
        self,
        contents: Contents | str,
        files: Sequence[GeminiFile] = (),
        *,
        model: str | None = None,
        system_instruction: str | None = None,
        generation_config: Mapping[str, Any] | None = None,
        schema: Schema | None = None,
    ) -> Answer:
        """
        Ask a model; judge the answer with :meth:`Answer.usable_text` and :meth:`Schema.judge`.

        :param contents: a prompt, which follows the files; or what :meth:`Contents.parse` has read.
        :param files: as :meth:`active_files` returns them, for the names of the contents.
        :param model: the connection's where None.
        :param generation_config: fields of ``google.genai.types.GenerateContentConfig``.
        :param schema: what the answer is to follow.
        :raises GeminiInputError: before anything is sent, for what the SDK's own types do not accept.
        """
        from airflow_provider_gemini_files.hooks import sdk

        chosen = model or self.connection.model
        turns = turns_of(contents, files)
        config = content_config(generation_config, system_instruction, schema)
        response = self._just_active(lambda: sdk.generate_content(self.client, chosen, turns, config))
        lineage.shown(self, files)
        return Answer.from_api(response)

    def count_tokens(
        self,
        contents: Contents | str,
        files: Sequence[GeminiFile] = (),
        *,
        model: str | None = None,
        system_instruction: str | None = None,
    ) -> int:
        """
        Count the tokens of what would be asked, which costs nothing.

        The system instruction is counted as one more text. Tools and a schema are not counted: the API that takes a
        key does not do so for the SDK.

        :param contents: as for :meth:`generate_content`, as are the others.
        """
        from airflow_provider_gemini_files.hooks import sdk

        chosen = model or self.connection.model
        turns = turns_of(contents, files)
        if system_instruction:
            turns = [{"role": "user", "parts": [{"text": system_instruction}]}, *turns]
        return self._just_active(lambda: sdk.count_tokens(self.client, chosen, turns))

    def _just_active(self, function: Callable[[], T]) -> T:
        """Call about files that are ACTIVE; some are refused for a while after they have become so."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((GeminiFileNotActiveError, GeminiFileGoneError)),
            stop=tenacity.stop_after_attempt(_JUST_ACTIVE_TRIES),
            wait=tenacity.wait_exponential(multiplier=1, max=8),
            before_sleep=lambda state: self.log.warning(
                "%s It was ACTIVE a moment ago: asking again in %.0f s.",
                state.outcome and state.outcome.exception(), state.upcoming_sleep,
            ),
            reraise=True,
        )  # fmt: skip
        return cast("T", retrying(self._call, function))


def content_config(
    generation_config: Mapping[str, Any] | None, system_instruction: str | None, schema: Schema | None
) -> types.GenerateContentConfig:
    """
    Check a configuration with the SDK's own types; nothing is sent.

    :raises GeminiInputError: naming each field that is wrong.
    """
    from airflow_provider_gemini_files.hooks import sdk

    if generation_config is not None and not isinstance(generation_config, Mapping):
        raise GeminiInputError(
            f"generation_config is a dict of fields of GenerateContentConfig, got {generation_config!r}."
        )
    given = set(generation_config or {})
    if given & _SET_BY_CONNECTION:
        raise GeminiInputError("generation_config has http_options: the connection says how the service is reached.")
    if schema and (twice := sorted(given & _SET_BY_SCHEMA)):
        raise GeminiInputError(f"response_schema sets {', '.join(twice)} of generation_config: leave one of them out.")
    return sdk.content_config(generation_config, system_instruction, schema.json_schema if schema else None)


def turns_of(contents: Contents | str, files: Sequence[GeminiFile]) -> Turns:
    """Return what is sent: turns in the service's spelling, with the files' URIs and MIME types."""
    if isinstance(contents, str):
        contents, shown = Contents.parse(contents, list(files) or None), {file.name: file for file in files}
    else:
        shown = dict(zip(contents.names, files, strict=True))
    return contents.turns(shown)
