"""The page of a connection that only a secrets backend knows: it is in no list, and the page is opened with its id."""

from __future__ import annotations

import pytest
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient
from support import seed

from airflow_provider_gemini_files.ui.app import app, file_listings, job_listings, store_listings
from airflow_provider_gemini_files.ui.connections import connection_ids
from airflow_provider_gemini_files.ui.rights import OWN_HEADER

CONNECTION = "/api/connections/in_a_vault/"


@pytest.fixture
def page(in_a_vault, airflow_db, monkeypatch):
    """Return a function that returns the page for a user with a role; it has listed nothing yet."""
    create_auth_manager()
    for listings in (file_listings, job_listings, store_listings):
        monkeypatch.setattr(listings, "_entries", {})

    def of(role: str) -> TestClient:
        user = SimpleAuthManagerUser(username="someone", role=role)
        monkeypatch.setitem(app.dependency_overrides, get_user, lambda: user)
        return TestClient(app, headers={OWN_HEADER: "1"})

    return of


def test_user_who_may_edit_connections_sees_the_files_and_deletes_them(page, in_a_vault):
    seed(in_a_vault.base_url, {"name": "files/a"}, {"name": "files/b"})
    assert "in_a_vault" not in connection_ids()

    listed = page("op").get(CONNECTION + "files").json()
    assert (listed["usage"]["files"], listed["error"], listed["can_edit"]) == (2, None, True)

    assert page("op").post(CONNECTION + "delete", json={"names": ["files/a"]}).status_code == 200
    assert in_a_vault.usage()["files"] == 1


def test_user_who_may_not_read_connections_is_refused(page):
    refused = page("viewer").get(CONNECTION + "files")

    assert refused.status_code == 403
    assert "permission to read the connection 'in_a_vault'" in refused.json()["detail"]


@pytest.mark.parametrize("resource", ["stores", "batches", "overview"])
def test_other_tabs_work_too(page, resource):
    shown = page("op").get(CONNECTION + resource).json()

    assert (shown["error"], shown["loading"]) == (None, False)
