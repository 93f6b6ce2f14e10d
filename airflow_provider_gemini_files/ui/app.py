"""
The routes of the page, mounted by Airflow's API server.

Every route requires a logged-in user. Viewing requires the permission to view plugins; deleting files and cancelling
jobs also require the permission to edit the connection.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import metadata
from typing import Annotated, Any
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.api_fastapi.logging.decorators import action_logging
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.costs.report import By
from airflow_provider_gemini_files.exceptions import GeminiFilesError, GeminiInputError
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.ui import actions, audit, cancellations, history
from airflow_provider_gemini_files.ui.actions import CleanupOptions, CleanupRequest, Results
from airflow_provider_gemini_files.ui.batches import JobListing
from airflow_provider_gemini_files.ui.changes import Selected
from airflow_provider_gemini_files.ui.connections import connection_ids
from airflow_provider_gemini_files.ui.costs import MAX_DAYS, CostListing, costs_of
from airflow_provider_gemini_files.ui.details import details_of
from airflow_provider_gemini_files.ui.files import FileListing
from airflow_provider_gemini_files.ui.listings import FRESH_SECONDS, ListingCache, Snapshot
from airflow_provider_gemini_files.ui.overview import summary_of
from airflow_provider_gemini_files.ui.parts import Part, Rows
from airflow_provider_gemini_files.ui.rights import CAN_EDIT, CAN_READ, CAN_VIEW, LOGGED_IN, is_allowed
from airflow_provider_gemini_files.ui.static_files import StaticFiles
from airflow_provider_gemini_files.ui.stores import DocumentListing, StoreListing
from airflow_provider_gemini_files.ui.uses import UseListing, uses_of

_DISTRIBUTION = "airflow-provider-gemini-files"
_HEADERS = {
    # Nothing but the page's own files is loaded or executed, whatever a display name contains.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
#: Of a file whose address has the version of its content; only logged-in users get it.
_FOREVER = "private, max-age=31536000, immutable"

#: An id can have slashes.
_CONNECTION = "/api/connections/{connection_id:path}"

app = FastAPI(title="Gemini Files", docs_url=None, redoc_url=None, openapi_url=None)
file_listings = ListingCache("files", history.read_files)
store_listings = ListingCache("stores", StoreListing.read)
document_listings = ListingCache("documents", DocumentListing.read)
job_listings = ListingCache("batch jobs", JobListing.read)
cost_listings = ListingCache("costs", CostListing.read)
use_listings = ListingCache("uses", UseListing.read)


@app.middleware("http")
async def _add_headers(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


@app.exception_handler(HTTPException)
async def _refuse(request: Request, error: HTTPException) -> Response:
    """Return HTML or a redirect to browsers, and JSON to scripts."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"detail": error.detail}, error.status_code)
    if error.status_code == 401:
        # The login page that Airflow's own pages redirect to.
        return RedirectResponse(f"../api/v2/auth/login?{urlencode({'next': str(request.url)})}")
    return HTMLResponse(StaticFiles.now().page("forbidden.html"), error.status_code)


@app.exception_handler(GeminiFilesError)
async def _fail(request: Request, error: GeminiFilesError) -> Response:
    return JSONResponse({"detail": shown_text(error)}, 422 if isinstance(error, GeminiInputError) else 502)


@app.get("/", dependencies=[CAN_VIEW])
def page() -> HTMLResponse:
    """Return the page, which fetches its data itself."""
    return HTMLResponse(StaticFiles.now().main_page())


@app.get("/docs", dependencies=[LOGGED_IN])
def docs() -> RedirectResponse:
    """Redirect to the documentation of this package, or else of the service."""
    urls = dict(url.split(", ", 1) for url in metadata(_DISTRIBUTION).get_all("Project-URL", []))
    return RedirectResponse(urls.get("Documentation") or urls["Service documentation"])


@app.get("/static/{name}", dependencies=[LOGGED_IN])
@app.get("/static/{version}/{name}", dependencies=[LOGGED_IN])
def static(name: str, version: str = "") -> Response:
    """Return a static file of the page; one of another version, as during an upgrade, is not kept by the browser."""
    files = StaticFiles.now()
    if name not in files.contents:
        raise HTTPException(404, f"File {name!r} not found.")
    headers = {"Cache-Control": _FOREVER} if version == files.version else None
    return Response(files.contents[name], media_type=mimetypes.guess_type(name)[0], headers=headers)


@app.get("/api/connections", dependencies=[CAN_VIEW])
def connections() -> list[str]:
    """Return the ids of the connections that the page lists."""
    return connection_ids()


@app.get(f"{_CONNECTION}/files", dependencies=[CAN_VIEW, CAN_READ])
async def files(connection_id: str, user: GetUserDep, retry: bool = False, after: str = "") -> Response:
    """
    Return files of a connection and its storage usage; at most 30 seconds old while the service responds.

    :param after: the response has the files whose names follow this one, and what this is for the next response.
    """
    snapshot = await file_listings.snapshot(connection_id, retry=retry)
    listing = snapshot.listing
    part = await _part(snapshot, after)
    fields = {
        "can_edit": await is_allowed("PUT", connection_id, user),
        "usage": listing.usage.to_dict() if listing else None,
        "policy": actions.default_policy(),
        "next": part.next,
    }
    return _response(snapshot, fields, owners=part.owners, files=part.rows)


@app.get(f"{_CONNECTION}/details", dependencies=[CAN_VIEW, CAN_READ])
async def details(connection_id: str, name: str) -> dict[str, Any]:
    """Return what the row of a file does not have, and the batch jobs that read it as far as it is known."""
    file = await _file(connection_id, name)
    jobs = (await job_listings.snapshot(connection_id)).listing
    return await asyncio.to_thread(details_of, file, jobs.jobs if jobs else None)


@app.get(f"{_CONNECTION}/uses", dependencies=[CAN_VIEW, CAN_READ])
async def uses(connection_id: str, name: str, retry: bool = False) -> dict[str, Any]:
    """Return the task instances that have used a file, as far as Airflow's database and the batch jobs say."""
    # Only of a file that is listed, so that a request can name none whose uses would be kept for nothing.
    file = await _file(connection_id, name)
    found, jobs = await asyncio.gather(
        use_listings.snapshot(connection_id, name, file.create_time or "", retry=retry),
        job_listings.snapshot(connection_id),
    )
    return await asyncio.to_thread(uses_of, file, found, jobs.listing.jobs if jobs.listing else ())


@app.get(f"{_CONNECTION}/history", dependencies=[CAN_VIEW, CAN_READ])
async def usage_history(connection_id: str) -> dict[str, Any]:
    """Return how full the storage of a connection was, and when it will be full."""
    listing = (await file_listings.snapshot(connection_id)).listing
    return await asyncio.to_thread(history.history_of, connection_id, listing)


@app.get(f"{_CONNECTION}/stores", dependencies=[CAN_VIEW, CAN_READ])
async def stores(connection_id: str, retry: bool = False) -> Response:
    """Return the file search stores of a connection, as :func:`files` does."""
    return await _respond(await store_listings.snapshot(connection_id, retry=retry), {}, "stores")


@app.get(f"{_CONNECTION}/documents", dependencies=[CAN_VIEW, CAN_READ])
async def documents(connection_id: str, store: str, retry: bool = False) -> Response:
    """Return a file search store and its first documents, as :func:`files` does."""
    of_project = await store_listings.snapshot(connection_id, retry=retry)
    if of_project.listing is None:
        return await _respond(of_project, {"store": None, "more": 0}, "documents")
    listed = next((one for one in of_project.listing.stores if one.name == store), None)
    if listed is None:
        # So that a request can name no store whose listing would be kept for nothing.
        raise HTTPException(404, f"The file search store {store!r:.200} was not found.")
    snapshot = await document_listings.snapshot(connection_id, store, retry=retry)
    more = snapshot.listing.more(listed) if snapshot.listing else 0
    return await _respond(snapshot, {"store": of_project.listing.row(listed), "more": more}, "documents")


@app.get(f"{_CONNECTION}/batches", dependencies=[CAN_VIEW, CAN_READ])
async def batches(connection_id: str, user: GetUserDep, retry: bool = False, after: str = "") -> Response:
    """Return batch jobs of a connection, as :func:`files` does."""
    snapshot = await job_listings.snapshot(connection_id, retry=retry)
    part = await _part(snapshot, after)
    fields = {
        "can_edit": await is_allowed("PUT", connection_id, user),
        "more": snapshot.listing.more if snapshot.listing else 0,
        "next": part.next,
    }
    return _response(snapshot, fields, owners=part.owners, batches=part.rows)


@app.get(f"{_CONNECTION}/overview", dependencies=[CAN_VIEW, CAN_READ])
async def overview(connection_id: str, retry: bool = False) -> dict[str, Any]:
    """Return the summary of a connection; what the service has not responded with in time is left out."""
    listed_files, listed_jobs = await asyncio.gather(
        file_listings.snapshot(connection_id, retry=retry), job_listings.snapshot(connection_id, retry=retry)
    )
    return await asyncio.to_thread(summary_of, listed_files, listed_jobs)


@app.get(f"{_CONNECTION}/costs", dependencies=[CAN_VIEW, CAN_READ])
async def costs(
    connection_id: str, days: Annotated[int, Query(ge=1, le=MAX_DAYS)] = 7, by: By = By.DAG, retry: bool = False
) -> dict[str, Any]:
    """Return what the calls of a connection have spent on the last days, read from Airflow's database."""
    snapshot = await cost_listings.snapshot(connection_id, str(days), retry=retry)
    return await asyncio.to_thread(costs_of, snapshot, connection_id, by)


async def _part(snapshot: Snapshot[Any], after: str) -> Part:
    """Return rows of a listing; in a thread, because encoding thousands of them would block the event loop."""
    listing = snapshot.listing
    return await asyncio.to_thread(lambda: listing.rows.part(after)) if listing else Rows([]).part()


async def _respond(snapshot: Snapshot[Any], fields: dict[str, Any], rows: str) -> Response:
    """Return what is known about resources, with all rows of the table in one field."""
    listing = snapshot.listing
    encoded = await asyncio.to_thread(lambda: listing.rows.encode()) if listing else b"[]"
    return _response(snapshot, fields, **{rows: encoded})


def _response(snapshot: Snapshot[Any], fields: dict[str, Any], **encoded: bytes) -> Response:
    """
    Return what is known about resources.

    :param fields: of the response, besides those that all listings have.
    :param encoded: further fields, which are JSON already.
    """
    listing = snapshot.listing
    body = {
        "now": time.time(),
        "listed_at": listing.at if listing else None,
        "next_listing_at": snapshot.started_at + FRESH_SECONDS,
        "loading": snapshot.loading,
        "error": asdict(snapshot.error) if snapshot.error else None,
        **fields,
    }
    content = (
        json.dumps(body)[:-1].encode()
        + b"".join(b',"%b":%b' % (name.encode(), value) for name, value in encoded.items())
        + b"}"
    )
    return Response(content, media_type="application/json")


@app.post(f"{_CONNECTION}/dry-run", dependencies=CAN_EDIT)
async def dry_run(connection_id: str, options: CleanupOptions) -> dict[str, Any]:
    """Return what a cleanup would delete and keep."""
    listing = await _listing(connection_id)
    return await asyncio.to_thread(actions.dry_run, listing, options)


@app.post(f"{_CONNECTION}/delete", dependencies=[*CAN_EDIT, Depends(action_logging(audit.DELETE_EVENT))])
async def delete(connection_id: str, selected: Selected, user: GetUserDep) -> list[dict[str, Any]]:
    """Delete the selected files; return the outcome of each."""
    listing = (await file_listings.snapshot(connection_id)).listing
    return await _change(connection_id, lambda: actions.delete(connection_id, listing, selected.names, user.get_name()))


@app.post(f"{_CONNECTION}/cleanup", dependencies=[*CAN_EDIT, Depends(action_logging(audit.CLEANUP_EVENT))])
async def cleanup(connection_id: str, request: CleanupRequest, user: GetUserDep) -> list[dict[str, Any]]:
    """Delete the files from a dry run that the policy still selects; return the outcome of each."""
    listing = await _listing(connection_id)

    def clean_up() -> Results:
        results = actions.cleanup(connection_id, listing, request, user.get_name())
        history.add_cleanup(listing, results.gone)
        return results

    return await _change(connection_id, clean_up)


@app.post(
    f"{_CONNECTION}/cancel-batches",
    dependencies=[*CAN_EDIT, Depends(action_logging(audit.CANCEL_EVENT))],
)
async def cancel_batches(connection_id: str, selected: Selected, user: GetUserDep) -> list[dict[str, Any]]:
    """Cancel the selected jobs that have not ended; return the outcome of each."""
    listing = (await job_listings.snapshot(connection_id)).listing
    results = await asyncio.to_thread(cancellations.cancel, connection_id, listing, selected.names, user.get_name())
    # A job that ends shows it a while later, so the page has to look again.
    job_listings.expire(connection_id)
    return results


async def _listing(connection_id: str) -> FileListing:
    snapshot = await file_listings.snapshot(connection_id)
    if snapshot.listing is None:
        message = snapshot.error.message if snapshot.error else "The files are still being loaded. Try again."
        raise HTTPException(503, message)
    return snapshot.listing


async def _file(connection_id: str, name: str) -> GeminiFile:
    file = (await _listing(connection_id)).get(name)
    if file is None:
        raise HTTPException(404, f"The file {name!r:.200} is no longer listed: it was deleted or has expired.")
    return file


async def _change(connection_id: str, change: Callable[[], Results]) -> list[dict[str, Any]]:
    results = await asyncio.to_thread(change)
    file_listings.change(connection_id, lambda listing: listing.without(results.gone))
    return results.to_json()
