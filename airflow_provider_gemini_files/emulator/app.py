"""The emulator as an ASGI application: the service's paths, and its own under ``/__emulator/``."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from airflow_provider_gemini_files.emulator import batches, caches, catalog, content, control, file_search, files
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.service import Emulator

VERSIONS = ("v1", "v1beta", "v1alpha")
METHODS: list[Method] = [
    method for module in (files, content, catalog, file_search, caches, batches) for method in module.METHODS
]
#: What faults and the journal call the methods.
NAMES = frozenset(name for method in METHODS for name in method.names)


def build_app(emulator: Emulator) -> Starlette:
    """Return the ASGI application of an emulator."""
    routes = [_route(method, version) for version in VERSIONS for method in METHODS]
    app = Starlette(routes=[*routes, *control.ROUTES], exception_handlers={HTTPException: _not_found})
    app.state.emulator = emulator
    return app


def _route(method: Method, version: str) -> Route:
    async def endpoint(request: Request) -> Response:
        return await method(request)

    path = f"{method.prefix}/{version}{method.path}"
    return Route(path, endpoint, methods=list(method.verbs), name=method.names[0])


async def _not_found(request: Request, error: Exception) -> Response:
    """Answer a path that is no resource, or not with this verb: as the service's front end, not in JSON."""
    return PlainTextResponse("Not Found", status_code=404)
