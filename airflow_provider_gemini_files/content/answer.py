"""A model's answer: its text and media, or why there is none, and what it cost."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_url
from airflow_provider_gemini_files.content.pieces import CONTINUATION
from airflow_provider_gemini_files.content.tokens import usage_of
from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiNoAnswerError,
    GeminiUnusableAnswerError,
)
from airflow_provider_gemini_files.file_search.search import citations_of

#: What the service says of a prompt that it has not blocked; its SDK spells the name in another way.
_NOT_BLOCKED = ("None", "", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED")
#: Unicode's categories of control and format characters, and of spaces.
_INVISIBLE = ("Cc", "Cf", "Zs", "Zl", "Zp")
_COMPLETE = (None, "FINISH_REASON_UNSPECIFIED", "STOP")
_CUT = "MAX_TOKENS"
_CUT_REASONS = (_CUT, CONTINUATION)
_SAFETY = "Change the prompt or the files, or safety_settings in generation_config"
#: Advice for finish reasons that the same request would reach again.
_ADVICE = {
    CONTINUATION: "Further pieces of the answer were not asked for, or did not come",
    _CUT: "Raise max_output_tokens (thoughts count, too: thinking_config), or ask for less",
    "SAFETY": _SAFETY,
    "IMAGE_SAFETY": _SAFETY,
    "LANGUAGE": "The model does not support this language: choose another model",
    "BLOCKLIST": "The answer contains words of a block list: change the prompt or the files",
    "PROHIBITED_CONTENT": "No setting allows such content: change the prompt or the files",
    "IMAGE_PROHIBITED_CONTENT": "No setting allows such content: change the prompt or the files",
    "SPII": "The answer would contain personal data: change the prompt or the files",
    "UNEXPECTED_TOOL_CALL": "The model called a tool that generation_config does not name",
    "MODEL_ARMOR": "A Model Armor template of the project blocked it: change the prompt, the files or the template",
}
#: Causes of finish reasons that a retry may not reach.
_CAUSES = {
    "RECITATION": "The answer was too close to training data; ask for it in the model's own words",
    "MALFORMED_FUNCTION_CALL": "The model called a tool in an invalid form",
    "MALFORMED_RESPONSE": "The model answered in an invalid form",
    "TOO_MANY_TOOL_CALLS": "The model called too many tools",
}
#: Fields of a source that are kept, and their names here; the text that was found is not.
_SOURCE_FIELDS = {"title": "title", "uri": "uri", "fileSearchStore": "store", "pageNumber": "page"}
_RETRIEVED = (None, "URL_RETRIEVAL_STATUS_SUCCESS")
#: Fields of a part that are not its kind.
_NOT_A_KIND = {"text", "thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"}
#: Characters of an answer that an error quotes.
_HEAD = 200


@dataclass(frozen=True)
class Media:
    """
    An image, an audio clip or another file within an answer.

    :param data: the bytes, decoded.
    """

    mime_type: str
    data: bytes


@dataclass(frozen=True)
class Answer:
    """
    What ``generateContent`` returned; of several candidates, the first that can be used.

    :param text: the text without the model's thoughts; None if there is none.
    :param finish_reason: ``STOP`` if the answer is complete.
    :param finish_message: what the service says about the end; None if it says nothing.
    :param blocked: why the prompt was refused; None if it was not.
    :param ratings: safety ratings against the prompt or the answer, such as ``DANGEROUS_CONTENT HIGH``.
    :param calls: names of the functions that the model wants to be called.
    :param media: images, audio and other files of the answer, in order, without those of the model's thoughts.
    :param other_parts: kinds of all other parts, such as ``executableCode``.
    :param sources: pages and documents that the answer is based on, as in ``{"title", "uri"}``, without duplicates.
    :param citations: documents of file search stores that the answer is based on: ``{"title", "store", "page",
        "metadata", "source"}``, without duplicates and without what is not known; ``source`` is the URI that a sync of
        this package wrote.
    :param usage: see :func:`~airflow_provider_gemini_files.content.tokens.usage_of`; of all candidates.
    :param unread: URLs of the prompt that the model could not read, and why, as in ``https://a.example (PAYWALL)``.
    :param unreadable: MIME types of media that are empty or cannot be decoded; they are not in ``media``.
    """

    text: str | None
    finish_reason: str | None
    blocked: str | None
    model_version: str | None
    usage: dict[str, Any]
    finish_message: str | None = None
    ratings: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    other_parts: tuple[str, ...] = ()
    sources: tuple[dict[str, Any], ...] = ()
    citations: tuple[dict[str, Any], ...] = ()
    unread: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    @classmethod
    def from_api(cls, response: Mapping[str, Any]) -> Answer:
        """Read a response of the service (REST spelling); what has an odd form is left out."""
        candidate = min(_mappings(response.get("candidates")) or [{}], key=_rank)
        feedback = _mapping(response.get("promptFeedback"))
        parts = _parts(candidate)
        inline = [_media(part["inlineData"]) for part in parts if part.get("inlineData")]
        return cls(
            text=_text(parts) or None,
            finish_reason=_name(candidate.get("finishReason") or None),
            finish_message=_name(candidate.get("finishMessage") or feedback.get("blockReasonMessage")),
            blocked=None if str(reason := feedback.get("blockReason")) in _NOT_BLOCKED else str(reason),
            ratings=_ratings([*_mappings(feedback.get("safetyRatings")), *_mappings(candidate.get("safetyRatings"))]),
            calls=tuple(str(_mapping(part["functionCall"]).get("name")) for part in parts if part.get("functionCall")),
            media=tuple(one for one in inline if one.data),
            other_parts=_other_parts(parts),
            unreadable=tuple(one.mime_type for one in inline if not one.data),
            sources=_sources(candidate),
            unread=_unread(candidate),
            citations=citations_of(candidate.get("groundingMetadata")),
            model_version=_name(response.get("modelVersion")),
            usage=usage_of(_mapping(response.get("usageMetadata"))),
        )

    def usable_text(
        self, *, keep_cut: bool = False, media_suffice: bool = False, require_citations: bool = False
    ) -> str:
        """
        Return the text if it can be used.

        :param keep_cut: accept the text of an answer that was cut at its token limit.
        :param media_suffice: return an empty text for an answer that has only media.
        :param require_citations: refuse an answer that no document of a file search store supports.
        :raises GeminiNoAnswerError: if a retry would end the same way: a blocked prompt or answer, an answer without
            text but with media or function calls.
        :raises GeminiUnusableAnswerError: if a retry may end better.
        """
        if self.blocked:
            raise GeminiNoAnswerError(
                f"The prompt was blocked: {self.blocked}{self._details()}. {_ADVICE.get(self.blocked, _SAFETY)}."
            )
        text = self.text if _says_something(self.text) else None
        if self.finish_reason not in _COMPLETE and not (keep_cut and self.is_cut and text):
            raise self._ended_early()
        if require_citations and not self.citations:
            raise GeminiNoAnswerError(
                "The answer cites no document of the file search stores: nothing was found in them, and the model "
                "answered from its own knowledge. It begins: {(text or '')[:_HEAD]!r}. Check the prompt and "
                "metadata_filter, and that the stores have ACTIVE documents."
            )
        if text or (media_suffice and self.media):
            return text or ""
        raise self._no_text()

    @property
    def is_cut(self) -> bool:
        """Return whether there is more to the answer than its text."""
        return self.finish_reason in _CUT_REASONS

    def other_kinds(self) -> str:
        """Return how many parts of which kinds there are besides text, as in ``2 image/png``."""
        kinds = [*(one.mime_type for one in self.media), *self.other_parts, *(f"call of {name}" for name in self.calls)]
        return ", ".join(f"{count} {kind}" for kind, count in Counter(kinds).items())

    def _ended_early(self) -> GeminiFilesError:
        reason = str(self.finish_reason)
        text = self.text or ""
        message = f"The answer ended with {reason} after {len(text)} characters{self._details()}."
        if text:
            message += f" It begins: {text[:_HEAD]!r}."
        if advice := _ADVICE.get(reason):
            return GeminiNoAnswerError(f"{message} {advice}.")
        cause = f" {_CAUSES[reason]}." if reason in _CAUSES else ""
        return GeminiUnusableAnswerError(f"{message}{cause} A retry sends the prompt again, and may succeed.")

    def _no_text(self) -> GeminiFilesError:
        if self.calls:
            return GeminiNoAnswerError(
                f"The model wants {', '.join(self.calls)} to be called instead of answering. The task does not call "
                "functions: remove function_declarations from generation_config's tools, or set tool_config's mode to "
                "NONE."
            )
        if kinds := self.other_kinds():
            return GeminiNoAnswerError(
                f"The answer has no text, only: {kinds}{self._details()}. Ask for text in the prompt and in "
                "generation_config's response_modalities. To keep media, give the task an output_path, or use "
                "GeminiFilesHook.generate_content, whose Answer has them in its media field. Those of a batch are in "
                "the result file of its job."
            )
        if self.unreadable:
            return GeminiUnusableAnswerError(
                f"The answer has no text, only media that cannot be decoded: {', '.join(self.unreadable)}"
                f"{self._details()}. A retry sends the prompt again."
            )
        what = "only whitespace" if self.text else "only thoughts" if self.usage["thoughts"] else "nothing"
        return GeminiUnusableAnswerError(
            f"The model answered {what}, without a reason{self._details()}. A retry sends the prompt again."
        )

    def _details(self) -> str:
        details = "; ".join(filter(None, [self.finish_message, ", ".join(self.ratings)]))
        return f" ({details})" if details else ""


def _rank(candidate: Mapping[str, Any]) -> int:
    """Return how useful a candidate is, 0 for the most: complete text, cut text, complete without text, the rest."""
    reason, has_text = candidate.get("finishReason") or None, _says_something(_text(_parts(candidate)))
    if has_text and reason in _COMPLETE:
        return 0
    if has_text and reason in _CUT_REASONS:
        return 1
    return 2 if reason in _COMPLETE and _parts(candidate) else 3


def _parts(candidate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the parts of a candidate, without the model's thoughts."""
    return [part for part in _mappings(_mapping(candidate.get("content")).get("parts")) if not part.get("thought")]


def _text(parts: Iterable[Mapping[str, Any]]) -> str:
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _says_something(text: str | None) -> bool:
    """Return whether a text has a character that can be seen, so neither a space nor a byte order mark."""
    return any(unicodedata.category(character) not in _INVISIBLE for character in text or "")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a list; what else is in its place is not worth an answer that was paid for."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _media(inline: Any) -> Media:
    given = _mapping(inline)
    return Media(_name(given.get("mimeType")) or "application/octet-stream", _decoded(given.get("data")))


def _decoded(data: Any) -> bytes:
    """Decode standard or URL-safe base64, with or without padding; return nothing for anything else."""
    if not isinstance(data, str):
        return data if isinstance(data, bytes) else b""
    text = "".join(data.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _name(value: Any) -> str | None:
    """Return a field that names something; a gateway may send a number in its place."""
    return None if value is None else str(value)


def _other_parts(parts: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    known = {*_NOT_A_KIND, "inlineData", "functionCall"}
    return tuple(key for part in parts for key, value in part.items() if value and key not in known)


def _sources(candidate: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    chunks = _mappings(_mapping(candidate.get("groundingMetadata")).get("groundingChunks"))
    pages = _pages(candidate)
    found = [found for chunk in chunks for found in chunk.values() if isinstance(found, Mapping)]
    found += [{"uri": page.get("retrievedUrl")} for page in pages if page.get("urlRetrievalStatus") in _RETRIEVED]
    sources = ({name: one[key] for key, name in _SOURCE_FIELDS.items() if one.get(key) is not None} for one in found)
    return tuple(unique_sources(source for source in sources if source))


def _pages(candidate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _mappings(_mapping(candidate.get("urlContextMetadata")).get("urlMetadata"))


def _unread(candidate: Mapping[str, Any]) -> tuple[str, ...]:
    unread = [page for page in _pages(candidate) if page.get("urlRetrievalStatus") not in _RETRIEVED]
    return tuple(
        f"{shown_url(str(page.get('retrievedUrl')))} "
        f"({str(page['urlRetrievalStatus']).removeprefix('URL_RETRIEVAL_STATUS_')})"
        for page in unread
    )


def unique_sources(sources: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return sources in order without duplicates; retrieval returns one entry for each chunk of a document."""
    return list({str(source): source for source in sources}.values())


def _ratings(ratings: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the ratings that blocked something, or may have."""
    found = [
        f"{str(rating.get('category')).removeprefix('HARM_CATEGORY_')} {rating.get('probability')}"
        for rating in ratings
        if rating.get("blocked") or rating.get("probability") in ("MEDIUM", "HIGH")
    ]
    return tuple(dict.fromkeys(found))
