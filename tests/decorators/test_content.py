from __future__ import annotations

import pytest
from airflow.sdk import DAG, task

from airflow_provider_gemini_files.exceptions import GeminiInputError


def made(function, *args, **options):
    """Return the task that the decorator makes of a function."""
    with DAG("a_dag"):
        return task.gemini(**options)(function)(*args).operator


def test_the_function_returns_the_prompt_and_the_task_the_answer(emulator, hook, context, ti, text_file):
    file = hook.upload_file(text_file)

    def question(topic):
        return f"what about {topic}?"

    operator = made(question, "crates", files=file.name, model="gemini-3.8-pro")

    answer = operator.execute(context)

    assert f"{file.name} text/plain" in answer
    assert answer.endswith("I was asked: what about crates?")
    assert ti.pushed["response"]["model_version"] == "gemini-3.8-pro"
    assert operator.custom_operator_name == "@task.gemini"
    assert operator.task_id == "question"


def test_the_function_may_return_contents(emulator, context):
    def question():
        return [{"role": "user", "parts": ["two?"]}, {"role": "model", "parts": ["2"]}, "three?"]

    assert made(question).execute(context).endswith("I was asked: two?\n2\nthree?")


def test_the_function_is_given_what_it_asks_for_of_the_context(emulator, context, ti):
    def question(*, run_id, **_):
        return f"run {run_id}?"

    assert made(question).execute({**context, "run_id": "r1"}).endswith("run r1?")


@pytest.mark.parametrize("asked", [None, "", [], 5])
def test_a_function_that_returns_nothing_to_ask_is_told(emulator, context, asked):
    def question():
        return asked

    with pytest.raises(GeminiInputError):
        made(question).execute(context)

    assert emulator.journal == []


def test_what_it_returns_is_not_rendered():
    def question():
        return "{{ ds }}"

    fields = made(question).template_fields

    assert {"op_args", "op_kwargs", "files", "model", "output_path"} <= set(fields)
    assert not {"prompt", "contents"} & set(fields)
