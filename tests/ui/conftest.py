"""The page as FastAPI serves it, for a user with a role, without a browser and without Airflow's processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient

from airflow_provider_gemini_files.ui.app import app, file_listings, job_listings, store_listings
from airflow_provider_gemini_files.ui.rights import OWN_HEADER


@pytest.fixture
def page_of(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TestClient]:
    """Return a function that returns the page for a user with a role, and of some teams; it has listed nothing yet."""
    create_auth_manager()
    for listings in (file_listings, job_listings, store_listings):
        monkeypatch.setattr(listings, "_entries", {})

    def of(role: str, *teams: str) -> TestClient:
        # Airflow 3.1 has no teams.
        fields = {"teams": list(teams)} if teams else {}
        user = SimpleAuthManagerUser(username="someone", role=role, **fields)
        monkeypatch.setitem(app.dependency_overrides, get_user, lambda: user)
        return TestClient(app, headers={OWN_HEADER: "1"})

    return of
