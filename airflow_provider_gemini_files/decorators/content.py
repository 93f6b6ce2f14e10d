"""``@task.gemini``: a function that returns what to ask a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    DecoratedOperator,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import TaskDecorator


class _GeminiDecoratedOperator(DecoratedOperator, GeminiGenerateContentOperator):
    """A task whose question is what a function returns, and whose result is the model's answer to it."""

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        # What the function returns is the prompt; it is not rendered: it can hold text of others.
        *(field for field in GeminiGenerateContentOperator.template_fields if field not in ("prompt", "contents")),
    )
    template_fields_renderers = {  # noqa: RUF012
        **DecoratedOperator.template_fields_renderers,
        "system_instruction": "md",
        "generation_config": "json",
    }
    custom_operator_name = "@task.gemini"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    def execute(self, context: Context) -> Any:
        """Call the function, then ask what it has returned."""
        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        asked = self.python_callable(*self.op_args, **kwargs)
        self.prompt, self.contents = (asked, None) if isinstance(asked, str) else (None, asked)
        return GeminiGenerateContentOperator.execute(self, context)


def gemini_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """
    Make a task of a function that returns what to ask: a prompt, or contents; the task's result is the answer.

    What the function returns is asked as it is, without rendering templates in it.

    :param python_callable: the function.
    :param kwargs: of :class:`~airflow_provider_gemini_files.operators.content.GeminiGenerateContentOperator`, but for
        ``prompt`` and ``contents``.
    """
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=_GeminiDecoratedOperator, **kwargs
    )
