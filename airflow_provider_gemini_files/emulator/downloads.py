"""Downloads of generated files: whole or in part, at once or after a redirect."""

from __future__ import annotations

import re
import secrets

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.call import Call, api_key
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.file import StoredFile
from airflow_provider_gemini_files.emulator.guard import is_loopback

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_REDIRECTED = "/redirected-download"


async def download(call: Call) -> Response:
    """Return the bytes of a generated file, or a redirect to them; uploaded files cannot be downloaded."""
    file = call.project.find(call.params["file_id"], "DownloadFileRequest")
    if file.source != "GENERATED":
        raise errors.no_download(file.id)
    if call.query.get("alt") != "media":
        raise errors.invalid("Downloads need alt=media.")
    if not call.emulator.settings.redirect_downloads:
        return _content(call, file)
    token = secrets.token_hex(16)
    call.emulator.downloads[token] = (call.project, file.id)
    path = f"/{call.version}{_REDIRECTED}"
    url = call.request.url.replace(hostname=_other_host(call.request), path=path, query=f"token={token}")
    return RedirectResponse(url, 302)


def _other_host(request: Request) -> str:
    """Return another name for the address that received the request; a client takes it for another host."""
    server = request.scope["server"][0]
    if request.url.hostname != "localhost" and is_loopback(server):
        return "localhost"
    return f"[{server}]" if ":" in server else str(server)


async def redirected_download(call: Call) -> Response:
    """Return the bytes of a generated file to a client that was redirected; its token is all it needs."""
    if api_key(call.request) or call.bearer:
        raise errors.invalid("The API key was sent to the host of a redirect, which must not know it.")
    project, file_id = call.emulator.downloads.get(call.query.get("token", ""), (None, ""))
    if project is None:
        raise errors.not_found("Requested entity was not found.")
    return _content(call, project.find(file_id, "DownloadFileRequest"))


def _content(call: Call, file: StoredFile) -> Response:
    """Return the bytes of a file; if ranges are supported, those of the requested range."""
    if not call.emulator.settings.ranges:
        return Response(file.content, media_type=file.mime_type)
    headers = {"accept-ranges": "bytes"}
    wanted = _RANGE.fullmatch(call.request.headers.get("range", ""))
    if not wanted:
        return Response(file.content, 200, headers, file.mime_type)
    size = len(file.content)
    first, last = int(wanted[1]), min(int(wanted[2] or size), size - 1)
    if first > last:
        return Response(b"", 416, headers | {"content-range": f"bytes */{size}"})
    headers["content-range"] = f"bytes {first}-{last}/{size}"
    return Response(file.content[first : last + 1], 206, headers, file.mime_type)


METHODS = [
    Method(("download",), ("GET",), "/files/{file_id}:download", download, prefix="/download"),
    Method(("download",), ("GET",), "/files/{file_id}:download", download),
    Method(("redirected_download",), ("GET",), _REDIRECTED, redirected_download),
]
