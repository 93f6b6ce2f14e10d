from __future__ import annotations

import pytest

from airflow_provider_gemini_files import exceptions as e


def test_the_model_sees_the_files_in_order_and_then_the_prompt(hook, emulator, text_file, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("1,2")
    files = [hook.upload_file(path) for path in (text_file, other)]

    answer = hook.generate_content("what is it?", files, system_instruction="be short")

    lines = (answer.text or "").splitlines()
    assert lines[1:] == [
        f"1. {files[0].name} text/plain, 20 bytes, sha256 {files[0].sha256}",
        f"2. {files[1].name} text/csv, 3 bytes, sha256 {files[1].sha256}",
        "I was instructed: be short",
        "I was asked: what is it?",
    ]
    assert answer.finish_reason == "STOP"
    assert answer.usage["total"] == answer.usage["prompt"] + answer.usage["answer"] > 0


def test_a_configuration_that_is_wrong_is_refused_before_anything_is_sent(hook, emulator):
    with pytest.raises(e.GeminiInputError, match=r"generation_config is not valid: temperature: .*; no_such_field"):
        hook.generate_content("x", generation_config={"temperature": "hot", "no_such_field": 1})

    assert emulator.journal == []


def test_a_model_that_does_not_exist_is_told(hook):
    with pytest.raises(e.GeminiInputError, match=r"gemini-1\.5-flash.* not found.*Check the model"):
        hook.generate_content("x", model="gemini-1.5-flash")
