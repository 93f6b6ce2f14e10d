"""The emulator as an ASGI application: the service's paths, and the control API under ``/__emulator/``."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from airflow_provider_gemini_files.emulator import (
    batches,
    caches,
    catalog,
    content,
    control,
    downloads,
    file_search,
    files,
)
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.guard import ControlGuard
from airflow_provider_gemini_files.emulator.service import Emulator
from airflow_provider_gemini_files.emulator.wire import DateHeader

VERSIONS = ("v1", "v1beta", "v1alpha")
METHODS: list[Method] = [
    method for module in (downloads, files, content, catalog, file_search, caches, batches) for method in module.METHODS
]
#: Names of the methods in faults and in the journal.
NAMES = frozenset(name for method in METHODS for name in method.names)


def build_app(emulator: Emulator, host: str = "127.0.0.1") -> Starlette:
    """
    Return the ASGI application of an emulator.

    :param host: the address or name it listens on, which may use the control API.
    """
    routes = [_route(method, version) for version in VERSIONS for method in METHODS]
    app = Starlette(
        routes=[*routes, *control.ROUTES],
        middleware=[Middleware(DateHeader, clock=emulator.clock), Middleware(ControlGuard, host=host)],
        exception_handlers={HTTPException: _not_found},
    )
    # The service knows no path with a slash at its end.
    app.router.redirect_slashes = False
    app.state.emulator = emulator
    return app


def _route(method: Method, version: str) -> Route:
    async def endpoint(request: Request) -> Response:
        return await method(request)

    path = f"{method.prefix}/{version}{method.path}"
    return Route(path, endpoint, methods=list(method.verbs), name=method.names[0])


async def _not_found(request: Request, error: Exception) -> Response:
    """Respond to an unknown path or verb as the service's front end does: in plain text."""
    return PlainTextResponse("Not Found", status_code=404)
