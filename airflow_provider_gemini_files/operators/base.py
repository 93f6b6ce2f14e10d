"""The parts that all operators of this provider share."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_gemini_files import deployment
from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.unset import is_unset
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.hooks.connection import DEFAULT_CONN_ID
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.labels import MapIndexLabel
from airflow_provider_gemini_files.operators.mapped_values import read_at_once
from airflow_provider_gemini_files.operators.url_secrets import mask_urls
from airflow_provider_gemini_files.transfer.output import Output

if TYPE_CHECKING:
    from airflow.sdk import Context


class GeminiOperator(MapIndexLabel, BaseOperator):
    """
    An operator with a Gemini connection.

    :param gemini_conn_id: a connection of type ``gemini`` (templated).
    """

    ui_color = "#d7e3fc"
    #: For tests; not an argument, so that it is not serialized.
    clock: ClassVar[Clock] = SYSTEM_CLOCK

    def __init__(self, *, gemini_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gemini_conn_id = gemini_conn_id

    def _do_render_template_fields(
        self, parent: Any, template_fields: Any, context: Any, *args: Any, **kwargs: Any
    ) -> None:
        # The only method that Airflow calls, of a mapped task's instance too, before it shows rendered fields.
        super()._do_render_template_fields(parent, template_fields, context, *args, **kwargs)
        # Parts of a field are rendered by the same method.
        is_whole = parent is self
        if is_whole:
            read_at_once(self, template_fields)
        mask_urls(getattr(parent, name, None) for name in template_fields)
        check_rendered_connection(parent, template_fields)
        if is_whole:
            self._complete_fields(context)

    def _complete_fields(self, context: Context) -> None:
        """Set fields whose value is not known before the others are rendered, so that Airflow shows them."""

    @cached_property
    def hook(self) -> GeminiFilesHook:
        """Return the hook."""
        return GeminiFilesHook(self.gemini_conn_id, clock=self.clock)


def owner_of(context: Context) -> Owner:
    """Return the task instance as the owner of its files, in this deployment."""
    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    return Owner(ti.dag_id, ti.run_id, ti.task_id, map_index, deployment.of_task())


def deadline_of(task: BaseOperator, now: float, timeout: float) -> float:
    """
    Return when a wait of a task fails, in seconds since the epoch: after its timeout or its ``execution_timeout``.

    Airflow does not apply ``execution_timeout`` to a deferred task.
    """
    limit = task.execution_timeout
    return now + (timeout if limit is None else min(timeout, limit.total_seconds()))


def lasting(value: Any) -> Any:
    """Return an argument; one that can be read only once, and would be another at each parse of the Dag, as a list."""
    return list(value) if isinstance(value, Iterator) else value


def text_of(value: Any, name: str) -> str | None:
    """
    Return a text argument; None if it is empty, as from a null Param in a template.

    :param name: the argument's name, for the error.
    :raises GeminiInputError: for anything but a text; native templates turn digits into numbers.
    """
    if is_unset(value):
        return None
    if isinstance(value, bool | int | float):
        # A template with render_template_as_native_obj has read the text of a number.
        return str(value)
    if not isinstance(value, str):
        raise GeminiInputError(f"{name} must be a text; got {value!r} ({type(value).__name__}).")
    return value


def output_of(output_path: Any, output_conn_id: Any, name: str = "output_path") -> Output:
    """
    Return the destination of an answer or a file, looked at before anything is paid for.

    :param name: the argument's name, for the error.
    :raises GeminiInputError: if it is empty, as from a null Param in a template, or cannot be written to.
    """
    # No file is to be called "None".
    path = text_of(output_path, name) if isinstance(output_path, str) else output_path
    if path is None:
        raise GeminiInputError(f"{name} is empty after its template was rendered: {output_path!r}.")
    output = Output(path, text_of(output_conn_id, name.replace("_path", "_conn_id")), name)
    output.check()
    return output


def check_rendered_connection(task: Any, template_fields: Collection[str]) -> None:
    """
    Make a text of the connection id of a task whose templates were rendered.

    :raises GeminiInputError: if it is empty, as from a null Param, or anything else than a text.
    """
    if "gemini_conn_id" in template_fields:
        rendered = task.gemini_conn_id
        task.gemini_conn_id = text_of(rendered, "gemini_conn_id")
        if task.gemini_conn_id is None:
            raise GeminiInputError(f"gemini_conn_id is empty after its template was rendered: {rendered!r}.")


def whole_number_of(value: Any, name: str, *, least: int = 0) -> int:
    """
    Return a whole number, also from a text.

    :param name: the argument's name, for the error.
    :raises GeminiInputError: for anything else.
    """
    try:
        number = int(str(value))
    except ValueError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise GeminiInputError(f"{name} must be a whole number, at least {least}; got {value!r}.")
    return number


def switch_of(value: Any, name: str) -> bool:
    """
    Return true or false, also from the text of a template or Variable; the text "False" must not pass for true.

    :param name: the argument's name, for the error.
    :raises GeminiInputError: for anything else.
    """
    text = str(value).lower()
    if text not in ("true", "false"):
        raise GeminiInputError(f"{name} must be true or false; got {value!r}.")
    return text == "true"
