"""Rendered fields that say which model and schema a task uses, instead of what its author has left out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_gemini_files.common.unset import is_unset
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.operators.base import GeminiOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class AskingOperator(GeminiOperator):
    """Completes its fields when Airflow renders them, before it stores what *Rendered Templates* shows."""

    template_fields: Sequence[str]
    model: str | None
    #: Not a field of the class: Airflow would serialize it with the Dag, and call a class.
    response_schema: Any = None

    def _complete_fields(self, context: Context) -> None:
        # What cannot be found out now is an error when the task executes.
        with suppress(Exception):
            if is_unset(self.model):
                self.model = self._default_model(context)
        if self.response_schema is None:
            return
        with suppress(Exception):
            self.response_schema = Schema.of(self.response_schema)
            self.template_fields = tuple(dict.fromkeys((*self.template_fields, "response_schema")))

    def _default_model(self, context: Context) -> str | None:
        """Return the model if none is set; None if it is not known yet."""
        return self.hook.connection.model
