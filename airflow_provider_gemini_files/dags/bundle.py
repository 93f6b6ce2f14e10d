"""A Dag bundle with the cleanup Dag, so that the Dags folder needs no file for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.local import LocalDagBundle


class GeminiFilesDagBundle(LocalDagBundle):
    """
    The cleanup Dag with its defaults, for ``[dag_processor] dag_bundle_config_list``.

    It has no settings. For values other than the defaults, call
    :func:`~airflow_provider_gemini_files.dags.cleanup.build_cleanup_dag` in a Dag file.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(path=str(Path(__file__).parent / "bundled"), **kwargs)
