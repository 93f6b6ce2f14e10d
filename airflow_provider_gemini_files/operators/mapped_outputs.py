"""The outputs of mapped tasks: several instances must not write, and pay for, answers that replace each other."""

from __future__ import annotations

from typing import Any

from airflow_provider_gemini_files.exceptions import GeminiInputError

#: Names in templates that mean the same for all instances of a mapped task.
_SAME = {
    "conn", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "logical_date", "params",
    "run_id", "ts", "ts_nodash", "ts_nodash_with_tz", "var",
}  # fmt: skip


def check_own_output(operator: Any, written: Any, map_index: int | None, name: str = "output_path") -> None:
    """
    Refuse an output that is the same for all instances of a mapped task.

    The first instance may have it: a task can be mapped over one value.

    :param written: the argument as the Dag has it, with its template.
    :param name: the argument's name.
    :raises GeminiInputError: before anything is paid for.
    """
    if (map_index or 0) < 1 or not isinstance(written, str) or _is_expanded(operator, name):
        return
    if _names_in(written) <= _SAME:
        raise GeminiInputError(
            f"{name} is the same for all instances of this mapped task, so that each replaces what another has "
            f"written: {written!r}. Make it different, as with '{{{{ ti.map_index }}}}' in it."
        )


def _is_expanded(operator: Any, name: str) -> bool:
    """Return whether each instance of a mapped task is given an argument of its own; else it is in a mapped group."""
    task: Any = operator.dag.get_task(operator.task_id) if operator.has_dag() else operator
    return bool(task.is_mapped) and name not in task.partial_kwargs


def _names_in(template: str) -> set[str]:
    import jinja2.meta

    try:
        return jinja2.meta.find_undeclared_variables(jinja2.Environment(autoescape=True).parse(template))
    except jinja2.TemplateSyntaxError:
        # Of an extension of the Dag.
        return {template}
