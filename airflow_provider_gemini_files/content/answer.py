"""A model's answer: its text, or why there is none, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.exceptions import GeminiNoAnswerError


@dataclass(frozen=True)
class Answer:
    """
    What ``generateContent`` answered.

    :param text: the answer's text without the model's thoughts, None where there is none.
    :param finish_reason: ``STOP`` where the answer is whole.
    :param blocked: why the prompt was refused, None where it was not.
    :param usage: token counts: ``prompt``, ``answer``, ``thoughts``, ``cached``, ``total``.
    """

    text: str | None
    finish_reason: str | None
    blocked: str | None
    model_version: str | None
    usage: dict[str, int]

    @classmethod
    def from_api(cls, response: Mapping[str, Any]) -> Answer:
        """Read the service's answer (REST spelling)."""
        candidates = response.get("candidates") or [{}]
        parts = (candidates[0].get("content") or {}).get("parts") or []
        texts = [part["text"] for part in parts if part.get("text") and not part.get("thought")]
        usage = response.get("usageMetadata") or {}
        return cls(
            text="".join(texts) or None,
            finish_reason=candidates[0].get("finishReason"),
            blocked=(response.get("promptFeedback") or {}).get("blockReason"),
            model_version=response.get("modelVersion"),
            usage={
                "prompt": usage.get("promptTokenCount") or 0,
                "answer": usage.get("candidatesTokenCount") or 0,
                "thoughts": usage.get("thoughtsTokenCount") or 0,
                "cached": usage.get("cachedContentTokenCount") or 0,
                "total": usage.get("totalTokenCount") or 0,
            },
        )

    def whole_text(self) -> str:
        """
        Return the text of an answer that came to its end.

        :raises GeminiNoAnswerError: for a blocked prompt, an answer that was cut or stopped, or an empty one.
        """
        if self.blocked:
            raise GeminiNoAnswerError(f"The prompt was blocked ({self.blocked}): change the prompt or the files.")
        if self.finish_reason not in (None, "STOP"):
            raise GeminiNoAnswerError(
                f"The answer ended with {self.finish_reason} after {len(self.text or '')} characters. MAX_TOKENS: "
                "raise max_output_tokens; SAFETY, RECITATION and others: change the prompt or the files."
            )
        if not self.text:
            raise GeminiNoAnswerError("The model answered without any text: change the prompt or the files.")
        return self.text
