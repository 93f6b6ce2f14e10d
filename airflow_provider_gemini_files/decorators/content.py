"""``@task.gemini``: a task that sends what a function returns to a model."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    DecoratedOperator,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.written_sources import count_sources

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import TaskDecorator
    from airflow.sdk import Context


class _GeminiDecoratedOperator(DecoratedOperator, GeminiGenerateContentOperator):
    """A task that calls a function for the prompt, and returns the model's answer."""

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        # The prompt is what the function returns. It is not rendered, as it can contain text of other people.
        *(field for field in GeminiGenerateContentOperator.template_fields if field not in ("prompt", "contents")),
    )
    template_fields_renderers = {  # noqa: RUF012
        **DecoratedOperator.template_fields_renderers,
        "system_instruction": "md",
        "generation_config": "json",
    }
    custom_operator_name = "@task.gemini"
    _returned_sources: float = 0

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    def _allowed_sources(self) -> float:
        return super()._allowed_sources() + self._returned_sources

    def execute(self, context: Context) -> Any:
        """Call the function, and send what it returns."""
        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        returned = self.python_callable(*self.op_args, **kwargs)
        if inspect.iscoroutine(returned):
            returned = asyncio.run(returned)
        elif inspect.isasyncgen(returned):
            returned = asyncio.run(_items_of(returned))
        elif isinstance(returned, Iterator):
            # Read once: the sources are counted, and the contents are read.
            returned = list(returned)
        # What the function builds is the Dag's own.
        self._returned_sources = count_sources(returned)
        self.prompt, self.contents = (returned, None) if isinstance(returned, str) else (None, returned)
        return GeminiGenerateContentOperator.execute(self, context)


async def _items_of(generator: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in generator]


def gemini_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """
    Create a task from a function that returns a prompt or contents. The task returns the model's answer.

    The return value of the function is not rendered as a template.

    :param python_callable: the function.
    :param kwargs: arguments of
        :class:`~airflow_provider_gemini_files.operators.content.GeminiGenerateContentOperator`, except ``prompt`` and
        ``contents``.
    """
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=_GeminiDecoratedOperator, **kwargs
    )
