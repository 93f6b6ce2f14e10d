"""Who may see and change what, by Airflow's own rules; and that a change comes from Airflow's own pages."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any
from urllib.parse import urlsplit

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import (
    GetUserDep,
    requires_access_connection,
    requires_access_view,
    requires_authenticated,
)
from airflow.providers.common.compat.sdk import conf
from fastapi import Depends, HTTPException, Request

from airflow_provider_gemini_files.ui.connections import connection_ids

#: A page of another origin cannot send it without being asked about by the browser first.
OWN_HEADER = "X-Gemini-Files"


async def may_read(request: Request, connection_id: str, user: GetUserDep) -> None:
    """Refuse a connection that the page does not offer to a user who may not see it, and another team's."""
    listed = connection_id in await asyncio.to_thread(connection_ids)
    if listed and not conf.getboolean("core", "multi_team", fallback=False):
        return
    if not await allows("GET", request, user):
        raise HTTPException(403, f"You may not read the connection {connection_id!r}.")


async def may_edit(request: Request, connection_id: str, user: GetUserDep) -> None:
    """Refuse who may not edit the connection."""
    if not await allows("PUT", request, user):
        raise HTTPException(403, f"Changing files needs the right to edit the connection {connection_id!r}.")


async def allows(method: Any, request: Request, user: Any) -> bool:
    """Tell whether a user has a right to the connection of the request's path."""
    try:
        checked = requires_access_connection(method)(request, user)
        # A coroutine from Airflow 3.3 on.
        if inspect.isawaitable(checked):
            await checked
    except HTTPException:
        return False
    return True


def from_airflow(request: Request) -> None:
    """
    Refuse a change that a page of another origin has sent with the user's cookie.

    A browser says itself where a request comes from: in ``Sec-Fetch-Site`` where it trusts the connection, which holds
    behind a proxy, too; else in ``Origin``. What is no browser has no one's cookie, and needs the header only.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = site == "same-origin" if site else origin is None or urlsplit(origin).netloc in _own_hosts(request)
    if not own or OWN_HEADER not in request.headers:
        raise HTTPException(403, "Files are changed from Airflow's own page only; this request came from elsewhere.")


def _own_hosts(request: Request) -> set[str]:
    return {request.headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="")).netloc}


LOGGED_IN = Depends(requires_authenticated())
MAY_LOOK = Depends(requires_access_view(AccessView.PLUGINS))
MAY_READ = Depends(may_read)
#: In this order: whoever is refused learns nothing more.
MAY_CHANGE = [MAY_LOOK, Depends(may_edit), Depends(from_airflow)]
