"""Routes of the service: name a request, journal it, inject a fault, respond."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from airflow_provider_gemini_files.emulator import errors, journal
from airflow_provider_gemini_files.emulator.call import Call, api_key, bearer_token
from airflow_provider_gemini_files.emulator.injection import with_fault
from airflow_provider_gemini_files.emulator.service import Emulator
from airflow_provider_gemini_files.emulator.wire import capitalise

_log = logging.getLogger(__name__)
#: Status in the journal if the client disconnected before the response.
_NO_RESPONSE = 499
#: Shortest deadline in seconds that X-Server-Timeout may set.
_MIN_DEADLINE = 10

#: Handles a call; returns a response, or the JSON of one.
Handler = Callable[[Call], Awaitable[Response | dict[str, object] | None]]


@dataclass(frozen=True)
class Method:
    """
    A route of the service.

    :param names: the names its requests can have in faults and in the journal.
    :param verbs: HTTP methods.
    :param path: the path after the API version.
    :param prefix: the path before the API version: empty, ``/upload`` or ``/download``.
    :param name_of: returns those of the names that one request has; None: every request has all of them.
    """

    names: tuple[str, ...]
    verbs: tuple[str, ...]
    path: str
    handler: Handler
    prefix: str = ""
    name_of: Callable[[Request], tuple[str, ...]] | None = None

    async def __call__(self, request: Request) -> Response:
        """Respond to a request, and journal it without its keys and upload ids."""
        emulator: Emulator = request.app.state.emulator
        names = self.name_of(request) if self.name_of else self.names
        upload = emulator.uploads.get(request.query_params.get("upload_id", ""))
        key = upload.project.name if upload else api_key(request)
        secrets = emulator.secrets(key, api_key(request), bearer_token(request))
        entry = journal.new_entry(request, names[-1], secrets)
        emulator.journal.append(entry)
        try:
            receive, body = await journal.record_body(request, entry, secrets)
            if fault := emulator.faults.take(names, key, body):
                entry["fault"] = fault.action
            call = Call(emulator, Request(request.scope, receive), fault)
            response = await with_fault(call, self._respond, upload) if fault else await self._respond(call)
        except errors.ServiceError as error:
            response = error_response(error)
        except ClientDisconnect:
            response = Response(status_code=_NO_RESPONSE)
        except Exception as error:
            # Left to the server, it would also break the connection, and look like a fault that no test asked for.
            _log.exception("The emulator failed on %s %s", request.method, request.url.path)
            response = error_response(errors.failed(error))
        entry["status"] = response.status_code
        response.raw_headers = capitalise(response.raw_headers)
        return response

    async def _respond(self, call: Call) -> Response:
        try:
            _check_deadline(call.request)
            result = await self.handler(call)
        except errors.ServiceError as error:
            return error_response(error)
        if isinstance(result, Response):
            return result
        return JSONResponse(result, media_type="application/json; charset=UTF-8")


def error_response(error: errors.ServiceError) -> Response:
    """Return the response of an error, in the form the service gives it."""
    if isinstance(error, errors.ApiError):
        return JSONResponse(error.body(), error.code, error.headers, "application/json; charset=UTF-8")
    if isinstance(error, errors.RawError) and not isinstance(error.content, str | None):
        return JSONResponse(error.content, error.code, error.headers, error.content_type)
    content_type = error.content_type if isinstance(error, errors.RawError) else None
    return Response(error.message, error.code, error.headers, content_type or "text/plain")


def _check_deadline(request: Request) -> None:
    """Refuse a deadline that is too short for the service; uploads may set any."""
    if request.url.path.startswith("/upload/"):
        return
    given = request.headers.get("x-server-timeout", "")
    if given.replace(".", "", 1).isdigit() and float(given) < _MIN_DEADLINE:
        raise errors.short_deadline(float(given))
