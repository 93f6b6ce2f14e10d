from __future__ import annotations

import pytest

from airflow_provider_gemini_files.content.answer import Answer
from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiNoAnswerError,
    GeminiUnusableAnswerError,
)


def answered(*parts: dict, finish: str | None = "STOP", **candidate: object) -> Answer:
    return Answer.from_api({"candidates": [{"content": {"parts": list(parts)}, "finishReason": finish, **candidate}]})


def test_what_the_model_went_by_is_told_once():
    web = {"web": {"title": "Crates", "uri": "https://crates.example", "domain": "crates.example"}}
    stored = {
        "retrievedContext": {"title": "a.pdf", "fileSearchStore": "fileSearchStores/s", "text": "long", "pageNumber": 3}
    }
    pages = [
        {"retrievedUrl": "https://page.example", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"},
        {"retrievedUrl": "https://paid.example", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_PAYWALL"},
    ]

    answer = answered(
        {"text": "a"},
        groundingMetadata={"groundingChunks": [web, stored, web, {}]},
        urlContextMetadata={"urlMetadata": pages},
    )

    assert answer.sources == (
        {"title": "Crates", "uri": "https://crates.example"},
        {"title": "a.pdf", "store": "fileSearchStores/s", "page": 3},
        {"uri": "https://page.example"},
    )


@pytest.mark.parametrize("finish", ["STOP", None, "FINISH_REASON_UNSPECIFIED"])
def test_parts_are_joined_and_thoughts_left_out(finish):
    answer = answered({"text": "I think", "thought": True}, {"text": "a"}, {"text": "b"}, finish=finish)

    assert answer.usable_text() == "ab"


@pytest.mark.parametrize(
    ("reason", "kind", "advice"),
    [
        ("MAX_TOKENS", GeminiNoAnswerError, "Raise max_output_tokens"),
        ("SAFETY", GeminiNoAnswerError, "safety_settings"),
        ("LANGUAGE", GeminiNoAnswerError, "another model"),
        ("BLOCKLIST", GeminiNoAnswerError, "block list"),
        ("PROHIBITED_CONTENT", GeminiNoAnswerError, "No setting allows"),
        ("SPII", GeminiNoAnswerError, "personal data"),
        ("IMAGE_SAFETY", GeminiNoAnswerError, "safety_settings"),
        ("IMAGE_PROHIBITED_CONTENT", GeminiNoAnswerError, "No setting allows"),
        ("UNEXPECTED_TOOL_CALL", GeminiNoAnswerError, "does not name"),
        ("MODEL_ARMOR", GeminiNoAnswerError, "template"),
        ("RECITATION", GeminiUnusableAnswerError, "trained with.* A retry asks again"),
        ("MALFORMED_FUNCTION_CALL", GeminiUnusableAnswerError, "tool.* A retry asks again"),
        ("MALFORMED_RESPONSE", GeminiUnusableAnswerError, "form.* A retry asks again"),
        ("TOO_MANY_TOOL_CALLS", GeminiUnusableAnswerError, "without an end.* A retry asks again"),
        ("OTHER", GeminiUnusableAnswerError, "A retry asks again"),
        ("A_REASON_OF_NEXT_YEAR", GeminiUnusableAnswerError, "A retry asks again"),
    ],
)
@pytest.mark.parametrize("parts", [(), ({"text": "part"},)])
def test_an_answer_that_did_not_come_to_its_end_is_an_error_that_explains(reason, kind, advice, parts):
    with pytest.raises(
        GeminiFilesError, match=f"ended with {reason} after {4 * len(parts)} characters.*{advice}"
    ) as told:
        answered(*parts, finish=reason).usable_text()

    assert type(told.value) is kind


def test_the_service_s_own_words_and_ratings_are_told():
    ratings = [
        {"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"},
        {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "LOW", "blocked": True},
    ]

    with pytest.raises(GeminiNoAnswerError, match=r"\(not like this; DANGEROUS_CONTENT LOW\)"):
        answered(finish="SAFETY", finishMessage="not like this", safetyRatings=ratings).usable_text()


def test_a_cut_answer_is_kept_where_one_wants_it():
    assert answered({"text": "part"}, finish="MAX_TOKENS").usable_text(keep_cut=True) == "part"
    with pytest.raises(GeminiNoAnswerError, match="begins: 'part'"):
        answered({"text": "part"}, finish="MAX_TOKENS").usable_text()
    with pytest.raises(GeminiNoAnswerError, match="thoughts count, too"):
        answered(finish="MAX_TOKENS").usable_text(keep_cut=True)


@pytest.mark.parametrize(
    ("reason", "advice"), [("SAFETY", "safety_settings"), ("PROHIBITED_CONTENT", "No setting"), ("OTHER", "Change the")]
)
def test_a_blocked_prompt_is_an_error(reason, advice):
    feedback = {"blockReason": reason, "safetyRatings": [{"category": "HARM_CATEGORY_X", "probability": "HIGH"}]}

    with pytest.raises(GeminiNoAnswerError, match=f"blocked: {reason} \\(X HIGH\\).*{advice}"):
        Answer.from_api({"promptFeedback": feedback}).usable_text()


@pytest.mark.parametrize("response", [{}, {"candidates": []}, {"candidates": [{"finishReason": "STOP"}]}])
def test_an_answer_of_nothing_may_be_better_next_time(response):
    with pytest.raises(GeminiUnusableAnswerError, match="answered nothing"):
        Answer.from_api(response).usable_text()


def test_a_model_that_wants_a_function_to_be_called_is_told_apart():
    with pytest.raises(GeminiNoAnswerError, match="wants look_up to be called"):
        answered({"functionCall": {"name": "look_up", "args": {}}}).usable_text()
