from __future__ import annotations

import pytest

from airflow_provider_gemini_files.content.answer import Answer
from airflow_provider_gemini_files.exceptions import GeminiNoAnswerError


def answered(*parts: dict, finish: str | None = "STOP") -> Answer:
    return Answer.from_api({"candidates": [{"content": {"parts": list(parts)}, "finishReason": finish}]})


def test_parts_are_joined_and_thoughts_left_out():
    assert answered({"text": "I think", "thought": True}, {"text": "a"}, {"text": "b"}).whole_text() == "ab"


def test_usage_is_counted_with_zero_where_nothing_is_said():
    answer = Answer.from_api({"usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 2}})

    assert answer.usage == {"prompt": 5, "answer": 0, "thoughts": 2, "cached": 0, "total": 0}


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "SAFETY", "RECITATION", "OTHER"])
def test_an_answer_that_was_cut_is_an_error_that_names_the_reason(reason):
    with pytest.raises(GeminiNoAnswerError, match=f"ended with {reason} after 4 characters"):
        answered({"text": "part"}, finish=reason).whole_text()


def test_a_blocked_prompt_is_an_error():
    with pytest.raises(GeminiNoAnswerError, match="blocked"):
        Answer.from_api({"promptFeedback": {"blockReason": "SAFETY"}}).whole_text()


@pytest.mark.parametrize("response", [{}, {"candidates": []}, {"candidates": [{"finishReason": "STOP"}]}])
def test_an_answer_without_text_is_an_error(response):
    with pytest.raises(GeminiNoAnswerError, match="without any text"):
        Answer.from_api(response).whole_text()
