from __future__ import annotations

import pytest
from airflow.sdk import DAG, task

from airflow_provider_gemini_files.exceptions import GeminiInputError


def task_of(function, *args, **options):
    """Return the task that the decorator creates from a function."""
    with DAG("a_dag"):
        return task.gemini(**options)(function)(*args).operator


def test_function_returns_the_prompt_and_task_the_answer(emulator, hook, context, ti, text_file):
    file = hook.upload_file(text_file)

    def question(topic):
        return f"what about {topic}?"

    operator = task_of(question, "crates", files=file.name, model="gemini-3.8-pro")

    answer = operator.execute(context)

    assert f"{file.name} text/plain" in answer
    assert answer.endswith("I was asked: what about crates?")
    assert ti.pushed["response"]["model_version"] == "gemini-3.8-pro"
    assert operator.custom_operator_name == "@task.gemini"
    assert operator.task_id == "question"


def test_function_can_return_contents(emulator, context):
    def question():
        return [{"role": "user", "parts": ["two?"]}, {"role": "model", "parts": ["2"]}, "three?"]

    assert task_of(question).execute(context).endswith("I was asked: two?\n2\nthree?")


def test_async_function_is_awaited(emulator, context):
    async def question():
        return "what is awaited?"

    assert task_of(question).execute(context).endswith("I was asked: what is awaited?")


def test_generators_yield_the_contents(emulator, context, text_file):
    def question():
        yield {"source": str(text_file)}
        yield "what is it?"

    async def question_later():
        for text in ("what", "is it?"):
            yield text

    assert "inline text/plain" in task_of(question).execute(context)
    assert task_of(question_later).execute(context).endswith("I was asked: what\nis it?")


def test_function_receives_context_values_by_name(emulator, context, ti):
    def question(*, run_id, **_):
        return f"run {run_id}?"

    assert task_of(question).execute({**context, "run_id": "r1"}).endswith("run r1?")


@pytest.mark.parametrize("returned", [None, "", [], 5])
def test_invalid_prompt_is_refused_before_anything_is_sent(emulator, context, returned):
    def question():
        return returned

    with pytest.raises(GeminiInputError):
        task_of(question).execute(context)

    assert emulator.journal == []


def test_returned_prompt_is_not_rendered():
    def question():
        return "{{ ds }}"

    fields = task_of(question).template_fields

    assert {"op_args", "op_kwargs", "files", "model", "output_path"} <= set(fields)
    assert not {"prompt", "contents"} & set(fields)


def test_function_can_show_sources(emulator, context, text_file):
    def question():
        return [{"source": str(text_file)}, "what?"]

    task_of(question).execute(context)

    assert [entry["call"] for entry in emulator.journal] == ["generate"]


def test_source_that_data_names_beside_the_function_is_refused(emulator, context, text_file):
    def question():
        return "what?"

    operator = task_of(question, files="{{ ti.xcom_pull('made') }}")
    operator.files = [{"source": str(text_file)}]

    with pytest.raises(GeminiInputError, match="is a source that comes from a template"):
        operator.execute(context)
