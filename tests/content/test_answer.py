from __future__ import annotations

import base64
import copy

import pytest

from airflow_provider_gemini_files.content.answer import Answer, Media
from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiNoAnswerError,
    GeminiUnusableAnswerError,
)


def answered(*parts: dict, finish: str | None = "STOP", **candidate: object) -> Answer:
    return Answer.from_api({"candidates": [{"content": {"parts": list(parts)}, "finishReason": finish, **candidate}]})


def test_sources_are_listed_without_duplicates():
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
    assert answer.unread == ("https://paid.example (PAYWALL)",)


@pytest.mark.parametrize("finish", ["STOP", None, "FINISH_REASON_UNSPECIFIED"])
def test_text_parts_are_joined_without_thoughts(finish):
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
        ("MODEL_ARMOR", GeminiNoAnswerError, "Model Armor template"),
        ("RECITATION", GeminiUnusableAnswerError, "training data.* A retry sends the prompt again"),
        ("MALFORMED_FUNCTION_CALL", GeminiUnusableAnswerError, "tool.* A retry sends the prompt again"),
        ("MALFORMED_RESPONSE", GeminiUnusableAnswerError, "invalid form.* A retry sends the prompt again"),
        ("TOO_MANY_TOOL_CALLS", GeminiUnusableAnswerError, "too many tools.* A retry sends the prompt again"),
        ("OTHER", GeminiUnusableAnswerError, "A retry sends the prompt again"),
        ("A_REASON_OF_NEXT_YEAR", GeminiUnusableAnswerError, "A retry sends the prompt again"),
    ],
)
@pytest.mark.parametrize("parts", [(), ({"text": "part"},)])
def test_answer_that_ended_early_raises_an_error_with_advice(reason, kind, advice, parts):
    with pytest.raises(
        GeminiFilesError, match=f"ended with {reason} after {4 * len(parts)} characters.*{advice}"
    ) as raised:
        answered(*parts, finish=reason).usable_text()

    assert type(raised.value) is kind


def test_error_quotes_the_finish_message_and_safety_ratings():
    ratings = [
        {"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"},
        {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "LOW", "blocked": True},
    ]

    with pytest.raises(GeminiNoAnswerError, match=r"\(not like this; DANGEROUS_CONTENT LOW\)"):
        answered(finish="SAFETY", finishMessage="not like this", safetyRatings=ratings).usable_text()


def test_cut_answer_is_returned_only_with_keep_cut():
    assert answered({"text": "part"}, finish="MAX_TOKENS").usable_text(keep_cut=True) == "part"
    with pytest.raises(GeminiNoAnswerError, match="begins: 'part'"):
        answered({"text": "part"}, finish="MAX_TOKENS").usable_text()
    with pytest.raises(GeminiNoAnswerError, match="thoughts count, too"):
        answered(finish="MAX_TOKENS").usable_text(keep_cut=True)


@pytest.mark.parametrize(
    ("reason", "advice"), [("SAFETY", "safety_settings"), ("PROHIBITED_CONTENT", "No setting"), ("OTHER", "Change the")]
)
def test_blocked_prompt_raises_an_error_with_advice(reason, advice):
    feedback = {"blockReason": reason, "safetyRatings": [{"category": "HARM_CATEGORY_X", "probability": "HIGH"}]}

    with pytest.raises(GeminiNoAnswerError, match=f"blocked: {reason} \\(X HIGH\\).*{advice}"):
        Answer.from_api({"promptFeedback": feedback}).usable_text()


@pytest.mark.parametrize("response", [{}, {"candidates": []}, {"candidates": [{"finishReason": "STOP"}]}])
def test_empty_answer_can_be_retried(response):
    with pytest.raises(GeminiUnusableAnswerError, match=r"answered nothing.* A retry sends the prompt again"):
        Answer.from_api(response).usable_text()


def test_answer_of_thoughts_alone_says_so():
    response = {
        "candidates": [{"content": {"parts": [{"text": "hm", "thought": True}]}, "finishReason": "STOP"}],
        "usageMetadata": {"thoughtsTokenCount": 90},
    }

    with pytest.raises(GeminiUnusableAnswerError, match="answered only thoughts"):
        Answer.from_api(response).usable_text()


def test_function_call_instead_of_an_answer_is_named():
    with pytest.raises(GeminiNoAnswerError, match="wants look_up to be called"):
        answered({"functionCall": {"name": "look_up", "args": {}}}).usable_text()


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "OTHER"])
def test_finish_message_is_kept(reason):
    answer = answered(finish=reason, finishMessage="call(x=")

    assert answer.finish_message == "call(x="
    with pytest.raises(GeminiUnusableAnswerError, match=r"\(call\(x=\)"):
        answer.usable_text()


@pytest.mark.parametrize("text", [" ", "\n\t\n", "\u00a0"])
@pytest.mark.parametrize(("finish", "error"), [
    ("STOP", GeminiUnusableAnswerError), (None, GeminiUnusableAnswerError), ("MAX_TOKENS", GeminiNoAnswerError),
])  # fmt: skip
def test_whitespace_is_not_an_answer(text, finish, error):
    with pytest.raises(error):
        answered({"text": text}, finish=finish).usable_text(keep_cut=True)


# --- media -----------------------------------------------------------------------------------------------------------

IMAGE = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"png\xfb\xff").decode()}}
AUDIO = {"inlineData": {"mimeType": "audio/wav", "data": base64.urlsafe_b64encode(b"wav\xfb\xff").decode().rstrip("=")}}


def test_media_are_kept_beside_the_text():
    answer = answered({"text": "a"}, IMAGE, {"text": "b"}, AUDIO)

    assert answer.usable_text() == "ab"
    assert answer.media == (Media("image/png", b"png\xfb\xff"), Media("audio/wav", b"wav\xfb\xff"))


def test_media_as_bytes_are_kept_as_they_are():
    part = {"inlineData": {"mimeType": "image/png", "data": b"png"}}

    assert answered(part).media == (Media("image/png", b"png"),)


def test_media_of_thoughts_are_left_out():
    assert answered({**IMAGE, "thought": True}, {"text": "a"}).media == ()


BROKEN = pytest.mark.parametrize(
    "inline",
    [
        {"mimeType": "image/png"},
        {"mimeType": "image/png", "data": None},
        {"mimeType": "image/png", "data": ""},
        {"mimeType": "image/png", "data": "a"},
        {"mimeType": "image/png", "data": "not base64!"},
        {"mimeType": "image/png", "data": "Grüße"},
        {"mimeType": "image/png", "data": ["cG5n"]},
    ],
)


@BROKEN
def test_media_that_cannot_be_decoded_do_not_lose_the_answer(inline):
    answer = answered({"text": "a"}, {"inlineData": inline}, IMAGE)

    assert answer.usable_text() == "a"
    assert answer.media == (Media("image/png", b"png\xfb\xff"),)
    assert answer.unreadable == ("image/png",)


@BROKEN
def test_answer_of_media_that_cannot_be_decoded_can_be_retried(inline):
    with pytest.raises(GeminiUnusableAnswerError, match=r"only media that cannot be decoded: image/png.* A retry"):
        answered({"inlineData": inline}).usable_text(media_suffice=True)


@pytest.mark.parametrize("inline", ["cG5n", ["cG5n"], {"mimeType": "", "data": "!"}, {"mimeType": None, "data": "!"}])
def test_media_of_no_type_are_bytes_that_cannot_be_decoded(inline):
    assert answered({"text": "a"}, {"inlineData": inline}).unreadable == ("application/octet-stream",)


def test_line_breaks_within_base64_are_skipped():
    part = {"inlineData": {"mimeType": "image/png", "data": "cG\r\n5n\n"}}

    assert answered(part).media == (Media("image/png", b"png"),)


@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        ((IMAGE,), "1 image/png"),
        ((IMAGE, AUDIO, IMAGE), "2 image/png, 1 audio/wav"),
        ((IMAGE, {"text": " "}), "1 image/png"),
        (
            ({"executableCode": {"code": "1"}, "thoughtSignature": "x"}, {"codeExecutionResult": {"output": "1"}}),
            "1 executableCode, 1 codeExecutionResult",
        ),
    ],
)
def test_answer_without_text_names_the_kinds_that_came(parts, kinds):
    with pytest.raises(GeminiNoAnswerError, match=f"no text, only: {kinds}.* response_modalities"):
        answered(*parts).usable_text()


# --- candidates ------------------------------------------------------------------------------------------------------


def candidate(text: str, finish: str = "STOP", **fields: object) -> dict:
    return {"content": {"parts": [{"text": text}]}, "finishReason": finish, **fields}


BLOCKED = {"finishReason": "SAFETY", "finishMessage": "not like this"}


@pytest.mark.parametrize(
    "candidates",
    [
        [candidate("good"), candidate("other")],
        [BLOCKED, candidate("good")],
        [candidate(" "), candidate("good")],
        [candidate("half", "MAX_TOKENS"), candidate("good")],
        [{"content": {"parts": [IMAGE]}, "finishReason": "STOP"}, candidate("good")],
        [{"content": None}, candidate("good", safetyRatings=None)],
    ],
)
def test_first_usable_candidate_is_taken(candidates):
    assert Answer.from_api({"candidates": candidates}).usable_text() == "good"


def test_cut_candidate_is_better_than_a_blocked_one():
    answer = Answer.from_api({"candidates": [BLOCKED, candidate("half", "MAX_TOKENS")]})

    assert answer.usable_text(keep_cut=True) == "half"


def test_first_candidate_explains_if_none_can_be_used():
    with pytest.raises(GeminiNoAnswerError, match=r"SAFETY .*\(not like this\)"):
        Answer.from_api({"candidates": [BLOCKED, {"finishReason": "OTHER"}]}).usable_text()


# --- forms that no service should send -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "response",
    [
        {"candidates": "none"},
        {"candidates": {"content": {}}},
        {"candidates": [None, "text", 3]},
        {"candidates": [{"content": "text", "finishReason": "STOP"}]},
        {"candidates": [{"content": {"parts": {"text": "a"}}, "finishReason": "STOP"}]},
        {"candidates": [{"content": {"parts": [None, "text", {"text": 3}, {"text": None}]}, "finishReason": "STOP"}]},
    ],
)
def test_response_of_wrong_types_is_an_answer_of_nothing(response):
    with pytest.raises(GeminiUnusableAnswerError, match="answered nothing"):
        Answer.from_api({**response, "usageMetadata": "many", "promptFeedback": None}).usable_text()


def test_what_can_be_read_is_read_beside_what_cannot():
    parts = [None, {"text": ["a"]}, {"text": "good"}, "text"]
    usage = {"promptTokenCount": 7, "candidatesTokenCount": "3", "promptTokensDetails": ["TEXT"]}

    answer = Answer.from_api(
        {
            "candidates": [
                "text",
                {
                    "content": {"parts": parts},
                    "finishReason": "STOP",
                    "safetyRatings": ["HIGH", {"category": "HARM_CATEGORY_X", "probability": "HIGH"}],
                    "groundingMetadata": {"groundingChunks": ["a page", {"web": {"uri": "https://a"}}, {"web": "b"}]},
                },
            ],
            "usageMetadata": usage,
            "modelVersion": 3,
        }
    )

    assert answer.usable_text() == "good"
    assert answer.ratings == ("X HIGH",)
    assert answer.sources == ({"uri": "https://a"},)
    assert (answer.usage["prompt"], answer.usage["answer"], answer.usage["by_modality"]) == (7, 3, {})
    assert answer.model_version == "3"


@pytest.mark.parametrize("reason", [7, ["SAFETY"], {"reason": "SAFETY"}])
def test_reason_of_a_wrong_type_is_quoted(reason):
    with pytest.raises(GeminiUnusableAnswerError, match="ended with"):
        answered(finish=reason, finishMessage={"text": "because"}).usable_text()
    with pytest.raises(GeminiNoAnswerError, match="blocked"):
        Answer.from_api({"promptFeedback": {"blockReason": reason}}).usable_text()


USUAL = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {"text": "hm", "thought": True},
                    {"text": "paid for"},
                    {"functionCall": {"name": "look_up"}},
                    {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
                    {"executableCode": {"code": "1"}},
                ]
            },
            "finishReason": "STOP",
            "finishMessage": "done",
            "safetyRatings": [{"category": "HARM_CATEGORY_X", "probability": "HIGH", "blocked": True}],
            "groundingMetadata": {
                "groundingChunks": [
                    {"web": {"uri": "https://a", "title": "A"}},
                    {
                        "retrievedContext": {
                            "title": "a.pdf",
                            "fileSearchStore": "fileSearchStores/s",
                            "pageNumber": 3,
                            "customMetadata": [{"key": "team", "stringListValue": {"values": ["ops"]}}],
                        }
                    },
                ]
            },
            "urlContextMetadata": {"urlMetadata": [{"retrievedUrl": "https://b", "urlRetrievalStatus": "X"}]},
        }
    ],
    "promptFeedback": {"safetyRatings": [{"category": "HARM_CATEGORY_X", "probability": "LOW"}]},
    "usageMetadata": {"promptTokenCount": 3, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}]},
    "modelVersion": "m",
}


def places_in(value: object, path: tuple = ()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places_in(inner, (*path, key))


@pytest.mark.parametrize("odd", [None, True, 5, 1.5, "odd", [], {}, [None], ["odd"], {"odd": 1}, [[1]]], ids=repr)
def test_odd_value_in_any_place_loses_nothing_else(odd):
    for place in places_in(USUAL):
        response = copy.deepcopy(USUAL)
        inner = response
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = odd

        answer = Answer.from_api(response)

        answer.other_kinds()
        if place not in TEXT_IS_IN:
            assert "paid for" in str(answer.text), place


#: The places without which there is no text.
TEXT_IS_IN = [("candidates", 0, "content", "parts", 1, "text")[:length] for length in range(1, 7)]


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\ufeff", "\u00a0\u2060", "\0"])
def test_text_that_nobody_can_see_is_no_answer(text):
    good = {"content": {"parts": [{"text": "good"}]}, "finishReason": "STOP"}

    with pytest.raises(GeminiUnusableAnswerError, match=r"answered (nothing|only whitespace)"):
        answered({"text": text}).usable_text()
    assert Answer.from_api({"candidates": [{"content": {"parts": [{"text": text}]}}, good]}).usable_text() == "good"


@pytest.mark.parametrize("reason", ["BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED", "", None])
def test_unspecified_reason_does_not_block(reason):
    answer = Answer.from_api(
        {"promptFeedback": {"blockReason": reason}, "candidates": [{"content": {"parts": [{"text": "good"}]}}]}
    )

    assert answer.usable_text() == "good"


def test_calls_beside_a_text_are_counted_among_the_rest():
    answer = answered({"text": "a"}, {"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}}, IMAGE)

    assert answer.usable_text() == "a"
    assert answer.other_kinds() == "1 image/png, 2 call of f"
