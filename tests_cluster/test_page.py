"""The page in Airflow's UI, for each role of FAB and on both API servers."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from airflow_api import AirflowApi
from cluster.deployment import USERS, Cluster
from scenario import API_KEY, Services

CONN_ID = "gemini_page"
ALLOWED, FORBIDDEN = (200, 200, 200), (403, 403, 403)
#: HTTP status of page, listing and deletion by user.
EXPECTED = {"viewer": FORBIDDEN, "user": FORBIDDEN, "op": ALLOWED, "admin": ALLOWED, "reader": (200, 200, 403)}
READER = "Reader of Gemini files"


def test_roles(cluster: Cluster, services: Services, figures: Callable[[str], None]):
    """The page for four roles of FAB, on both API servers:"""
    service = services.start(CONN_ID)
    servers = {"at the root": cluster, "behind the prefix": cluster.prefixed}
    names = iter([f"files/page{number}" for number in range(2 * (len(USERS) + 1))])
    add_reader(cluster)
    seen = {}
    for place, server in servers.items():
        for user in EXPECTED:
            name = next(names)
            seeds = {"api_key": API_KEY, "resources": [{"name": name}]}
            httpx.post(f"{service.base_url}/__emulator/seed", json=seeds).raise_for_status()
            seen[user, place] = statuses(server, user, name)

    figures("; ".join(f"{user} {'/'.join(map(str, seen[user, 'at the root']))}" for user in EXPECTED))
    assert seen == {(user, place): EXPECTED[user] for user in EXPECTED for place in servers}
    assert service.usage()["files"] == sum(2 for statuses in EXPECTED.values() if statuses != ALLOWED)


@pytest.mark.parametrize("place", ["root", "prefix"])
def test_static_files(cluster: Cluster, place: str, figures: Callable[[str], None]):
    """The static files of the page, whose addresses are relative:"""
    server = cluster if place == "root" else cluster.prefixed
    with client(server, "admin") as browser:
        page = browser.get("/gemini-files/", headers={"accept": "text/html"}).text
        files = re.findall(r'(?:src|href)="(static/[^"]+)"', page)
        found = [browser.get(f"/gemini-files/{file}").status_code for file in files]
    figures(
        f"{found.count(200)} of {len(files)} behind {server.url.partition('://')[2].partition('/')[2] or 'no prefix'}"
    )
    assert files
    assert set(found) == {200}


def statuses(server: AirflowApi, user: str, name: str) -> tuple[int, int, int]:
    """Return the HTTP status of the page, of the listing and of a deletion."""
    path = f"/gemini-files/api/connections/{CONN_ID}"
    with client(server, user) as browser:
        page = browser.get("/gemini-files/", headers={"accept": "text/html"})
        listing = browser.get(f"{path}/files")
        deletion = browser.post(f"{path}/delete", json={"names": [name]}, headers={"X-Gemini-Files": "1"})
    return page.status_code, listing.status_code, deletion.status_code


def client(server: AirflowApi, user: str) -> httpx.Client:
    return httpx.Client(base_url=server.url, cookies={"_token": server.token(user)}, timeout=60, trust_env=False)


def add_reader(cluster: Cluster) -> None:
    """Add a user with the role Viewer and a role that adds the permission to view plugins."""
    can_read = {"action": {"name": "can_read"}, "resource": {"name": "Plugins"}}
    cluster.fab("POST", "/roles", json={"name": READER, "actions": [can_read]})
    cluster.add_user("reader", "Viewer", READER)
