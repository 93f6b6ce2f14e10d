"""Operators for content: ask a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.reference import FileLike, parse_names
from airflow_provider_gemini_files.links import GeminiFileLink
from airflow_provider_gemini_files.operators.base import GeminiOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class GeminiGenerateContentOperator(GeminiOperator):
    """
    Show a model some files, ask it, and return its text.

    XCom ``response`` holds ``{"model_version", "finish_reason", "usage", "files"}``, where ``usage`` counts tokens:
    ``prompt``, ``answer``, ``thoughts``, ``cached``, ``total``. An answer that is blocked, cut or empty fails the task.

    :param prompt: the question; it follows the files (templated).
    :param files: a file in any form (name, id, URI, metadata dict), or a list of them, each ACTIVE; shown in this order
        (templated). MIME types and URIs are looked up.
    :param model: the connection's where None (templated).
    :param system_instruction: how the model is to behave (templated).
    :param generation_config: fields of ``google.genai.types.GenerateContentConfig``, as in
        ``{"temperature": 0, "max_output_tokens": 2000}`` (templated).
    """

    template_fields: Sequence[str] = (
        "prompt",
        "files",
        "model",
        "system_instruction",
        "generation_config",
        "gemini_conn_id",
    )
    operator_extra_links = (GeminiFileLink(),)
    template_fields_renderers = {"prompt": "md", "system_instruction": "md", "generation_config": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        prompt: str,
        files: FileLike | Sequence[FileLike] | None = None,
        model: str | None = None,
        system_instruction: str | None = None,
        generation_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.prompt = prompt
        self.files = files
        self.model = model
        self.system_instruction = system_instruction
        self.generation_config = generation_config

    def execute(self, context: Context) -> str:
        """Look up the files, ask, and account."""
        if not isinstance(self.prompt, str) or not self.prompt.strip():
            raise GeminiInputError(f"prompt is a text that is not empty, got {self.prompt!r}.")
        files = self.hook.active_files(parse_names(self.files)) if self.files is not None else []
        for file in files:
            self.log.info("Showing %s (%s, %s)", file.name, file.mime_type, file.display_name)
        answer = self.hook.generate_content(
            self.prompt,
            files,
            model=self.model,
            system_instruction=self.system_instruction,
            generation_config=self.generation_config,
        )
        # Pushed before the answer is judged: a blocked or cut one has been paid for, too.
        context["ti"].xcom_push(
            "response",
            {
                "model_version": answer.model_version,
                "finish_reason": answer.finish_reason,
                "usage": answer.usage,
                "files": [file.name for file in files],
            },
        )
        usage = answer.usage
        self.log.info(
            "%s answered (%s): %d tokens in, %d out, %d of thought",
            answer.model_version, answer.finish_reason, usage["prompt"], usage["answer"], usage["thoughts"],
        )  # fmt: skip
        return answer.whole_text()
