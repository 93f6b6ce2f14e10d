"""The hook: a Gemini connection, and every call that is made through it."""

from __future__ import annotations

from typing import Any

from airflow_provider_gemini_files.hooks.connection import CONN_TYPE, DEFAULT_CONN_ID
from airflow_provider_gemini_files.hooks.content import ContentCalls
from airflow_provider_gemini_files.hooks.uploads import UploadCalls


class GeminiFilesHook(UploadCalls, ContentCalls):
    """
    Manage a Gemini connection, its credentials, and the calls made through it.

    Nothing is read or sent before the first call. Every call raises errors of
    :mod:`airflow_provider_gemini_files.exceptions`, and sends a request that failed on the way again, as often as the
    connection's ``max_retries`` says.

    :param gemini_conn_id: a connection of type ``gemini``.
    """

    conn_name_attr = "gemini_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONN_TYPE
    hook_name = "Google Gemini API"

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the connection form of Airflow 3.1; later ones read it from the provider's metadata."""
        from airflow_provider_gemini_files.provider_info import CONNECTION_TYPE

        behaviour = CONNECTION_TYPE["ui-field-behaviour"]
        return {
            "hidden_fields": behaviour["hidden-fields"],
            "relabeling": behaviour["relabeling"],
            "placeholders": behaviour["placeholders"],
        }
