from __future__ import annotations

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator


def ask(**arguments: object) -> GeminiGenerateContentOperator:
    return GeminiGenerateContentOperator(task_id="ask", **arguments)


def test_the_answer_shows_what_the_model_saw_and_the_bill_is_pushed(emulator, hook, context, ti, text_file):
    file = hook.upload_file(text_file)

    text = ask(prompt="what?", files=file.name, model="gemini-3.8-pro").execute(context)

    assert f"{file.name} text/plain, 20 bytes, sha256 {file.sha256}" in text
    assert text.endswith("I was asked: what?")
    assert ti.pushed["response"] == {
        "model_version": "gemini-3.8-pro",
        "finish_reason": "STOP",
        "usage": ti.pushed["response"]["usage"],
        "files": [file.name],
    }
    assert ti.pushed["response"]["usage"]["total"] > 0


def test_the_model_of_the_connection_is_used_where_none_is_named(connect, gemini_emulator, context, ti):
    connect(host=gemini_emulator.base_url, extra={"model": "gemini-of-the-house"})

    ask(prompt="what?", model="").execute(context)

    assert ti.pushed["response"]["model_version"] == "gemini-of-the-house"


@pytest.mark.parametrize("prompt", ["", "  ", None, ["a"]])
def test_a_prompt_of_nothing_is_refused_before_anything_is_sent(emulator, context, prompt):
    with pytest.raises(e.GeminiInputError, match=r"prompt is a text|nothing to ask"):
        ask(prompt=prompt).execute(context)

    assert emulator.journal == []


def test_a_file_that_is_gone_is_told(emulator, context):
    with pytest.raises(e.GeminiFileGoneError, match="files/gone"):
        ask(prompt="what?", files=["files/gone"]).execute(context)


def test_the_fields_an_author_varies_are_templated():
    assert set(GeminiGenerateContentOperator.template_fields) >= {"prompt", "files", "model", "system_instruction"}
