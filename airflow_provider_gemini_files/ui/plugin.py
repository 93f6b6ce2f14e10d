"""The Airflow plugin that adds the page. Every Airflow process loads it, so nothing heavy is imported here."""

from __future__ import annotations

import importlib
from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

#: The path of the page, relative to Airflow's root.
PREFIX = "/gemini-files"


class LazyApp:
    """The page's ASGI app, imported at the first request: schedulers and workers load plugins but serve no pages."""

    _app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Forward a request to the app."""
        if self._app is None:
            self._app = importlib.import_module("airflow_provider_gemini_files.ui.app").app
        await self._app(scope, receive, send)


class GeminiFilesPlugin(AirflowPlugin):
    """Adds the page "Gemini Files" to the Browse menu."""

    name = "gemini_files"
    fastapi_apps = [{"name": "Gemini Files", "app": LazyApp(), "url_prefix": PREFIX}]  # noqa: RUF012 - Airflow's own form
    external_views = [  # noqa: RUF012
        {
            "name": "Gemini Files",
            # No leading slash: the URL is relative to the path prefix that Airflow is served under.
            "href": f"{PREFIX[1:]}/",
            "icon": f"{PREFIX[1:]}/static/icon.svg",
            "icon_dark_mode": f"{PREFIX[1:]}/static/icon-dark.svg",
            "destination": "nav",
            "category": "browse",
            "url_route": "gemini-files",
        }
    ]
