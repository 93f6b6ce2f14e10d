from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task, task_group

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.mapped_outputs import check_own_output

SAME = ["/data/answer.txt", "/data/{{ ds }}/{{ run_id }}.txt", "{{ params.path }}", "/data/{{ dag_run.conf['x'] }}.txt"]
OWN = [
    "/data/{{ ti.map_index }}.txt",
    "/data/{{ task.files }}.txt",
    "/data/{{ macros.uuid.uuid4() }}.txt",
    "/data/{{ name_of_mine() }}.txt",
    "{% of_an_extension %}",
]


def mapped(output_path: Any, kind: Any = GeminiGenerateContentOperator, **arguments: Any) -> Any:
    """Return an instance of a mapped task."""
    with DAG("a_dag"):
        operator = kind.partial(task_id="ask", output_path=output_path, **arguments).expand(prompt=["a", "b"])
    return operator.unmap({"prompt": "b"})


@pytest.mark.parametrize("output_path", SAME)
@pytest.mark.parametrize("map_index", [1, 7])
def test_output_of_all_instances_is_refused(output_path, map_index):
    with pytest.raises(GeminiInputError, match=r"output_path is the same for all instances .*ti\.map_index"):
        check_own_output(mapped(output_path), output_path, map_index)


@pytest.mark.parametrize("output_path", OWN)
def test_output_that_can_differ_is_accepted(output_path):
    check_own_output(mapped(output_path), output_path, 1)


@pytest.mark.parametrize("map_index", [None, -1, 0])
def test_first_instance_and_other_tasks_are_accepted(map_index):
    check_own_output(mapped("/data/answer.txt"), "/data/answer.txt", map_index)


def test_output_of_each_instance_is_accepted():
    paths = ["/data/a.txt", "/data/b.txt"]
    with DAG("a_dag"):
        expanded = GeminiGenerateContentOperator.partial(task_id="ask", prompt="a").expand(output_path=paths)
        both = [{"output_path": path, "prompt": path} for path in paths]
        by_kwargs = GeminiGenerateContentOperator.partial(task_id="each").expand_kwargs(both)

    check_own_output(expanded.unmap({"output_path": paths[1]}), paths[1], 1)
    check_own_output(by_kwargs.unmap(both[1]), paths[1], 1)


def test_task_of_a_mapped_group_and_of_the_decorator_is_refused():
    with DAG("a_dag") as dag:

        @task_group
        def each(prompt: str) -> None:
            GeminiGenerateContentOperator(task_id="ask", prompt=prompt, output_path="/data/answer.txt")

        @task.gemini(output_path="/data/answer.txt")
        def question(text: str) -> str:
            return text

        each.expand(prompt=["a", "b"])
        question.expand(text=["a", "b"])
    grouped, decorated = dag.get_task("each.ask"), dag.get_task("question")

    for operator in (grouped, decorated.unmap({"op_kwargs": {"text": "b"}})):
        with pytest.raises(GeminiInputError, match="the same for all instances"):
            check_own_output(operator, "/data/answer.txt", 1)


@pytest.mark.parametrize("kind", [GeminiGenerateContentOperator, GeminiBatchGenerateContentOperator])
def test_nothing_is_sent(emulator, context, ti, tmp_path, kind):
    arguments = {"requests": ["x"]} if kind is GeminiBatchGenerateContentOperator else {}
    operator = mapped(f"{tmp_path}/{{{{ ds }}}}.txt", kind, **arguments)
    operator.render_template_fields({"ds": "2026-01-01"})
    ti.map_index = 1

    with pytest.raises(GeminiInputError, match="the same for all instances"):
        operator.execute(context)

    assert emulator.journal == []
