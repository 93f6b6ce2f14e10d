"""The hook's calls for content: ask a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_gemini_files.content.answer import Answer
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.base import GeminiBaseHook


class ContentCalls(GeminiBaseHook):
    """What can be asked of a model."""

    def generate_content(
        self,
        prompt: str,
        files: list[GeminiFile] | None = None,
        *,
        model: str | None = None,
        system_instruction: str | None = None,
        generation_config: Mapping[str, Any] | None = None,
    ) -> Answer:
        """
        Show a model some files, then ask it.

        :param files: as :meth:`active_files` returns them; shown in this order, before the prompt.
        :param model: the connection's where None.
        :param generation_config: fields of ``google.genai.types.GenerateContentConfig``.
        """
        from airflow_provider_gemini_files.hooks import sdk

        config = sdk.content_config(generation_config, system_instruction)
        chosen = model or self.connection.model
        response = self._call(
            f"generate content with {chosen}",
            lambda: sdk.generate_content(self.client, chosen, files or [], prompt, config),
        )
        return Answer.from_api(response)
