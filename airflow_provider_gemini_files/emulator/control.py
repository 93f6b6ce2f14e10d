"""The control API, under ``/__emulator/``."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from airflow_provider_gemini_files.emulator.body import parse_json
from airflow_provider_gemini_files.emulator.seed import seed
from airflow_provider_gemini_files.emulator.service import Emulator


def _emulator(request: Request) -> Emulator:
    emulator: Emulator = request.app.state.emulator
    return emulator


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _journal(request: Request) -> Response:
    # In ASCII: a client may have sent text that is not valid UTF-8.
    return Response(json.dumps({"requests": list(_emulator(request).journal)}), media_type="application/json")


async def _clear_journal(request: Request) -> Response:
    _emulator(request).journal.clear()
    return JSONResponse({})


async def _usage(request: Request) -> Response:
    return JSONResponse(_emulator(request).usage())


async def _reset(request: Request) -> Response:
    _emulator(request).reset()
    return JSONResponse({})


async def _clock(request: Request) -> Response:
    clock = _emulator(request).clock
    try:
        clock.advance(float(parse_json((await request.body()).decode())["advance"]))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        return PlainTextResponse(f'expected {{"advance": seconds}}: {error}', status_code=400)
    return JSONResponse({"now": clock.now()})


async def _add_faults(request: Request) -> Response:
    try:
        _emulator(request).faults.load(parse_json((await request.body()).decode()))
    except (ValueError, TypeError) as error:
        return PlainTextResponse(str(error), status_code=400)
    return await _faults(request)


async def _faults(request: Request) -> Response:
    faults = _emulator(request).faults
    body: dict[str, Any] = {"used": faults.used(), "unused": faults.unused()}
    return JSONResponse(body)


async def _clear_faults(request: Request) -> Response:
    _emulator(request).faults.clear()
    return JSONResponse({})


async def _add_replies(request: Request) -> Response:
    try:
        _emulator(request).replies.load(parse_json((await request.body()).decode()))
    except (ValueError, TypeError) as error:
        return PlainTextResponse(str(error), status_code=400)
    return JSONResponse({})


async def _seed(request: Request) -> Response:
    try:
        wanted = parse_json((await request.body()).decode())
        seed(_emulator(request).project(str(wanted["api_key"])), list(wanted["resources"]))
    except (ValueError, KeyError, TypeError) as error:
        message = f'expected {{"api_key": key, "resources": [names]}}: {error}'
        return PlainTextResponse(message, status_code=400)
    return JSONResponse({})


ROUTES = [
    Route("/__emulator/health", _health),
    Route("/__emulator/journal", _journal, methods=["GET"]),
    Route("/__emulator/journal", _clear_journal, methods=["DELETE"]),
    Route("/__emulator/usage", _usage),
    Route("/__emulator/reset", _reset, methods=["POST"]),
    Route("/__emulator/clock", _clock, methods=["POST"]),
    Route("/__emulator/seed", _seed, methods=["POST"]),
    Route("/__emulator/answers", _add_replies, methods=["POST"]),
    Route("/__emulator/faults", _add_faults, methods=["POST"]),
    Route("/__emulator/faults", _faults, methods=["GET"]),
    Route("/__emulator/faults", _clear_faults, methods=["DELETE"]),
]
