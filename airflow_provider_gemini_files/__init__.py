"""Apache Airflow provider for the Gemini Files API: upload files, ask models about them, and clean up."""

from __future__ import annotations

__version__ = "0.1.0"
