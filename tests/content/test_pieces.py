from __future__ import annotations

import pytest

from airflow_provider_gemini_files.content.answer import Answer
from airflow_provider_gemini_files.content.pieces import joined, token_of


def piece(text: str | None, token: object = None, finish: str = "CONTINUATION", **candidate: object) -> dict:
    one = {"content": {"parts": [] if text is None else [{"text": text}]}, "finishReason": finish, **candidate}
    if token is not None:
        one["continuationToken"] = token
    usage = {
        "promptTokenCount": 5,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
        "totalTokenCount": 7,
    }
    return {"candidates": [one], "usageMetadata": usage, "modelVersion": "m"}


@pytest.mark.parametrize(
    ("response", "token"),
    [
        (piece("a", "next"), "next"),
        (piece("a", "next", finish="STOP"), None),
        (piece("a"), None),
        (piece("a", ""), None),
        (piece("a", 7), None),
        # It adds nothing, and might go on for ever.
        (piece(None, "next"), None),
        ({"candidates": []}, None),
        ({"candidates": ["odd"]}, None),
        ({"candidates": [{"content": "odd", "finishReason": "CONTINUATION", "continuationToken": "next"}]}, None),
    ],
)
def test_token_is_that_of_a_piece_which_is_not_the_last(response, token):
    assert token_of(response) == token


def test_pieces_are_one_answer_with_the_tokens_of_both():
    page = {"groundingChunks": [{"web": {"uri": "https://a"}}]}
    whole = joined(
        piece("one ", "next", groundingMetadata=page),
        piece(
            "two", finish="STOP", finishMessage="done", groundingMetadata={"groundingChunks": [{"web": {"uri": "b"}}]}
        ),
    )

    answer = Answer.from_api(whole)
    assert answer.usable_text() == "one two"
    assert (answer.finish_message, answer.sources) == ("done", ({"uri": "https://a"}, {"uri": "b"}))
    assert (answer.usage["prompt"], answer.usage["total"]) == (10, 14)
    assert answer.usage["by_modality"] == {"prompt": {"TEXT": 10}}
    assert token_of(whole) is None


@pytest.mark.parametrize("last", [{}, {"candidates": []}, {"candidates": None, "usageMetadata": None}])
def test_piece_of_nothing_leaves_an_answer_that_is_cut(last):
    answer = Answer.from_api(joined(piece("one", "next"), last))

    assert (answer.text, answer.is_cut, answer.usage["prompt"]) == ("one", True, 5)
