"""With ``[core] multi_team``, the page opens a team's connection for those who may use it, and for nobody else."""

from __future__ import annotations

import pytest
from airflow.models import Connection
from airflow.utils.session import create_session
from support import API_KEY, seed

from airflow_provider_gemini_files.hooks.server import GeminiServerHook, team_of
from airflow_provider_gemini_files.ui.connections import connection_ids

pytestmark = pytest.mark.skipif(not hasattr(Connection, "team_name"), reason="Airflow 3.2 is the first with teams")
FILES = "/api/connections/gemini_films/files"
DELETE = "/api/connections/gemini_films/delete"


@pytest.fixture
def of_films(gemini_emulator, airflow_db, monkeypatch):
    """Return the emulator; the connection ``gemini_films`` of the team ``films`` is in Airflow's database."""
    from airflow.models.team import Team

    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    fields = {"conn_type": "gemini", "host": gemini_emulator.base_url, "password": API_KEY}
    with create_session() as session:
        session.add(Team(name="films"))
        session.flush()
        session.add(Connection(conn_id="gemini_films", team_name="films", **fields))
    seed(gemini_emulator.base_url, {"name": "files/a"}, {"name": "files/b"})
    yield gemini_emulator
    with create_session() as session:
        session.query(Connection).filter_by(conn_id="gemini_films").delete()
        session.query(Team).filter_by(name="films").delete()


def test_user_of_the_team_sees_the_files_and_deletes_them(page_of, of_films):
    assert "gemini_films" in connection_ids()

    listed = page_of("op", "films").get(FILES).json()
    assert (listed["usage"]["files"], listed["error"], listed["can_edit"]) == (2, None, True)

    assert page_of("op", "films").post(DELETE, json={"names": ["files/a"]}).json()[0]["outcome"] == "deleted"
    assert of_films.usage()["files"] == 1


@pytest.mark.parametrize(("role", "teams"), [("op", ()), ("op", ("music",)), ("viewer", ("films",))])
def test_others_are_refused(page_of, of_films, role, teams):
    refused = page_of(role, *teams).get(FILES)
    assert refused.status_code == 403
    assert "permission to read the connection 'gemini_films'" in refused.json()["detail"]

    assert page_of(role, *teams).post(DELETE, json={"names": ["files/a"]}).status_code == 403
    assert of_films.usage()["files"] == 2


def test_connection_without_a_team_stays_that_of_all(page_of, of_films, emulator):
    assert team_of("gemini_default") is None

    listed = page_of("op").get("/api/connections/gemini_default/files").json()
    assert (listed["error"], listed["can_edit"]) == (None, True)


def test_without_multi_team_there_are_no_teams(of_films, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "False")

    assert team_of("gemini_films") is None


def test_commands_find_the_connection_too(of_films):
    assert GeminiServerHook("gemini_films").usage().files == 2
