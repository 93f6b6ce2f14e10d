"""What a model is asked, in the words of an author; read once, for single requests and for batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.exceptions import GeminiInputError

#: Set by ``response_schema``, and so by nothing else; the SDK accepts both spellings.
_SET_BY_SCHEMA = {
    "response_mime_type", "response_schema", "response_json_schema",
    "responseMimeType", "responseSchema", "responseJsonSchema",
}  # fmt: skip
#: A configuration can come from whoever triggers a run, who must not send the key to another host.
_SET_BY_CONNECTION = {"http_options", "httpOptions", "should_return_http_response", "shouldReturnHttpResponse"}


@dataclass(frozen=True)
class ModelRequest:
    """
    A request to a model, checked as far as that needs no call.

    :param model: the connection's if None.
    :param generation_config: fields of ``google.genai.types.GenerateContentConfig``.
    :param schema: what the answer has to follow; any text if None.
    """

    contents: Contents
    model: str | None = None
    system_instruction: str | None = None
    generation_config: Mapping[str, Any] | None = None
    schema: Schema | None = None

    @classmethod
    def of(
        cls,
        *,
        prompt: str | None = None,
        files: Any = None,
        contents: Any = None,
        model: str | None = None,
        system_instruction: str | None = None,
        generation_config: Mapping[str, Any] | None = None,
        response_schema: Any = None,
    ) -> ModelRequest:
        """
        Read a request; see ``GeminiGenerateContentOperator`` for the arguments.

        :raises GeminiInputError: for an argument that cannot be used; nothing has been sent.
        """
        request = cls(
            Contents.parse(prompt, files, contents),
            # An empty template means that nothing is set.
            model=model or None,
            system_instruction=system_instruction or None,
            generation_config=generation_config or None,
            schema=None if response_schema is None else Schema.of(response_schema),
        )
        return request.checked()

    def checked(self) -> ModelRequest:
        """
        Return the request.

        :raises GeminiInputError: for a field that cannot be used.
        """
        for name, text in (("model", self.model), ("system_instruction", self.system_instruction)):
            if text is not None and not isinstance(text, str):
                raise GeminiInputError(f"{name} must be a text; got {text!r} ({type(text).__name__}).")
        _check_config(self.generation_config, self.schema)
        return self


def _check_config(generation_config: Any, schema: Schema | None) -> None:
    if generation_config is None:
        return
    if not isinstance(generation_config, Mapping):
        raise GeminiInputError(
            f"generation_config must be a dict of fields of GenerateContentConfig; got {generation_config!r}."
        )
    given = set(generation_config)
    if wrong := sorted(given & _SET_BY_CONNECTION):
        raise GeminiInputError(
            f"generation_config has {', '.join(wrong)}: the connection decides how the service is reached."
        )
    if schema and (twice := sorted(given & _SET_BY_SCHEMA)):
        raise GeminiInputError(f"response_schema sets {', '.join(twice)} of generation_config: leave one of them out.")
