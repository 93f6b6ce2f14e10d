"""A model's answer: its text, or why there is none, and what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.content.tokens import usage_of
from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiNoAnswerError,
    GeminiUnusableAnswerError,
)

_WHOLE = (None, "FINISH_REASON_UNSPECIFIED", "STOP")
CUT = "MAX_TOKENS"
_SAFETY = "Change the prompt or the files, or safety_settings in generation_config"
#: What an author can do about an end that asking again would reach again.
_ADVICE = {
    CUT: "Raise max_output_tokens (thoughts count, too: thinking_config), or ask for less",
    "SAFETY": _SAFETY,
    "IMAGE_SAFETY": _SAFETY,
    "LANGUAGE": "The model does not speak this language: name another model",
    "BLOCKLIST": "The answer has words of a block list: change the prompt or the files",
    "PROHIBITED_CONTENT": "No setting allows such content: change the prompt or the files",
    "IMAGE_PROHIBITED_CONTENT": "No setting allows such content: change the prompt or the files",
    "SPII": "The answer would have personal data: change the prompt or the files",
    "UNEXPECTED_TOOL_CALL": "The model called a tool that generation_config does not name",
    "MODEL_ARMOR": "A template of the project refuses it: change the prompt, the files or the template",
}
#: What is told of a source, beside the text that was found there.
_SOURCE_FIELDS = {"title": "title", "uri": "uri", "fileSearchStore": "store", "pageNumber": "page"}
_RETRIEVED = (None, "URL_RETRIEVAL_STATUS_SUCCESS")
#: What is behind an end that may not come again.
_CAUSES = {
    "RECITATION": "The answer came too near to what the model was trained with; ask for it in the model's own words",
    "MALFORMED_FUNCTION_CALL": "The model called a tool in a form that cannot be read",
    "MALFORMED_RESPONSE": "The model answered in a form that cannot be read",
    "TOO_MANY_TOOL_CALLS": "The model called tools without an end",
}


@dataclass(frozen=True)
class Answer:
    """
    What ``generateContent`` answered.

    :param text: the answer's text without the model's thoughts, None where there is none.
    :param finish_reason: ``STOP`` where the answer is whole.
    :param finish_message: what the service says about the end, None where it says nothing.
    :param blocked: why the prompt was refused, None where it was not.
    :param ratings: what safety ratings say against prompt or answer, as in ``DANGEROUS_CONTENT HIGH``.
    :param calls: the functions that the model wants to be called.
    :param sources: what a search or a page gave the model to go by, as in ``{"title", "uri"}``; each once.
    :param usage: see :func:`~airflow_provider_gemini_files.content.usage.usage_of`.
    """

    text: str | None
    finish_reason: str | None
    blocked: str | None
    model_version: str | None
    usage: dict[str, Any]
    finish_message: str | None = None
    ratings: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    sources: tuple[dict[str, Any], ...] = ()

    @classmethod
    def from_api(cls, response: Mapping[str, Any]) -> Answer:
        """Read the service's answer (REST spelling)."""
        candidate: Mapping[str, Any] = (response.get("candidates") or [{}])[0]
        feedback: Mapping[str, Any] = response.get("promptFeedback") or {}
        parts = (candidate.get("content") or {}).get("parts") or []
        texts = [part["text"] for part in parts if part.get("text") and not part.get("thought")]
        return cls(
            text="".join(texts) or None,
            finish_reason=candidate.get("finishReason"),
            finish_message=candidate.get("finishMessage") or feedback.get("blockReasonMessage"),
            blocked=feedback.get("blockReason"),
            ratings=_ratings([*(feedback.get("safetyRatings") or []), *(candidate.get("safetyRatings") or [])]),
            calls=tuple(str(part["functionCall"].get("name")) for part in parts if part.get("functionCall")),
            sources=_sources(candidate),
            model_version=response.get("modelVersion"),
            usage=usage_of(response.get("usageMetadata") or {}),
        )

    def usable_text(self, *, keep_cut: bool = False) -> str:
        """
        Return the text, where it can be used.

        :param keep_cut: take the text of an answer that was cut at its limit of tokens, where it has any.
        :raises GeminiNoAnswerError: for a prompt that was blocked, and an answer that would end alike again.
        :raises GeminiUnusableAnswerError: where another answer to the same question may be of use.
        """
        if self.blocked:
            raise GeminiNoAnswerError(
                f"The prompt was blocked: {self.blocked}{self._said()}. {_ADVICE.get(self.blocked, _SAFETY)}."
            )
        if self.finish_reason not in _WHOLE and not (keep_cut and self.finish_reason == CUT and self.text):
            raise self._ended()
        if self.text:
            return self.text
        if self.calls:
            raise GeminiNoAnswerError(
                f"The model wants {', '.join(self.calls)} to be called instead of answering. Functions are not called "
                "here: leave function_declarations out of generation_config's tools, or set tool_config's mode to NONE."
            )
        raise GeminiUnusableAnswerError("The model answered nothing, and did not say why. A retry asks it again.")

    def _ended(self) -> GeminiFilesError:
        reason = str(self.finish_reason)
        text = self.text or ""
        told = f"The answer ended with {reason} after {len(text)} characters{self._said()}."
        if text:
            told += f" It begins: {text[:200]!r}."
        if advice := _ADVICE.get(reason):
            return GeminiNoAnswerError(f"{told} {advice}.")
        cause = f" {_CAUSES[reason]}." if reason in _CAUSES else ""
        return GeminiUnusableAnswerError(f"{told}{cause} A retry asks again, and may be answered otherwise.")

    def _said(self) -> str:
        said = "; ".join(filter(None, [self.finish_message, ", ".join(self.ratings)]))
        return f" ({said})" if said else ""


def _sources(candidate: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    chunks = (candidate.get("groundingMetadata") or {}).get("groundingChunks") or []
    pages = (candidate.get("urlContextMetadata") or {}).get("urlMetadata") or []
    found = [found for chunk in chunks for found in chunk.values() if isinstance(found, Mapping)]
    found += [{"uri": page.get("retrievedUrl")} for page in pages if page.get("urlRetrievalStatus") in _RETRIEVED]
    told = ({told: one[key] for key, told in _SOURCE_FIELDS.items() if one.get(key) is not None} for one in found)
    return tuple(each_once(source for source in told if source))


def each_once(sources: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return sources in order, each once: a document is found in as many places as it has pieces."""
    return list({str(source): source for source in sources}.values())


def _ratings(ratings: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the ratings because of which something was blocked, or might have been."""
    told = [
        f"{str(rating.get('category')).removeprefix('HARM_CATEGORY_')} {rating.get('probability')}"
        for rating in ratings
        if rating.get("blocked") or rating.get("probability") in ("MEDIUM", "HIGH")
    ]
    return tuple(dict.fromkeys(told))
