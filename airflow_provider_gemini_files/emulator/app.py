"""The emulator's routes: the service's paths, and its own under ``/__emulator/``."""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from airflow_provider_gemini_files.emulator import errors, models
from airflow_provider_gemini_files.emulator.clock import Clock
from airflow_provider_gemini_files.emulator.store import DEFAULT_QUOTA_BYTES, Project
from airflow_provider_gemini_files.emulator.uploads import Uploads

VERSIONS = ("v1", "v1beta")
DEFAULT_GRANULARITY = 8 * 1024**2
DEFAULT_VIDEO_SECONDS = 2.0
_JOURNAL_ENTRIES = 10_000


@dataclass
class Settings:
    """
    How an emulator behaves.

    :param api_keys: keys that are valid; empty: every key is. Each key is a project of its own.
    :param quota_bytes: storage of one project.
    :param granularity: chunk granularity of uploads, in bytes.
    :param video_seconds: how long a video is PROCESSING; other kinds are ACTIVE at once.
    """

    api_keys: tuple[str, ...] = ()
    quota_bytes: int = DEFAULT_QUOTA_BYTES
    granularity: int = DEFAULT_GRANULARITY
    video_seconds: float = DEFAULT_VIDEO_SECONDS


@dataclass
class Emulator:
    """One emulated service: its settings, its clock, its projects, and a journal of what it was asked."""

    settings: Settings
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget every file, upload and journal entry; the clock stays."""
        self.projects: dict[str, Project] = {}
        self.uploads = Uploads(self.settings.granularity, self.clock)
        self.journal: deque[dict[str, Any]] = deque(maxlen=_JOURNAL_ENTRIES)

    def usage(self) -> dict[str, int]:
        """Return ``{"files": count, "bytes": sum}`` over all projects."""
        projects = list(self.projects.values())
        return {"files": sum(len(p.files()) for p in projects), "bytes": sum(p.used_bytes() for p in projects)}

    def project(self, request: Request) -> Project:
        """
        Return the project of the request's key.

        :raises ApiError: 403 without a key, 400 with one that is not valid.
        """
        key = request.headers.get("x-goog-api-key") or request.query_params.get("key")
        if not key:
            raise errors.no_key()
        if self.settings.api_keys and key not in self.settings.api_keys:
            raise errors.bad_key()
        if key not in self.projects:
            self.projects[key] = Project(self.clock, self.settings.quota_bytes, self._processing_seconds)
        return self.projects[key]

    def _processing_seconds(self, mime_type: str, size: int) -> float:
        return self.settings.video_seconds if mime_type.startswith("video/") else 0.0


def build_app(emulator: Emulator) -> Starlette:
    """Return the ASGI application of an emulator."""
    routes = []
    for version in VERSIONS:
        routes += [
            Route(f"/upload/{version}/files", _journalled(_upload), methods=["POST", "PUT"]),
            Route(f"/{version}/files", _journalled(_list), methods=["GET"]),
            Route(f"/{version}/files/{{file_id}}", _journalled(_get), methods=["GET"]),
            Route(f"/{version}/files/{{file_id}}", _journalled(_delete), methods=["DELETE"]),
            Route(f"/{version}/models/{{model}}:generateContent", _journalled(_generate), methods=["POST"]),
        ]
    routes += [
        Route("/__emulator/health", _health),
        Route("/__emulator/journal", _journal),
        Route("/__emulator/usage", _usage),
        Route("/__emulator/reset", _reset, methods=["POST"]),
        Route("/__emulator/clock", _clock, methods=["POST"]),
    ]
    handlers: Any = {errors.ApiError: _api_error, errors.UploadError: _upload_error}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.emulator = emulator
    return app


def _emulator(request: Request) -> Emulator:
    emulator: Emulator = request.app.state.emulator
    return emulator


Handler = Callable[[Request], Awaitable[Response]]


def _journalled(handler: Handler) -> Handler:
    """Write one line for each request: never a key, never an upload id."""

    async def handle(request: Request) -> Response:
        entry: dict[str, Any] = {"method": request.method, "path": request.url.path, "status": None}
        if command := request.headers.get("x-goog-upload-command"):
            entry |= {"command": command, "offset": request.headers.get("x-goog-upload-offset")}
        _emulator(request).journal.append(entry)
        try:
            response = await handler(request)
        except (errors.ApiError, errors.UploadError) as error:
            entry["status"] = error.code
            raise
        except ClientDisconnect:
            return Response(status_code=499)
        entry["status"] = response.status_code
        return response

    return handle


async def _upload(request: Request) -> Response:
    emulator = _emulator(request)
    if "upload_id" in request.query_params:
        return await emulator.uploads.proceed(request)
    return await emulator.uploads.start(request, emulator.project(request))


async def _list(request: Request) -> Response:
    emulator = _emulator(request)
    size = _page_size(request.query_params.get("pageSize"))
    files = emulator.project(request).files()
    if token := request.query_params.get("pageToken"):
        after = _read_token(token)
        files = [file for file in files if (file.created, file.id) < after]
    now = emulator.clock.now()
    body: dict[str, Any] = {}
    if files:
        body["files"] = [file.to_json(now) for file in files[:size]]
    if len(files) > size:
        last = files[size - 1]
        body["nextPageToken"] = _write_token(last.created, last.id)
    return JSONResponse(body)


def _page_size(given: str | None) -> int:
    if not given or given == "0":
        return 10
    if not given.isdigit() or int(given) > 100:
        raise errors.invalid("* ListFilesRequest.page_size: must be between 0 and 100.\n")
    return int(given)


def _write_token(created: float, file_id: str) -> str:
    """Name the last file shown, not a position: a token must survive deletions."""
    return base64.urlsafe_b64encode(json.dumps([created, file_id]).encode()).decode()


def _read_token(token: str) -> tuple[float, str]:
    try:
        created, file_id = json.loads(base64.urlsafe_b64decode(token))
        return float(created), str(file_id)
    except (ValueError, TypeError, binascii.Error):
        raise errors.invalid("Invalid page token.") from None


async def _get(request: Request) -> Response:
    emulator = _emulator(request)
    file = emulator.project(request).get(request.path_params["file_id"], "GetFileRequest")
    return JSONResponse(file.to_json(emulator.clock.now()))


async def _delete(request: Request) -> Response:
    _emulator(request).project(request).delete(request.path_params["file_id"])
    return JSONResponse({})


async def _generate(request: Request) -> Response:
    emulator = _emulator(request)
    project = emulator.project(request)
    model = request.path_params["model"]
    models.check_model(model, request.url.path.split("/")[1])
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise errors.invalid("Invalid JSON payload received.") from None
    return JSONResponse(models.generate(project, model, body, emulator.clock.now()))


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _journal(request: Request) -> Response:
    return JSONResponse({"requests": list(_emulator(request).journal)})


async def _usage(request: Request) -> Response:
    return JSONResponse(_emulator(request).usage())


async def _reset(request: Request) -> Response:
    _emulator(request).reset()
    return JSONResponse({})


async def _clock(request: Request) -> Response:
    try:
        _emulator(request).clock.advance(float(json.loads(await request.body())["advance"]))
    except (ValueError, KeyError, TypeError) as error:
        return PlainTextResponse(f'expected {{"advance": seconds}}: {error}', status_code=400)
    return JSONResponse({"now": _emulator(request).clock.now()})


async def _api_error(request: Request, error: errors.ApiError) -> Response:
    # A refusal at the end of an upload is final: sending again would be refused again.
    headers = {"x-goog-upload-status": "final"} if "upload_id" in request.query_params else None
    return JSONResponse(error.body(), status_code=error.code, headers=headers)


async def _upload_error(request: Request, error: errors.UploadError) -> Response:
    headers = {"x-goog-upload-status": error.upload_status} if error.upload_status else None
    return PlainTextResponse(error.message, status_code=error.code, headers=headers)
