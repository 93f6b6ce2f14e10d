"""Apache Airflow provider for the life of a Gemini API file: upload, wait, generate, delete."""

from __future__ import annotations

__version__ = "0.1.0"
