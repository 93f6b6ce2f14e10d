"""One request to a method of the service."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from starlette.requests import Request

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import parse_json
from airflow_provider_gemini_files.emulator.faults import Fault
from airflow_provider_gemini_files.emulator.projects import Project
from airflow_provider_gemini_files.emulator.service import Emulator


class Call:
    """
    A request while it is handled.

    :param fault: the fault that was chosen for this request, if any.
    """

    def __init__(self, emulator: Emulator, request: Request, fault: Fault | None = None) -> None:
        self.emulator = emulator
        self.request = request
        self.fault = fault
        self.params: dict[str, Any] = request.path_params
        self.query = request.query_params

    @property
    def now(self) -> float:
        """Return the emulator's time in seconds since the epoch."""
        return self.emulator.clock.now()

    @property
    def version(self) -> str:
        """Return the API version in the path."""
        parts = self.request.url.path.split("/")
        return parts[2] if parts[1] in ("upload", "download") else parts[1]

    @property
    def bearer(self) -> str | None:
        """Return the OAuth token, or None."""
        return bearer_token(self.request)

    @cached_property
    def project(self) -> Project:
        """
        Return the project of the credentials.

        :raises ApiError: if they are missing or invalid.
        """
        user_project = self.request.headers.get("x-goog-user-project")
        return self.emulator.authenticate(api_key(self.request), self.bearer, user_project)

    def authenticate(self) -> None:
        """Refuse missing or invalid credentials; for methods that use nothing of the project."""
        _ = self.project

    async def json(self) -> dict[str, Any]:
        """
        Return the body; an empty body is an empty object.

        :raises ApiError: 400 if it is not a JSON object.
        """
        body = await self.request.body()
        try:
            data = parse_json(body.decode()) if body.strip() else {}
        except ValueError:
            raise errors.invalid("Invalid JSON payload received.") from None
        if not isinstance(data, dict):
            raise errors.invalid("Invalid JSON payload received. Expected an object.")
        return data


def api_key(request: Request) -> str | None:
    """Return the API key of a request, from its header or its query."""
    return request.headers.get("x-goog-api-key") or request.query_params.get("key")


def bearer_token(request: Request) -> str | None:
    """Return the OAuth token of a request, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" and token else None
