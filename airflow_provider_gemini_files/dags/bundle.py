"""A Dag bundle: the cleanup Dag without a file in the Dags folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.local import LocalDagBundle


class GeminiFilesDagBundle(LocalDagBundle):
    """
    The cleanup Dag with its defaults, for ``[dag_processor] dag_bundle_config_list``.

    It takes nothing but what Airflow gives every bundle. For other settings, call
    :func:`~airflow_provider_gemini_files.dags.cleanup.build_cleanup_dag` in a Dag file.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(path=str(Path(__file__).parent / "bundled"), **kwargs)
