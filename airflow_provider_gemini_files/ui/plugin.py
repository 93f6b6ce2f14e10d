"""What Airflow is told about the page; every process of Airflow reads it, so nothing heavy is imported here."""

from __future__ import annotations

import importlib
from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

#: Where the page is mounted, below Airflow's own root.
PREFIX = "/gemini-files"


class LazyApp:
    """The page's ASGI app, imported at its first request: schedulers and workers load plugins, too, and show none."""

    _app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand the request over."""
        if self._app is None:
            self._app = importlib.import_module("airflow_provider_gemini_files.ui.app").app
        await self._app(scope, receive, send)


class GeminiFilesPlugin(AirflowPlugin):
    """The page "Gemini Files", under Browse."""

    name = "gemini_files"
    fastapi_apps = [{"name": "Gemini Files", "app": LazyApp(), "url_prefix": PREFIX}]  # noqa: RUF012 - as Airflow has it
    external_views = [  # noqa: RUF012
        {
            "name": "Gemini Files",
            # Without a slash in front: below the prefix under which Airflow itself is served.
            "href": f"{PREFIX[1:]}/",
            "icon": f"{PREFIX[1:]}/static/icon.svg",
            "icon_dark_mode": f"{PREFIX[1:]}/static/icon-dark.svg",
            "destination": "nav",
            "category": "browse",
            "url_route": "gemini-files",
        }
    ]
