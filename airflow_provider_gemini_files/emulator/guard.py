"""Access to the control API: any web page of a browser on this machine could call it."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

CONTROL_PREFIX = "/__emulator/"


class ControlGuard:
    """
    ASGI middleware that refuses control requests of other web sites with 403.

    :param app: the application.
    :param host: the address or name that the emulator was told to listen on.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "http" and scope["path"].startswith(CONTROL_PREFIX):
            server = scope.get("server") or ("",)
            if problem := find_problem(Headers(scope=scope), {self._host, str(server[0])}):
                await PlainTextResponse(problem, status_code=403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def find_problem(headers: Headers, own_hosts: Collection[str]) -> str | None:
    """
    Return the reason to refuse a control request, or None.

    A foreign Host means that a name of another site was made to point here (DNS rebinding); a foreign Origin means that
    a page of another site sent the request (CSRF).

    :param own_hosts: addresses and names the emulator listens on.
    """
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _is_own(hosts[0], own_hosts):
        return "The control API accepts only requests whose Host header is localhost or the emulator's own address."
    origins = headers.getlist("origin")
    if any(origin.lower() != f"http://{hosts[0]}".lower() for origin in origins):
        return "The control API does not accept requests of web pages from another origin."
    return None


def _is_own(host: str, own_hosts: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name in {own.lower() for own in own_hosts}


def is_loopback(host: str) -> bool:
    """Return whether a name or IP address is that of this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
