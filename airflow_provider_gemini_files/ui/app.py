"""
The page's routes, mounted by Airflow's API server.

Each needs a logged-in user. Reading needs the right to see plugins; changing needs the right to edit the connection.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.api_fastapi.logging.decorators import action_logging
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse

from airflow_provider_gemini_files.exceptions import GeminiFilesError, GeminiInputError
from airflow_provider_gemini_files.ui import actions, audit
from airflow_provider_gemini_files.ui.actions import ChosenFiles, SweepOptions, SweptFiles
from airflow_provider_gemini_files.ui.connections import connection_ids
from airflow_provider_gemini_files.ui.reading import FRESH_SECONDS, Listing, Reader
from airflow_provider_gemini_files.ui.rights import LOGGED_IN, MAY_CHANGE, MAY_LOOK, MAY_READ, allows

_STATIC = {path.name: path for path in (Path(__file__).parent / "static").iterdir()}
_HEADERS = {
    # Nothing but our own files is loaded or run, whatever a display name says.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

app = FastAPI(title="Gemini Files", docs_url=None, redoc_url=None, openapi_url=None)
reader = Reader()


@app.middleware("http")
async def _secure(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    response.headers.update(_HEADERS)
    return response


@app.exception_handler(HTTPException)
async def _refuse(request: Request, error: HTTPException) -> Response:
    """Answer who opens the page with a page, and scripts with JSON."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"detail": error.detail}, error.status_code)
    if error.status_code == 401:
        # Where Airflow's own pages send who is not logged in.
        return RedirectResponse(f"../api/v2/auth/login?{urlencode({'next': str(request.url)})}")
    return HTMLResponse(_STATIC["forbidden.html"].read_text(), error.status_code)


@app.exception_handler(GeminiFilesError)
async def _failed(request: Request, error: GeminiFilesError) -> Response:
    return JSONResponse({"detail": str(error)}, 422 if isinstance(error, GeminiInputError) else 502)


@app.get("/", dependencies=[MAY_LOOK])
async def page() -> FileResponse:
    """Return the page; what it shows, it asks for."""
    return FileResponse(_STATIC["index.html"])


@app.get("/static/{name}", dependencies=[LOGGED_IN])
async def static(name: str) -> FileResponse:
    """Return a file of the page."""
    if name not in _STATIC:
        raise HTTPException(404, f"There is no {name!r}.")
    return FileResponse(_STATIC[name])


@app.get("/api/connections", dependencies=[MAY_LOOK])
def connections() -> list[str]:
    """Return the ids of the connections that the page offers."""
    return connection_ids()


@app.get("/api/connections/{connection_id}/files", dependencies=[MAY_LOOK, MAY_READ])
async def files(request: Request, connection_id: str, user: GetUserDep) -> Response:
    """Return what is known of a connection's files; at most half a minute old where the service answers."""
    seen = await reader.see(connection_id)
    listing = seen.listing
    told = {
        "now": time.time(),
        "read_at": listing.at if listing else None,
        "next_reading": seen.tried_at + FRESH_SECONDS,
        "reading": seen.reading,
        "error": seen.error,
        "may_change": await allows("PUT", request, user),
        "usage": listing.usage.to_dict() if listing else None,
        "policy": actions.default_policy(),
    }
    # Thousands of rows take longer than the event loop has.
    rows = await asyncio.to_thread(lambda: listing.rows) if listing else "[]"
    return Response(f'{json.dumps(told)[:-1]},"files":{rows}}}', media_type="application/json")


@app.post("/api/connections/{connection_id}/dry-run", dependencies=MAY_CHANGE)
async def dry_run(connection_id: str, options: SweepOptions) -> dict[str, Any]:
    """Return what a sweep would do."""
    listing = await _listing(connection_id)
    return await asyncio.to_thread(actions.dry_run, listing, options)


@app.post(
    "/api/connections/{connection_id}/delete", dependencies=[*MAY_CHANGE, Depends(action_logging(audit.DELETE_EVENT))]
)
async def delete(connection_id: str, chosen: ChosenFiles, user: GetUserDep) -> list[dict[str, Any]]:
    """Delete files that a user has chosen; return what became of each."""
    listing = (await reader.see(connection_id)).listing
    return await _change(connection_id, lambda: actions.delete(connection_id, listing, chosen.names, user.get_name()))


@app.post(
    "/api/connections/{connection_id}/sweep", dependencies=[*MAY_CHANGE, Depends(action_logging(audit.SWEEP_EVENT))]
)
async def sweep(connection_id: str, asked: SweptFiles, user: GetUserDep) -> list[dict[str, Any]]:
    """Delete files that a dry run has named, where they are still to go; return what became of each."""
    listing = await _listing(connection_id)
    return await _change(connection_id, lambda: actions.sweep(connection_id, listing, asked, user.get_name()))


async def _listing(connection_id: str) -> Listing:
    seen = await reader.see(connection_id)
    if seen.listing is None:
        raise HTTPException(503, seen.error["message"] if seen.error else "The files are still being read; try again.")
    return seen.listing


async def _change(connection_id: str, change: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    results = await asyncio.to_thread(change)
    reader.forget(connection_id, actions.gone(results))
    return results
