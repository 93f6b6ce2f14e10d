"""Placeholder until the registration branch lands."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.transfer.memory import StateStore
from airflow_provider_gemini_files.transfer.source import Source

DEFAULT_GCP_CONN_ID = "google_cloud_default"


class RegistrationCalls:
    def has_credentials(self, gcp_conn_id: str = DEFAULT_GCP_CONN_ID) -> bool:
        return False

    def register(
        self, sources: Sequence[Source], *, gcp_conn_id: str = DEFAULT_GCP_CONN_ID, store: StateStore | None = None
    ) -> list[GeminiFile]:
        raise NotImplementedError
