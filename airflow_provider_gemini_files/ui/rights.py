"""Permissions of the page, by Airflow's own auth manager, and the check that a change comes from Airflow's UI."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, ConnectionDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view, requires_authenticated
from airflow.providers.common.compat.sdk import conf
from fastapi import Depends, HTTPException, Request

from airflow_provider_gemini_files.hooks.server import team_of
from airflow_provider_gemini_files.ui.connections import connection_ids

#: Pages of another origin cannot send this header: the browser would ask for permission first (CORS preflight).
OWN_HEADER = "X-Gemini-Files"


async def require_read(connection_id: str, user: GetUserDep) -> None:
    """
    Raise 403 if the page does not list the connection and the user may not read it.

    With ``[core] multi_team``, the user needs the permission to read listed connections as well.
    """
    listed = connection_id in await asyncio.to_thread(connection_ids)
    if listed and not conf.getboolean("core", "multi_team", fallback=False):
        return
    if not await is_allowed("GET", connection_id, user):
        raise HTTPException(403, f"You do not have permission to read the connection {connection_id!r}.")


async def require_edit(connection_id: str, user: GetUserDep) -> None:
    """Raise 403 unless the user may edit the connection."""
    if not await is_allowed("PUT", connection_id, user):
        raise HTTPException(403, f"Changes require permission to edit the connection {connection_id!r}.")


async def is_allowed(method: Any, connection_id: str, user: Any) -> bool:
    """
    Return whether a user has a permission on a connection.

    Airflow's own dependency for it takes the request for one to Airflow's API, whose body may name another team.
    """
    details = ConnectionDetails(conn_id=connection_id, team_name=await asyncio.to_thread(team_of, connection_id))
    return get_auth_manager().is_authorized_connection(method=method, details=details, user=user)


def require_same_origin(request: Request) -> None:
    """
    Raise 403 for a change that a page of another origin sends with the user's cookie.

    ``Sec-Fetch-Site`` is checked first, because it is also right behind a proxy. Browsers omit it on connections that
    they do not trust; then ``Origin`` is checked. Other clients have no user's cookie and need only the header.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = site == "same-origin" if site else origin is None or urlsplit(origin).netloc in _own_hosts(request)
    if not own or OWN_HEADER not in request.headers:
        raise HTTPException(403, "Changes are only accepted from Airflow's UI; this request has another origin.")


def _own_hosts(request: Request) -> set[str]:
    return {request.headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="")).netloc}


LOGGED_IN = Depends(requires_authenticated())
CAN_VIEW = Depends(requires_access_view(AccessView.PLUGINS))
CAN_READ = Depends(require_read)
#: In this order, so that a user without access learns nothing about the connection.
CAN_EDIT = [CAN_VIEW, Depends(require_edit), Depends(require_same_origin)]
