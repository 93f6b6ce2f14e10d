"""What all operators of this provider share."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.sdk import BaseOperator

from airflow_provider_gemini_files.hooks.connection import DEFAULT_CONN_ID
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.labels import MapIndexLabel


class GeminiOperator(MapIndexLabel, BaseOperator):
    """
    An operator with a Gemini connection.

    :param gemini_conn_id: a connection of type ``gemini`` (templated).
    """

    ui_color = "#d7e3fc"

    def __init__(self, *, gemini_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gemini_conn_id = gemini_conn_id

    @cached_property
    def hook(self) -> GeminiFilesHook:
        """Return the hook."""
        return GeminiFilesHook(self.gemini_conn_id)
